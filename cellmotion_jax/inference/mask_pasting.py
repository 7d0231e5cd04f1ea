"""From masks on grids over boxes to one label image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, Int32


class PastedCells(NamedTuple):
    """Cells that have pixels of their own."""

    labels: Int32[np.ndarray, "y x"]
    """Label i + 1 on the pixels of cell i of ``kept``, 0 for background."""
    kept: Int[np.ndarray, " cell"]
    """Index of every cell among those given, in their order."""


def label_image(
    masks: Float32[np.ndarray, "cell side side"],
    boxes: Float[np.ndarray, "cell 4"],
    *,
    shape: tuple[int, int],
    threshold: float = 0.5,
    most_covered: float = 0.5,
    smallest_area: int = 1,
) -> PastedCells:
    """Pastes masks into an image; a pixel belongs to the cell whose probability is highest there.

    Each mask is interpolated bilinearly at the pixel centres of its box, towards 0 beyond its outer points. A
    cell most of whose pixels are covered by those before it is the same cell once more, and left out.
    O(pixels of all boxes) time, and memory of one box besides the image.

    Args:
        masks: Probabilities on a grid over each box; the best cells come first.
        boxes: ``(y0, x0, y1, x1)`` in pixels, half-open: pixel i covers ``[i, i + 1)``. An empty box, and one
            outside of the image, shows no cell.
        shape: Rows and columns of the image.
        threshold: Probability from which a pixel belongs to a cell.
        most_covered: Largest share of a cell's pixels that earlier cells may cover.
        smallest_area: A cell with fewer pixels is left out.

    Returns:
        The label image, and which cells it shows.

    >>> boxes = np.array([[0, 0, 2, 2], [0, 2, 2, 4.0]])
    >>> pasted = label_image(np.ones((2, 4, 4), np.float32), boxes, shape=(2, 5))
    >>> pasted.labels.tolist()
    [[1, 1, 2, 2, 0], [1, 1, 2, 2, 0]]
    """
    labels, best = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    kept: list[int] = []
    for cell, (mask, box) in enumerate(zip(masks, boxes.astype(np.float64))):
        if not (box[2:] > box[:2]).all():  # Nor if a side is NaN
            continue
        top, left = np.maximum(np.floor(box[:2]), 0).astype(int)
        bottom, right = np.minimum(np.ceil(box[2:]), shape).astype(int)
        if bottom <= top or right <= left:
            continue
        rows = _weights(np.arange(top, bottom) + 0.5, box[0], box[2], mask.shape[0])
        columns = _weights(np.arange(left, right) + 0.5, box[1], box[3], mask.shape[1])
        window = np.s_[top:bottom, left:right]
        probability = rows @ mask @ columns.T
        inside = probability > threshold
        area = np.count_nonzero(inside)
        if area < smallest_area or np.count_nonzero(inside & (labels[window] > 0)) > most_covered * area:
            continue
        kept.append(cell)
        taken = inside & (probability > best[window])
        labels[window][taken] = len(kept)
        best[window][taken] = probability[taken]
    return _without_empty(labels, np.array(kept, np.int64), smallest_area)


def _weights(
    points: Float[np.ndarray, " pixel"], start: float, end: float, side: int
) -> Float32[np.ndarray, "pixel side"]:
    """Shares of the grid points of a mask in the interpolated value of every pixel along an axis."""
    place = (points - start) / (end - start) * side - 0.5
    distance = np.abs(place[:, None] - np.arange(side)[None])
    inside = (points > start) & (points < end)
    return (np.maximum(1 - distance, 0) * inside[:, None]).astype(np.float32)


def _without_empty(
    labels: Int32[np.ndarray, "y x"], kept: Int[np.ndarray, " cell"], smallest_area: int
) -> PastedCells:
    """Leaves out the cells that lost their pixels to others."""
    area = np.bincount(labels.ravel(), minlength=len(kept) + 1)[1:]
    remains = area >= smallest_area
    number = np.concatenate([[0], np.where(remains, np.cumsum(remains), 0)]).astype(np.int32)
    return PastedCells(number[labels], kept[remains])
