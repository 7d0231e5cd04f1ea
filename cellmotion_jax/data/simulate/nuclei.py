"""Cell nuclei as a fluorescence microscope shows them: textured blobs of very different brightness."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from cellmotion_jax.data.simulate import contour
from cellmotion_jax.data.simulate.canvas import Outline, frame_patch
from cellmotion_jax.data.simulate.config import Conditions
from cellmotion_jax.data.simulate.motion import MITOSIS_MIN, SPREADING_MIN, History
from cellmotion_jax.data.simulate.pose import Poses
from cellmotion_jax.data.simulate.texture import look_up

# Fluo-N2DL-HeLa/01 in grey values above its background: median 430, logarithm spread by 0.9.
BRIGHTNESS = 430.0
BRIGHTNESS_SPREAD = 0.75
