import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology import majority_filter
from tests.label_images import discs, label_images


def _by_definition(labels, size):
    reach, winner = min(size // 2, max(labels.shape)), np.zeros_like(labels)
    for y, x in np.ndindex(labels.shape):
        window = labels[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        present, votes = np.unique(window, return_counts=True)
        leading = present[votes == votes.max()]
        winner[y, x] = labels[y, x] if labels[y, x] in leading else leading[0]
    return winner


@given(label_images(), st.sampled_from([1, 3, 5, 25, 99, 10**9 + 1]))
def test_the_most_frequent_label_of_the_window_wins(labels, size):
    assert_array_equal(majority_filter(labels, size=size), _by_definition(labels, size))


def test_a_large_disc_stays_while_spikes_holes_and_specks_go():
    clean = discs((120, 120), (60, 60, 40))
    rough = clean.copy()
    rough[60, 95:118] = 1
    rough[50:54, 50:54] = 0
    rough[5:9, 5:9] = 7
    smooth = majority_filter(rough)
    assert set(np.unique(smooth)) == {0, 1}
    assert np.mean(smooth != clean) < 0.02
    assert not smooth[60, 105:].any()


@pytest.mark.parametrize("size", [0, -3, 4])
def test_a_window_without_a_centre_is_refused(size):
    with pytest.raises(InputError, match=f"odd and positive, got {size}"):
        majority_filter(np.ones((3, 3), int), size=size)
