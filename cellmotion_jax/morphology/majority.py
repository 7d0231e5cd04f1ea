"""Smoothing of a label image by a majority filter."""

from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Int, Integer

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology.windows import cell_windows
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.host_arguments import one_integer
from cellmotion_jax.ops.labels import number_cells


def majority_filter(
    labels: Number[ArrayLike, "y x"] | Sequence, *, size: int = 25
) -> Integer[np.ndarray, "y x"]:
    """Gives each pixel the label that is most frequent in the window around it, background included.

    Of equally frequent labels the pixel keeps its own, else takes background, else the smallest label.
    At the edge of the image the window is what of it lies within. DeepDistance (Koyuncu et al. 2020,
    Section 4.7) smooths with "a size of 25", which is taken to be the side of a square. The cost is that
    of the bounding boxes of the cells, each widened by half a window.

    Args:
        labels: Label image.
        size: Side of the window in pixels, odd; 1 changes nothing.

    Returns:
        Label image. Corners are rounded; what is narrower than about half a window is gone.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label is negative, or ``size`` is not odd and positive.

    >>> majority_filter(np.array([[0, 0, 5, 0, 5, 5, 0, 5]]), size=3).tolist()
    [[0, 0, 0, 5, 5, 5, 5, 5]]
    """
    size = one_integer("size", size)
    if size < 1 or size % 2 == 0:
        raise InputError(f"the size of a majority filter must be odd and positive, got {size}")
    cells = number_cells(labels)
    reach = min(size // 2, max(cells.number.shape))  # Beyond the image there is nothing to count.
    winner = np.zeros_like(cells.number)
    background = cells.number == 0
    # Twice the count, and one for the pixel's own label: that decides draws and nothing else.
    best = 2 * _window_sums(background, reach) + background
    for number, window, inside in cell_windows(cells.number, margin=reach):
        votes = 2 * _window_sums(inside, reach) + inside
        better = votes > best[window]
        best[window][better] = votes[better]
        winner[window][better] = number
    return cells.labels[winner]


def _window_sums(mask: Bool[np.ndarray, "y x"], reach: int) -> Int[np.ndarray, "y x"]:
    """Number of True pixels in the square window around each pixel, by summed areas."""
    size = 2 * reach + 1
    sums = np.pad(mask, (reach + 1, reach)).cumsum(0, dtype=np.int64).cumsum(1)
    return sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
