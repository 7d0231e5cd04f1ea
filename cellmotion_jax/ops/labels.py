"""Label images on the host: 0 is background, every other value names a cell."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Integer

from cellmotion_jax.errors import InputError


class NumberedCells(NamedTuple):
    """A label image whose cells are counted through; ``labels[number]`` is the image itself."""

    labels: Integer[np.ndarray, " number"]
    """Label of every number: 0 for the background, then the labels that occur, ascending."""
    number: Integer[np.ndarray, "y x"]
    """0 for background, 1 for the cell of the smallest label, and so on without gaps."""


def number_cells(labels: Integer[np.ndarray, "..."], *, name: str = "labels") -> NumberedCells:
    """Counts the cells of a label image through, so that arrays can be indexed by cell.

    Works on labels of any size in O(pixels log cells). A label may be in several pieces.

    Args:
        labels: Label image [y, x].
        name: What to call the image in a refusal.

    Returns:
        The labels in use and the image in consecutive numbers.

    Raises:
        ValueError: If it is not an image of one channel, or has no pixels.
        InputError: If a label is negative.

    >>> cells = number_cells(np.array([[7, 0], [7, 300]]))
    >>> cells.labels.tolist(), cells.number.tolist()
    ([0, 7, 300], [[1, 0], [1, 2]])
    """
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
