import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics import Counts, total_counts

NUMBERS = st.integers(0, 50)


def _counts(true, false, missed):
    return Counts(np.array(true), np.array(false), np.array(missed))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_f_score_is_the_harmonic_mean_also_where_nothing_is_found_or_to_be_found(true, false, missed):
    counts = _counts(true, false, missed)
    both = counts.precision + counts.recall
    assert_allclose(counts.f_score, 2 * counts.precision * counts.recall / both if both else 0, atol=1e-15)
    # Dice and Jaccard of one set of counts.
    assert_allclose(counts.average_precision, counts.f_score / (2 - counts.f_score), atol=1e-15)
    for share in (counts.precision, counts.recall, counts.f_score, counts.average_precision):
        assert 0 <= share <= 1


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f_score", "average_precision"),
    [
        ((3, 1, 2), 3 / 4, 3 / 5, 2 / 3, 1 / 2),
        ((0, 0, 0), 1, 1, 1, 1),
        ((0, 2, 0), 0, 1, 0, 0),
        ((0, 0, 2), 1, 0, 0, 0),
        ((0, 1, 1), 0, 0, 0, 0),
    ],
)
def test_shares_by_hand(counts, precision, recall, f_score, average_precision):
    counts = _counts(*counts)
    shares = counts.precision, counts.recall, counts.f_score, counts.average_precision
    assert_allclose(shares, [precision, recall, f_score, average_precision])


def test_totals_weigh_cells_and_not_images():
    small, large = _counts([1, 0], [0, 1], [0, 1]), _counts([8, 4], [0, 4], [2, 6])
    total = total_counts(image for image in (small, large))
    assert [column.tolist() for column in total] == [[9, 4], [0, 5], [2, 7]]
    assert_allclose(total.recall, [9 / 11, 4 / 11])
    assert_allclose(total_counts([_counts(1, 2, 3)]), [1, 2, 3])


def test_no_image_has_no_total():
    with pytest.raises(InputError, match="at least one image"):
        total_counts([])
