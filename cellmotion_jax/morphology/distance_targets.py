r"""Training targets of DeepDistance from label images: inner and outer distance, cell pixels, boundaries.

Equations and sections are those of Koyuncu et al., *DeepDistance: A Multi-task Deep Regression Model for
Cell Detection in Inverted Microscopy Images*, 2020. Three readings hold throughout:

- The norms of Eq. 1 and 2 are printed with a superscript 2 that the text reads as "Euclidean distance".
  The plain distance is the default, ``squared=True`` takes the print at its word.
- The boundary of a cell is the pixels just outside it, that is, the distance of a pixel is that to the
  nearest pixel which is not of the same cell, be it background or another cell. On an outline drawn
  inside the cell, one-pixel cells and thin ones would divide zero by zero.
- The edge of the image is no boundary. A network that sees tiles cannot tell the edge of the image from
  the edge of a tile, where cells do continue; and a cell that is cut by the edge of the image continues as
  well.

A label in several pieces is one cell: it has one centroid and one largest distance.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Float32, Int
from scipy import ndimage
from scipy.spatial import KDTree

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology.windows import cell_windows
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.labels import NumberedCells, number_cells


class DistanceTargets(NamedTuple):
    """The four targets of the models of Table 2, from one label image."""

    inner: Float32[np.ndarray, "y x"]
    """:func:`inner_distance`."""
    outer: Float32[np.ndarray, "y x"]
    """:func:`normalised_outer_distance`."""
    classification: Bool[np.ndarray, "y x"]
    """:func:`classification_map`."""
    boundary: Bool[np.ndarray, "y x"]
    """:func:`boundary_map`: the cell pixels that ``classification`` leaves out."""


def distance_targets(
    labels: Number[ArrayLike, "y x"] | Sequence,
    *,
    alpha: float = 0.1,
    squared: bool = False,
    boundary_width: float = 2.0,
) -> DistanceTargets:
    """All targets at once; the distance to the boundary is computed only once.

    Args:
        labels: Label image.
        alpha: Decay of the inner distance, per pixel (per squared pixel if ``squared``).
        squared: Whether both distances are squared Euclidean ones, as printed.
        boundary_width: Pixels taken off every cell to widen its boundary, see :func:`classification_map`.

    Returns:
        The maps, all zero or False where there is no cell.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label or ``boundary_width`` is negative, or ``alpha`` not positive.
    """
    cells = number_cells(labels)
    distance = _distance_to_boundary(cells)
    classification, boundary = _split_at(distance, boundary_width)
    return DistanceTargets(
        inner=_inner_distance(cells, alpha, squared),
        outer=_normalised(distance, cells, squared),
        classification=classification,
        boundary=boundary,
    )


def inner_distance(
    labels: Number[ArrayLike, "y x"] | Sequence, *, alpha: float = 0.1, squared: bool = False
) -> Float32[np.ndarray, "y x"]:
    r"""Inner distance: how near a cell pixel is to the centre of its cell (Eq. 1).

    .. math:: d_{inner}(q) = \frac{1}{1 + \alpha \min_i \lVert q - C_i \rVert}

    on the pixels :math:`q` of cells, 0 on background. The minimum is over the centroid pixels
    :math:`C_i` of *all* cells, so a pixel of a long cell may owe its value to its neighbour's centroid,
    and a cell whose own centroid lies outside of it need not reach 1.

    Args:
        labels: Label image.
        alpha: Decay, 0.1 in the paper.
        squared: Whether the distance is squared, as printed.

    Returns:
        Values in (0, 1] on cells; 1 at every centroid pixel that is on a cell.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label is negative or ``alpha`` not positive.

    >>> inner_distance(np.array([[0, 1, 1, 1]]), alpha=1.0).tolist()
    [[0.0, 0.5, 1.0, 0.5]]
    """
    return _inner_distance(number_cells(labels), alpha, squared)


def normalised_outer_distance(
    labels: Number[ArrayLike, "y x"] | Sequence, *, squared: bool = False
) -> Float32[np.ndarray, "y x"]:
    r"""Normalised outer distance: depth of a pixel in its cell, relative to the largest depth there (Eq. 2).

    .. math:: d_{outer}(q) = \frac{d(q)}{\max_{r \in P(q)} d(r)}

    with :math:`d` the :func:`distance_to_boundary` and :math:`P(q)` the pixels of the cell of :math:`q`;
    0 on background.

    Args:
        labels: Label image.
        squared: Whether the distances are squared, as printed.

    Returns:
        Values in (0, 1] on cells. Every cell reaches exactly 1; one-pixel cells and a cell that fills
        the image are 1 throughout.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label is negative.

    >>> normalised_outer_distance(np.array([[0, 1, 1, 1, 2, 0]])).tolist()
    [[0.0, 0.5, 1.0, 0.5, 1.0, 0.0]]
    """
    cells = number_cells(labels)
    return _normalised(_distance_to_boundary(cells), cells, squared)


def classification_map(
    labels: Number[ArrayLike, "y x"] | Sequence, *, width: float = 2.0
) -> Bool[np.ndarray, "y x"]:
    """Cell pixels without the widened boundaries that would merge touching cells (footnote of Section 3.2).

    A pixel counts where its :func:`distance_to_boundary` exceeds ``width``, so that touching cells end up
    about ``2 * width`` pixels apart. The paper does not say how far it widens.

    Args:
        labels: Label image.
        width: Pixels taken off every cell along its boundary, at least 0. From 1 on touching cells are
            apart. A cell that is nowhere deeper than this vanishes.

    Returns:
        True on the inside of cells.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label or ``width`` is negative.
    """
    return _split_at(distance_to_boundary(labels), width)[0]


def boundary_map(
    labels: Number[ArrayLike, "y x"] | Sequence, *, width: float = 2.0
) -> Bool[np.ndarray, "y x"]:
    """The widened boundaries: cell pixels within ``width`` of a pixel outside of their cell.

    The second task of the multi-task classification model (Section 4.4).

    Args:
        labels: Label image.
        width: Pixels along the boundary of every cell, at least 0; with 0 nothing is boundary.

    Returns:
        True on the rims of cells; together with :func:`classification_map` of equal width exactly the
        foreground.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label or ``width`` is negative.
    """
    return _split_at(distance_to_boundary(labels), width)[1]


def distance_to_boundary(labels: Number[ArrayLike, "y x"] | Sequence) -> Float[np.ndarray, "y x"]:
    """Euclidean distance from each cell pixel to the nearest pixel outside of its cell.

    One exact distance transform per cell, within its bounding box and one pixel around it: the nearest
    foreign pixel always has a side in common with the cell. The cost is that of all bounding boxes
    together.

    Args:
        labels: Label image.

    Returns:
        Pixels: 0 on background, at least 1 on cells, infinite in a cell that fills the image.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label is negative.

    >>> distance_to_boundary(np.array([[1, 1, 2, 2, 2, 0]])).tolist()
    [[2.0, 1.0, 1.0, 2.0, 1.0, 0.0]]
    """
    return _distance_to_boundary(number_cells(labels))


def centroid_pixels(labels: Number[ArrayLike, "y x"] | Sequence) -> Int[np.ndarray, "cell 2"]:
    """The pixel that holds the centroid of each cell, in the order of the labels.

    The centroid is the mean of the cell's pixels; halves are rounded up, so that a shifted cell has a
    shifted centroid. It may lie outside of a bent cell.

    Args:
        labels: Label image.

    Returns:
        Points (y, x).

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label is negative.
    """
    return _centroid_pixels(number_cells(labels))


def _centroid_pixels(cells: NumberedCells) -> Int[np.ndarray, "cell 2"]:
    points = np.nonzero(cells.number)
    number = cells.number[points]
    size = len(cells.labels)
    area = np.bincount(number, minlength=size)
    # Sums of whole numbers are exact in float64, and rounding them as whole numbers stays exact.
    sums = [np.bincount(number, weights=axis, minlength=size).astype(np.int64) for axis in points]
    return np.stack([(2 * total[1:] + area[1:]) // (2 * area[1:]) for total in sums], axis=1)


def _inner_distance(cells: NumberedCells, alpha: float, squared: bool) -> Float32[np.ndarray, "y x"]:
    if not alpha > 0:
        raise InputError(f"alpha must be positive, got {alpha:g}")
    inner = np.zeros(cells.number.shape, np.float32)
    covered = cells.number > 0
    if covered.any():
        nearest, _ = KDTree(_centroid_pixels(cells)).query(np.argwhere(covered))
        inner[covered] = 1 / (1 + alpha * (nearest**2 if squared else nearest))
    return inner


def _distance_to_boundary(cells: NumberedCells) -> Float[np.ndarray, "y x"]:
    distance = np.zeros(cells.number.shape)
    for _, window, inside in cell_windows(cells.number, margin=1):
        if inside.all():  # without a foreign pixel in the window there is none in the image
            return np.full(distance.shape, np.inf)
        distance[window][inside] = np.asarray(ndimage.distance_transform_edt(inside))[inside]
    return distance


def _normalised(
    distance: Float[np.ndarray, "y x"], cells: NumberedCells, squared: bool
) -> Float32[np.ndarray, "y x"]:
    if np.isinf(distance).all():  # one cell fills the image and is as deep everywhere
        return np.ones(distance.shape, np.float32)
    largest = np.ones(len(cells.labels))
    np.maximum.at(largest, cells.number, distance)
    share = distance / largest[cells.number]
    return (share**2 if squared else share).astype(np.float32)


def _split_at(
    distance: Float[np.ndarray, "y x"], width: float
) -> tuple[Bool[np.ndarray, "y x"], Bool[np.ndarray, "y x"]]:
    if not width >= 0:
        raise InputError(f"the width of a boundary must not be negative, got {width:g}")
    inside = distance > width
    return inside, (distance > 0) & ~inside
