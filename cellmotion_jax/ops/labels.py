"""Label images on the host: 0 is background, every other value names a cell."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Float32, Int, Integer

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.host_arguments import host_integers


class NumberedCells(NamedTuple):
    """A label image whose cells are numbered without gaps; ``labels[number]`` is the original image."""

    labels: Integer[np.ndarray, " number"]
    """Label of every number: 0 for the background, then the labels that occur, ascending."""
    number: Integer[np.ndarray, "y x"]
    """0 for background, 1 for the cell of the smallest label, and so on without gaps."""


def number_cells(labels: Number[ArrayLike, "..."] | Sequence, *, name: str = "labels") -> NumberedCells:
    """Numbers the cells of a label image without gaps, so that arrays can be indexed by cell.

    Works on labels of any size in O(pixels log cells). A label may be in several pieces.

    Args:
        labels: Label image [y, x]; whole numbers of any type, floats among them.
        name: Name of the image in error messages.

    Returns:
        The labels in use and the image in consecutive numbers.

    Raises:
        ValueError: If it is not an image of one channel, has no pixels, or holds a label that is not whole.
        InputError: If a label is negative.

    >>> cells = number_cells(np.array([[7, 0], [7, 300]]))
    >>> cells.labels.tolist(), cells.number.tolist()
    ([0, 7, 300], [[1, 0], [1, 2]])
    """
    labels = host_integers(name, labels)
    if labels.ndim != 2 or not labels.size:
        raise ValueError(f"{name} must be a label image [y, x], got shape {labels.shape}")
    if labels.min() < 0:
        raise InputError(
            f"{name} holds label {labels.min()}; 0 is background and the labels of cells are positive"
        )
    covered = labels > 0
    pixels = labels[covered]
    present = np.unique(pixels)
    number = np.zeros(labels.shape, np.int32)
    number[covered] = np.searchsorted(present, pixels) + 1
    return NumberedCells(labels=np.concatenate([np.zeros(1, labels.dtype), present]), number=number)


class AreasAndCentroids(NamedTuple):
    """Areas and centroids of the cells of a label image, in the order of their numbers."""

    area: Int[np.ndarray, " cell"]
    """Pixels."""
    centroid: Float[np.ndarray, "cell 2"]
    """(y, x), pixel centres at whole numbers."""


def areas_and_centroids(cells: NumberedCells) -> AreasAndCentroids:
    """Areas and centroids of all cells at once, in O(pixels).

    Args:
        cells: Result of `number_cells`.

    Returns:
        A row per cell; none for an image without cells.

    >>> areas_and_centroids(number_cells(np.array([[7, 0], [7, 300]]))).centroid.tolist()
    [[0.5, 0.0], [1.0, 1.0]]
    """
    rows, columns = np.nonzero(cells.number)
    index, count = cells.number[rows, columns] - 1, len(cells.labels) - 1
    area = np.bincount(index, minlength=count)
    sums = [np.bincount(index, weights=axis, minlength=count) for axis in (rows, columns)]
    return AreasAndCentroids(area, np.stack(sums, axis=-1) / area[:, None])


def tight_boxes(
    mask: Integer[np.ndarray, "y x"], labels: Integer[np.ndarray, " cell"]
) -> Float32[np.ndarray, "cell 4"]:
    """The smallest boxes that hold the pixels of each label.

    Args:
        mask: Label image.
        labels: Labels that occur in it, positive.

    Returns:
        ``(y0, x0, y1, x1)``, half-open.
    """
    rows, columns = np.nonzero(mask)
    label = mask[rows, columns]
    size = int(max(label.max(initial=0), labels.max(initial=0))) + 1
    boxes = np.zeros((size, 4), np.float32)
    boxes[:, :2] = np.inf
    for axis, places in enumerate((rows, columns)):
        np.minimum.at(boxes[:, axis], label, places)
        np.maximum.at(boxes[:, axis + 2], label, places + 1)
    return boxes[labels]
