"""The grid on which cells are tracked: frames resized so that a typical cell has one size for the network."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Real
from skimage import transform

from cellmotion_jax.errors import InputError

CELL_DIAMETER = 16.0
"""Grid pixels across a typical cell."""
LARGEST_ZOOM = 2.0
"""Small cells are enlarged at most by this: there is nothing more to see in them, and it costs its square."""


def grid_zoom(diameter: float, *, wanted: float = CELL_DIAMETER) -> float:
    """By how much a movie is enlarged for its cells to have the size that the network knows.

    Args:
        diameter: Of a typical cell, in pixels of the movie: that of the circle with its area.
        wanted: On the grid, in grid pixels.

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
        zoom: Of `grid_zoom`; 1 leaves the frame as it is.

    Returns:
        The frame on the grid, in the intensities of the image.
    """
    shape = grid_shape((image.shape[0], image.shape[1]), zoom)
    image = np.asarray(image, np.float32)
    if shape == image.shape:
        return image
    smooth = shape[0] < image.shape[0] or shape[1] < image.shape[1]
    resized = np.asarray(
        transform.resize(image, shape, order=1, mode="edge", anti_aliasing=smooth, preserve_range=True)
    )
    return resized.astype(np.float32, copy=False)


def points_to_grid(
    points: Float[np.ndarray, "*batch 2"], *, shape: tuple[int, int], zoom: float
) -> Float32[np.ndarray, "*batch 2"]:
    """Places (y, x) in a frame as places on its grid; pixel centres are whole numbers in both.

    Args:
        points: In pixels of the frame.
        shape: Size (y, x) of the frame, whose rounding on the grid decides the exact ratio.
        zoom: Of the grid.

    Returns:
        In grid pixels.
    """
    return ((points + 0.5) * _ratio(shape, zoom) - 0.5).astype(np.float32)


def points_from_grid(
    points: Float[np.ndarray, "*batch 2"], *, shape: tuple[int, int], zoom: float
) -> Float32[np.ndarray, "*batch 2"]:
    """The way back from `points_to_grid`; arguments as there."""
    return ((points + 0.5) / _ratio(shape, zoom) - 0.5).astype(np.float32)


def _ratio(shape: tuple[int, int], zoom: float) -> Float[np.ndarray, " 2"]:
    """Grid pixels per pixel along y and x."""
    return np.array(grid_shape(shape, zoom)) / np.array(shape)


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
    """A frame resized to the grid of `methods.celltrack.grid` and compressed: what the tracker is given.

    Args:
        image: One frame in its own intensities.
        zoom: Of `methods.celltrack.grid.grid_zoom`.

    Returns:
        Compressed intensities on the grid.
    """
    return compress_frame(to_grid(image, zoom))
