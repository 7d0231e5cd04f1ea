"""Comparison of two label images: overlaps, matched cells, counts at thresholds of IoU.

The IoU of two cells is the number of pixels that they share over the number that at least one has.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse
from jax.typing import ArrayLike
from jaxtyping import Float, Int, Integer

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics.counts import Counts
from cellmotion_jax.metrics.matching import cheapest_largest_matching
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.host_arguments import host_floats, host_integers, one_number
from cellmotion_jax.ops.labels import number_cells

IOU_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""Thresholds of IoU, as in the evaluation of StarDist and Cellpose."""


class CellOverlaps(NamedTuple):
    """All pairs of a predicted and a true cell that share a pixel, and the cells themselves."""

    predicted_label: Integer[np.ndarray, " predicted"]
    """Labels of the predicted cells, ascending."""
    true_label: Integer[np.ndarray, " true"]
    """Labels of the true cells, ascending."""
    predicted_area: Int[np.ndarray, " predicted"]
    """Pixels of each predicted cell."""
    true_area: Int[np.ndarray, " true"]
    """Pixels of each true cell."""
    predicted: Int[np.ndarray, " pair"]
    """Position of each pair's predicted cell in ``predicted_label``, ascending."""
    true: Int[np.ndarray, " pair"]
    """Position of each pair's true cell in ``true_label``."""
    shared: Int[np.ndarray, " pair"]
    """Pixels that the two have in common, at least 1."""

    @property
    def iou(self) -> Float[np.ndarray, " pair"]:
        """Intersection over union of each pair, in (0, 1]."""
        areas = self.predicted_area[self.predicted] + self.true_area[self.true]
        return self.shared / (areas - self.shared)


class CellMatches(NamedTuple):
    """Matches of predicted and true cells, by label."""

    predicted: Integer[np.ndarray, " pair"]
    """Labels of the predicted cells that are true positives, ascending."""
    true: Integer[np.ndarray, " pair"]
    """Labels of the true cells that they match."""
    iou: Float[np.ndarray, " pair"]
    """Intersection over union of each pair."""
    false_predicted: Integer[np.ndarray, " false"]
    """Labels of the predicted cells without a true one."""
    missed_true: Integer[np.ndarray, " missed"]
    """Labels of the true cells without a predicted one."""

    @property
    def counts(self) -> Counts:
        """The numbers of pairs, of false cells and of missed ones."""
        columns = self.iou, self.false_predicted, self.missed_true
        return Counts(*(np.array(column.size) for column in columns))


def cell_overlaps(
    predictions: Number[ArrayLike, "y x"] | Sequence, targets: Number[ArrayLike, "..."] | Sequence
) -> CellOverlaps:
    """Counts the pixels that predicted and true cells share, in one pass over the image.

    Args:
        predictions: Label image.
        targets: Label image of the same shape.

    Returns:
        The overlapping pairs.

    Raises:
        ValueError: If the shapes differ or are not those of images.
        InputError: If a label is negative.

    >>> overlaps = cell_overlaps(np.array([[1, 1, 0, 8]]), np.array([[0, 2, 2, 0]]))
    >>> overlaps.predicted_label[overlaps.predicted].tolist(), overlaps.shared.tolist()
    ([1], [1])
    """
    return overlaps_by_name(predictions=predictions, targets=targets)


def overlaps_by_name(**images: Number[ArrayLike, "..."] | Sequence) -> CellOverlaps:
    """`cell_overlaps` of two label images under the names by which the caller's user knows them."""
    (name, predictions), (other, targets) = [(n, host_integers(n, image)) for n, image in images.items()]
    if predictions.shape != targets.shape:
        raise ValueError(
            f"{name} has shape {predictions.shape}, but {other} has {targets.shape}; they must be equal"
        )
    first, second = number_cells(predictions, name=name), number_cells(targets, name=other)
    both = (first.number > 0) & (second.number > 0)
    shape = len(first.labels) - 1, len(second.labels) - 1
    positions = first.number[both] - 1, second.number[both] - 1
    # Compressing the rows adds up equal positions, in time proportional to their number.
    table = scipy.sparse.csr_array((np.ones(len(positions[0]), np.int64), positions), shape=shape)
    table.sort_indices()
    return CellOverlaps(
        predicted_label=first.labels[1:],
        true_label=second.labels[1:],
        predicted_area=np.bincount(first.number.ravel(), minlength=len(first.labels))[1:],
        true_area=np.bincount(second.number.ravel(), minlength=len(second.labels))[1:],
        predicted=np.repeat(np.arange(shape[0]), np.diff(table.indptr)),
        true=table.indices,
        shared=table.data,
    )


