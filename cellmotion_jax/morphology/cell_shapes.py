"""Shape measures of every cell of a label image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int
from scipy.spatial import ConvexHull
from skimage.measure import perimeter_crofton

from cellmotion_jax.morphology.windows import cell_windows
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.labels import NumberedCells, areas_and_centroids, number_cells


class CellShapes(NamedTuple):
    """One row per cell, sorted by label; lengths are in pixels."""

    label: Int[np.ndarray, " cell"]
    """Label of the cell."""
    y: Float[np.ndarray, " cell"]
    """Row of the centroid, the mean of the cell's pixels."""
    x: Float[np.ndarray, " cell"]
    """Column of the centroid."""
    area: Int[np.ndarray, " cell"]
    """Number of pixels."""
    perimeter: Float[np.ndarray, " cell"]
    """Length of the outline, holes and the edge of the image included."""
    major_axis: Float[np.ndarray, " cell"]
    """Longer axis of the ellipse with the cell's second moments."""
    minor_axis: Float[np.ndarray, " cell"]
    """Shorter axis of that ellipse, at least 1.15."""
    elongation: Float[np.ndarray, " cell"]
    """Ratio of longer to shorter axis; 1 for a disc."""
    eccentricity: Float[np.ndarray, " cell"]
    """Eccentricity of that ellipse, from 0 (a disc) to 1."""
    orientation: Float[np.ndarray, " cell"]
    """Direction of the longer axis, radians in [0, pi), counter-clockwise from +x, y up; 0 for a disc."""
    solidity: Float[np.ndarray, " cell"]
    """Ratio of the area to that of the convex hull, in (0, 1]."""


def cell_shapes(labels: Number[ArrayLike, "y x"] | Sequence) -> CellShapes:
    r"""Measures area, outline, elongation and solidity of every cell.

    The second moments are those of the cell's pixels taken as unit squares, :math:`\mu_{yy} + 1/12` and so
    on; scikit-image leaves the 1/12 out, and a line has no width there. With their eigenvalues
    :math:`\lambda_1 \ge \lambda_2` the axes are :math:`4 \sqrt{\lambda_i}`, elongation
    :math:`\sqrt{\lambda_1 / \lambda_2}` and eccentricity :math:`\sqrt{1 - \lambda_2 / \lambda_1}`. A line of
    n pixels has elongation n, a single pixel 1. The perimeter is Crofton's estimate from four directions: of
    a disc of radius 10 it is 4 % too long, of radius 20 and 40 it is 1.6 and 0.6 %. The convex hull is that
    of the unit squares, so that a rectangle of any size has solidity 1; the steps in the outline of a disc of
    radius 40 make it 0.977.

    A label in several pieces is one cell.

    Args:
        labels: Label image, 0 for background.

    Returns:
        The table; without cells all columns are empty.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label is negative.

    >>> shapes = cell_shapes(np.array([[0, 3, 3, 3, 3]]))
    >>> shapes.area.tolist(), shapes.elongation.round(6).tolist(), shapes.solidity.round(6).tolist()
    ([4], [4.0], [1.0])
    """
    cells = number_cells(labels)
    area, y, x, moments = _moments(cells)
    # Eigenvalues of the symmetric 2 x 2 matrices.
    mean = (moments[0] + moments[1]) / 2
    spread = np.hypot((moments[0] - moments[1]) / 2, moments[2])
    long, short = mean + spread, mean - spread
    # y points down in the image and up in the angle.
    angle = np.mod(np.arctan2(-2 * moments[2], moments[1] - moments[0]) / 2, np.pi)
    perimeter, hull = np.ones(len(area)), np.ones(len(area))
    for index, _, inside in cell_windows(cells.number, margin=0):
        perimeter[index - 1] = perimeter_crofton(np.pad(inside, 1), directions=4)
        hull[index - 1] = _hull_area(inside)
    return CellShapes(
        label=cells.labels[1:].astype(int),
        y=y,
        x=x,
        area=area,
        perimeter=perimeter,
        major_axis=4 * np.sqrt(long),
        minor_axis=4 * np.sqrt(short),
        elongation=np.sqrt(long / short),
        eccentricity=np.sqrt(1 - short / long),
        orientation=np.where(angle < np.pi, angle, 0.0),
        solidity=area / hull,
    )


def _moments(
    cells: NumberedCells,
) -> tuple[
    Int[np.ndarray, " cell"],
    Float[np.ndarray, " cell"],
    Float[np.ndarray, " cell"],
    Float[np.ndarray, "3 cell"],
]:
    """Area, centroid, and central second moments yy, xx and xy of all cells at once."""
    area, centroid = areas_and_centroids(cells)
    y, x = centroid.T
    rows, columns = np.nonzero(cells.number)
    index, count = cells.number[rows, columns] - 1, len(area)
    dy, dx = rows - y[index], columns - x[index]
    products = (dy * dy, dx * dx, dy * dx)
    moments = np.stack([np.bincount(index, weights=one, minlength=count) / area for one in products])
    return area, y, x, moments + np.array([[1 / 12], [1 / 12], [0.0]])


def _hull_area(inside: Bool[np.ndarray, "y x"]) -> float:
    """Area of the convex hull of unit squares, from the corners of the outermost pixels of every row."""
    rows = np.flatnonzero(inside.any(axis=1))
    first = inside[rows].argmax(axis=1)
    last = inside.shape[1] - inside[rows, ::-1].argmax(axis=1)
    corners = [np.stack([rows + below, side], axis=1) for below in (0, 1) for side in (first, last)]
    return float(ConvexHull(np.concatenate(corners)).volume)
