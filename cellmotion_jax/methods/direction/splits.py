"""Random 40/10/50 splits with a seed: by sample as in the paper, or leak-free by group."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from cellmotion_jax.errors import InputError

# Section 3 of Bruns et al. 2024: 40 % training, 10 % validation, 50 % test.
_TRAIN, _TRAIN_AND_VALIDATION = 0.4, 0.5


class Split(NamedTuple):
    """Indices of samples, ascending; every sample is in exactly one part, and no part is empty.

    Attributes:
        train: Training samples.
        validation: Validation samples.
        test: Test samples.
    """

    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    test: Int[np.ndarray, " test"]


def split_by_image(n: int, *, fold: int, seed: int) -> Split:
    """Splits samples at random into 40 % training, 10 % validation and 50 % test, the paper's protocol.

    Neighbouring frames of one cell are in different parts, so that the test error is too small; see
    `split_by_group` for the alternative.

    Args:
        n: Number of samples, at least 3.
        fold: Which of the independent random splits, counted from 0.
        seed: Seed; the split is a pure function of (n, fold, seed).

    Returns:
        The split.

    Raises:
        InputError: If there are fewer than 3 samples.

    References:
        Bruns et al., Single Image Estimation of Cell Migration Direction by Deep Circular Regression,
        2024, Section 3.
    """
    return split_by_group(np.arange(n), fold=fold, seed=seed)


def split_by_group(groups: Shaped[np.ndarray, " sample"], *, fold: int, seed: int) -> Split:
    """Splits whole groups, e.g. tracks or movies, so that no group is in two parts.

    Groups are shuffled and assigned in this order; each part ends where its share of the samples is closest
    to 40/10/50. With groups of very different sizes the shares may differ much from that, but no part is
    empty.

    Args:
        groups: Group of every sample, of any type that sorts.
        fold: Which of the independent random splits, counted from 0.
        seed: Seed; the split is a pure function of (groups, fold, seed).

    Returns:
        The split.

    Raises:
        InputError: If there are fewer than 3 groups.

    >>> [len(part) for part in split_by_group(np.repeat(np.arange(10), 7), fold=0, seed=0)]
    [28, 7, 35]
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 3:
        raise InputError(
            f"{len(groups)} samples in {len(sizes)} groups cannot be split; training, validation and test "
            "each need a group of their own."
        )
    order = np.random.default_rng([seed, fold]).permutation(len(sizes))
    filled = np.cumsum(sizes[order])
    first = _nearest(filled, _TRAIN, low=0, high=len(sizes) - 3)
    second = _nearest(filled, _TRAIN_AND_VALIDATION, low=first + 1, high=len(sizes) - 2)
    rank = np.argsort(order)[group]
    return Split(
        train=np.flatnonzero(rank <= first),
        validation=np.flatnonzero((first < rank) & (rank <= second)),
        test=np.flatnonzero(rank > second),
    )


def _nearest(filled: Int[np.ndarray, " group"], share: float, *, low: int, high: int) -> int:
    """Index from low to high at which the cumulated number of samples is nearest to a share of the total."""
    return low + int(np.argmin(np.abs(filled[low : high + 1] - share * filled[-1])))
