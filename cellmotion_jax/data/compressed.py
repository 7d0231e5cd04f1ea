"""Frames as a tracker sees them: on the grid, and compressed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Real

from cellmotion_jax.data.grid import to_grid


def compress_frame(frame: Real[np.ndarray, "y x"]) -> Float32[np.ndarray, "y x"]:
    """`ops.intensity.compress` of one frame, on the host.

    XLA finds a median by sorting: 370 ms for a frame of 620 x 980 on a CPU, where NumPy's selection takes
    15 ms, as long as following 50 cells.

    Args:
        frame: Intensities in any unit.

    Returns:
        Compressed intensities; 0 everywhere for a constant frame.
    """
    above = np.asarray(frame, np.float32) - np.float32(np.median(frame))
    power = np.mean(np.square(above), dtype=np.float64)
    if not power > 0:
        return np.zeros_like(above)
    return np.arcsinh(above / np.float32(np.sqrt(power)))


def grid_frame(image: Real[np.ndarray, "y x"], zoom: float) -> Float32[np.ndarray, "grid_y grid_x"]:
    """A frame resized to the grid of `data.grid` and compressed: what the tracker is given.

    Args:
        image: One frame in its own intensities.
        zoom: Of `data.grid.grid_zoom`.

    Returns:
        Compressed intensities on the grid.
    """
    return compress_frame(to_grid(image, zoom))
