"""Counts of true positives, false positives and false negatives, and the ratios computed from them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.host_arguments import host_int64


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
        found, false, _ = self._columns()
        return _share(found, found + false)

    @property
    def recall(self) -> Float[np.ndarray, "*threshold"]:
        """Share of the targets that are found, TP / (TP + FN)."""
        found, _, missed = self._columns()
        return _share(found, found + missed)

    @property
    def f_score(self) -> Float[np.ndarray, "*threshold"]:
        """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
        found, false, missed = self._columns()
        return _share(2 * found, 2 * found + false + missed)

    @property
    def average_precision(self) -> Float[np.ndarray, "*threshold"]:
        """TP / (TP + FP + FN), which StarDist, Cellpose and the Data Science Bowl 2018 call by this name.

        It is not an area under a precision-recall curve. Cellpose averages it over images instead of adding
        up the counts, and gives NaN where there is nothing to find and nothing found.
        """
        found, false, missed = self._columns()
        return _share(found, found + false + missed)

    def _columns(self) -> list[Int[np.ndarray, "*threshold"]]:
        """The three in a type whose sums do not overflow; counts may be given as lists or small integers."""
        return [host_int64(name, column) for name, column in self._asdict().items()]


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
    # Counts are three columns, and would be taken for three images.
    images = () if isinstance(counts, Counts) else tuple(counts)
    if not images or not all(isinstance(image, Counts) for image in images):
        raise InputError("counts must be a list with the Counts of at least one image")
    return Counts(
        *(np.asarray(np.sum(column, axis=0)) for column in zip(*(image._columns() for image in images)))
    )


def _share(part: Int[ArrayLike, "..."], whole: Int[ArrayLike, "..."]) -> Float[np.ndarray, "..."]:
    return np.where(whole == 0, 1.0, part / np.maximum(whole, 1))
