"""The grid on which cells are tracked: frames resized so that a typical cell has one size for the network."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Real

from cellmotion_jax.data.resizing import resize_image
from cellmotion_jax.errors import InputError

CELL_DIAMETER = 16.0
"""Diameter of a typical cell on the grid, in grid pixels."""
LARGEST_ZOOM = 2.0
"""Largest enlargement of small cells: more adds no detail, and the cost grows with its square."""


def grid_zoom(diameter: float, *, wanted: float = CELL_DIAMETER) -> float:
    """Zoom factor at which the cells of a movie have the size of the training cells.

    Args:
        diameter: Equivalent diameter of a typical cell (of the circle with its area), in pixels of the movie.
        wanted: Diameter on the grid, in grid pixels.

    Returns:
        Grid pixels per pixel, at most 2.

    Raises:
        InputError: If a diameter is not a positive number.

    >>> grid_zoom(64.0), grid_zoom(6.0)
    (0.25, 2.0)
    """
    for name, value in (("diameter", diameter), ("wanted", wanted)):
        if not 0 < value < float("inf"):
            raise InputError(f"{name} is {value}; the diameter of a cell is a positive number of pixels.")
    return min(wanted / diameter, LARGEST_ZOOM)


def grid_shape(shape: tuple[int, int], zoom: float) -> tuple[int, int]:
    """Size of the grid of a frame: the nearest whole numbers, at least 1.

    >>> grid_shape((100, 51), 0.25)
    (25, 13)
    """
    return max(1, round(shape[0] * zoom)), max(1, round(shape[1] * zoom))


def to_grid(image: Real[np.ndarray, "y x"], zoom: float) -> Float32[np.ndarray, "grid_y grid_x"]:
    """Resizes a frame, with linear interpolation; before downsampling it is smoothed against aliasing.

    Args:
        image: One frame in its own intensities.
        zoom: Zoom factor from `grid_zoom`; 1 does not change the frame.

    Returns:
        The frame on the grid, in the intensities of the image.
    """
    shape = grid_shape((image.shape[0], image.shape[1]), zoom)
    return resize_image(image, shape)


def points_to_grid(
    points: Float[np.ndarray, "*batch 2"], *, shape: tuple[int, int], zoom: float
) -> Float32[np.ndarray, "*batch 2"]:
    """Converts positions (y, x) in a frame to positions on its grid; pixel centres are whole numbers in both.

    Args:
        points: Positions in pixels of the frame.
        shape: Size (y, x) of the frame; the exact ratio depends on the rounded size of the grid.
        zoom: Zoom factor of the grid.

    Returns:
        Positions in grid pixels.
    """
    return ((points + 0.5) * _ratio(shape, zoom) - 0.5).astype(np.float32)


def points_from_grid(
    points: Float[np.ndarray, "*batch 2"], *, shape: tuple[int, int], zoom: float
) -> Float32[np.ndarray, "*batch 2"]:
    """Inverse of `points_to_grid`; arguments as there."""
    return ((points + 0.5) / _ratio(shape, zoom) - 0.5).astype(np.float32)


def _ratio(shape: tuple[int, int], zoom: float) -> Float[np.ndarray, " 2"]:
    """Grid pixels per pixel along y and x."""
    return np.array(grid_shape(shape, zoom)) / np.array(shape)


def compress_frame(frame: Real[np.ndarray, "y x"]) -> Float32[np.ndarray, "y x"]:
    """`ops.intensity.compress` of one frame, on the host.

    XLA computes a median by sorting: 370 ms for a frame of 620 x 980 on a CPU, where NumPy's selection takes
    15 ms, which is as long as the tracking of 50 cells.

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
    """A frame resized to the grid and with compressed intensities: the input of the tracker.

    Args:
        image: One frame in its own intensities.
        zoom: Zoom factor from `grid_zoom`.

    Returns:
        Compressed intensities on the grid.
    """
    return compress_frame(to_grid(image, zoom))
