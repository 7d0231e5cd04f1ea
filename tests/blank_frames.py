"""Frames without information of every kind, made from a frame that has some."""

import numpy as np
import scipy.ndimage

from cellmotion_jax.data.blank_frames import Blank

KINDS = {
    "black": Blank.CONSTANT,
    "white": Blank.CONSTANT,
    "saturated": Blank.SATURATED,
    "dark": Blank.NOISE,
    "bright": Blank.NOISE,
    "defocused": Blank.DEFOCUSED,
}


def blank(kind, frame, *, noise, blur=10.0, seed=0):
    """A frame of the same size and type without information.

    Args:
        kind: A key of `KINDS`.
        frame: The frame that it replaces.
        noise: Standard deviation of the camera noise.
        blur: Standard deviation of the Gaussian by which it is defocused; more than the radius of a cell.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    camera = rng.normal(0, noise, frame.shape)
    highest = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else float(frame.max()) * 4
    lowest = float(frame.min())
    image = {
        "black": lambda: np.zeros(frame.shape),
        "white": lambda: np.full(frame.shape, highest),
        "saturated": lambda: np.where(frame > np.quantile(frame, 0.1), highest, frame),
        "dark": lambda: lowest + camera,
        "bright": lambda: 0.8 * highest + camera,
        "defocused": lambda: scipy.ndimage.gaussian_filter(frame.astype(float), blur) + camera,
    }[kind]()
    if frame.dtype.kind == "u":
        image = np.clip(np.rint(image), 0, highest)
    return image.astype(frame.dtype)
