"""Counts of true positives, false positives and false negatives, and the ratios computed from them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from cellmotion_jax.errors import InputError


class Counts(NamedTuple):
    """Counts of one image or of many, single numbers or one per threshold.

    Every ratio is that of the summed counts; add up the images with :func:`total_counts` first. A ratio
    without any case is 1: without predictions no prediction is false, and without targets no target is
    missed. So an empty image without predictions scores 1 in all ratios.
    """

    true_positives: Int[np.ndarray, "*threshold"]
    """Predictions that are matched to a target; their number is that of the matched targets."""
    false_positives: Int[np.ndarray, "*threshold"]
    """Predictions that are not matched."""
    false_negatives: Int[np.ndarray, "*threshold"]
    """Targets that are not matched."""

    @property
    def precision(self) -> Float[np.ndarray, "*threshold"]:
        """Share of the predictions that are true, TP / (TP + FP)."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Float[np.ndarray, "*threshold"]:
        """Share of the targets that are found, TP / (TP + FN)."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f_score(self) -> Float[np.ndarray, "*threshold"]:
        """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
        twice = 2 * self.true_positives
        return _share(twice, twice + self.false_positives + self.false_negatives)

    @property
    def average_precision(self) -> Float[np.ndarray, "*threshold"]:
        """TP / (TP + FP + FN), which StarDist, Cellpose and the Data Science Bowl 2018 call by this name.

        It is not an area under a precision-recall curve. Cellpose averages it over images instead of adding
        up the counts, and gives NaN where there is nothing to find and nothing found.
        """
        return _share(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)


def total_counts(counts: Iterable[Counts]) -> Counts:
    """Adds up the counts of several images.

    Args:
        counts: One per image, all of the same thresholds; at least one.

    Returns:
        Their sums.

    Raises:
        InputError: If there are none.

    >>> image = Counts(np.array(3), np.array(1), np.array(0))
    >>> float(total_counts([image, image]).precision)
    0.75
    """
    images = tuple(counts)
    if not images:
        raise InputError("counts must hold the counts of at least one image")
    return Counts(*(np.asarray(np.sum(column, axis=0)) for column in zip(*images)))


def _share(part: Int[ArrayLike, "..."], whole: Int[ArrayLike, "..."]) -> Float[np.ndarray, "..."]:
    part, whole = np.asarray(part), np.asarray(whole)
    return np.where(whole == 0, 1.0, part / np.maximum(whole, 1))
