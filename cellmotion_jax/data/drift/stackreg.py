"""Affine registration by StackReg, which the authors of the ConvLSTM network used (extra ``drift``)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from cellmotion_jax.data.drift.registration import Align
from cellmotion_jax.errors import InputError


def affine_aligner() -> Align:
    """StackReg's affine registration of one image to another, for :func:`registration.place_frame`.

    The least squared difference over a pyramid of images (Thévenaz et al. 1998). Applied to the frames
    themselves it is dominated by the cells: it was off by 1 to 33 pixels somewhere in the field, in simulated
    movies and in PhC-C2DH-U373 under known maps. It is therefore applied to the background structure
    (:func:`registration.background_structure`), after the translation, and is then off by 0.13 at most.

    Returns:
        A function of reference and moving image.

    Raises:
        InputError: If pystackreg is not installed.

    References:
        Thévenaz, Ruttimann, Unser, *A Pyramid Approach to Subpixel Registration Based on Intensity*, IEEE
        Transactions on Image Processing 7 (1998).
    """
    try:
        from pystackreg import StackReg  # Optional, and no part of the extra `io`.
    except ImportError as error:
        raise InputError(
            "correction affine needs the package pystackreg; install cellmotion_jax[drift], or correct "
            "translations only."
        ) from error

    def align(
        reference: Float32[np.ndarray, "y x"], moving: Float32[np.ndarray, "y x"]
    ) -> Float64[np.ndarray, "2 3"]:
        in_x_y = StackReg(StackReg.AFFINE).register(reference.astype(float), moving.astype(float))
        return in_x_y[[1, 0]][:, [1, 0, 2]]

    return align
