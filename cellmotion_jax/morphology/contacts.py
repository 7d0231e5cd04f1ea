"""Pixels where cells touch or nearly touch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool
from scipy import ndimage

from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.labels import number_cells


def contact_map(labels: Number[ArrayLike, "y x"] | Sequence, *, reach: int) -> Bool[np.ndarray, "y x"]:
    """Pixels with two different cells in the square around them.

    Args:
        labels: Label image, 0 for background, from 0 on.
        reach: Pixels from the middle of the square to its edge; 1 gives the pixels on both sides of a
            border that two cells share, and a gap of one pixel between two cells.

    Returns:
        True on these pixels.

    >>> contact_map(np.array([[1, 1, 1, 0, 2, 2, 2]]), reach=1).astype(int).tolist()
    [[0, 0, 0, 1, 0, 0, 0]]
    """
    cells = number_cells(labels)
    none, window = len(cells.labels), 2 * reach + 1
    largest = ndimage.maximum_filter(cells.number, size=window, mode="nearest")
    filled = np.where(cells.number > 0, cells.number, none)
    smallest = ndimage.minimum_filter(filled, size=window, mode="nearest")
    return (largest > 0) & (smallest != largest)