def cell_matches(
    predictions: Number[ArrayLike, "y x"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    threshold: Number[ArrayLike, ""] = 0.5,
) -> CellMatches:
    """Matches as many cells with an IoU of at least ``threshold`` as possible, with the largest sum of IoU.

    From a threshold above 0.5 on no cell has a choice. At or below it the pairs are an optimal assignment:
    the most pairs, and of all such pairings the largest sum of IoU.

    Args:
        predictions: Label image.
        targets: Label image of the same shape.
        threshold: Smallest IoU of a pair, in (0, 1].

    Returns:
        The pairs, and the rest of both.

    Raises:
        ValueError: If the shapes differ or are not those of images.
        InputError: If a label is negative or the threshold out of its range.
    """
    (threshold,) = _thresholds([one_number("threshold", threshold)])
    overlaps = cell_overlaps(predictions, targets)
    pair = _pairs(overlaps, threshold)
    predicted, true = overlaps.predicted[pair], overlaps.true[pair]
    return CellMatches(
        predicted=overlaps.predicted_label[predicted],
        true=overlaps.true_label[true],
        iou=overlaps.iou[pair],
        false_predicted=np.delete(overlaps.predicted_label, predicted),
        missed_true=np.delete(overlaps.true_label, true),
    )


def segmentation_counts(
    predictions: Number[ArrayLike, "y x"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    thresholds: Number[ArrayLike, " threshold"] | Sequence = IOU_THRESHOLDS,
) -> Counts:
    """True and false positives and false negatives of one image at each threshold of IoU.

    ``segmentation_counts(...).average_precision`` is the AP of the image; for that of a data set, which
    weighs cells and not images equally, take it from ``total_counts`` of all images.

    Args:
        predictions: Label image.
        targets: Label image of the same shape.
        thresholds: IoU from which on two cells match, each in (0, 1].

    Returns:
        One count per threshold.

    Raises:
        ValueError: If the shapes differ or are not those of images.
        InputError: If a label is negative or a threshold out of its range.

    >>> targets = np.array([[1, 1, 1, 0, 2, 2]])
    >>> counts = segmentation_counts(np.array([[1, 1, 0, 0, 2, 2]]), targets, thresholds=[0.5, 0.9])
    >>> counts.average_precision.round(2).tolist()
    [1.0, 0.33]
    """
    thresholds = _thresholds(thresholds)
    overlaps = cell_overlaps(predictions, targets)
    found = np.array([len(_pairs(overlaps, threshold)) for threshold in thresholds], np.int64)
    return Counts(found, len(overlaps.predicted_label) - found, len(overlaps.true_label) - found)


def _pairs(overlaps: CellOverlaps, threshold: float) -> Int[np.ndarray, " pair"]:
    """Positions of the overlaps that are matches at a threshold."""
    iou = overlaps.iou
    enough = np.flatnonzero(iou >= threshold)
    chosen = cheapest_largest_matching(overlaps.predicted[enough], overlaps.true[enough], 1 - iou[enough])
    return enough[chosen]


def _thresholds(thresholds: Number[ArrayLike, " threshold"] | Sequence) -> list[float]:
    numbers = host_floats("thresholds", thresholds, "threshold").tolist()
    for threshold in numbers:
        if not 0 < threshold <= 1:
            raise InputError(f"a threshold of IoU must be above 0 and at most 1, got {threshold:g}")
    return numbers
