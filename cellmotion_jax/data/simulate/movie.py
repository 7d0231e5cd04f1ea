"""From a `Simulation` to a movie with its truth."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int, UInt
from tqdm import tqdm

from cellmotion_jax.data.simulate import fluorescence, phase_contrast
from cellmotion_jax.data.simulate.config import Conditions, Look, Simulation, settle
from cellmotion_jax.data.simulate.motion import History, live_through
from cellmotion_jax.data.simulate.pose import Poses, future_frames, pose
from cellmotion_jax.data.simulate.truth import CellTruth, TipTruth, name_tracks, tell_cells
from cellmotion_jax.data.track_table import TrackTable
