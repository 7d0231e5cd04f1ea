"""Geodesic distances compared with Euclidean ones, with scikit-image, and with invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from skimage.graph import MCP_Geometric

from cellmotion_jax.morphology import geodesic_distance, join_pieces, shortest_way

SMALL = hnp.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8)))


def _eight(mask, start):
    return MCP_Geometric(np.where(mask, 1.0, -1.0)).find_costs([start])[0]


def test_in_the_open_it_is_at_most_1_3_percent_too_long_in_any_direction():
    y, x = np.indices((121, 121))
    true = np.hypot(y - 60, x - 60)
    ratio = geodesic_distance(np.ones(true.shape, bool), (60, 60))[true > 0] / true[true > 0]
    assert ratio.min() > 1 - 1e-9
    assert 1.012 < ratio.max() < 1.0131
    assert ratio.mean() < 1.006


@pytest.mark.parametrize("degrees", range(0, 91, 10))
def test_along_a_narrow_strip_of_any_direction_it_is_as_good(degrees):
    y, x = np.indices((121, 121))
    across = (y - 60) * np.cos(np.deg2rad(degrees)) + (x - 60) * np.sin(np.deg2rad(degrees))
    strip = np.abs(across) <= 1.5
    true = np.hypot(y - 60, x - 60)
    far = strip & (true > 20)
    ratio = geodesic_distance(strip, (60, 60))[far] / true[far]
    assert 1 - 1e-9 < ratio.min() <= ratio.max() < 1.02


@given(SMALL, st.integers(0, 7), st.integers(0, 7))
def test_it_reaches_what_steps_to_neighbours_reach_and_is_never_longer(mask, row, column):
    start = row % mask.shape[0], column % mask.shape[1]
    mask[start] = True
    distance, longer = geodesic_distance(mask, start), _eight(mask, start)
    assert_array_equal(np.isfinite(distance), np.isfinite(longer))
    reached = np.isfinite(distance)
    assert (distance[reached] <= longer[reached] + 1e-9).all()
    assert_allclose(geodesic_distance(mask.T, start[::-1]), distance.T)


def test_a_gap_of_one_pixel_is_not_jumped():
    mask = np.ones((5, 9), bool)
    mask[:4, 4] = False
    distance = geodesic_distance(mask, (0, 3))
    assert distance[0, 5] > 8


@given(SMALL, st.integers(0, 7), st.integers(0, 7))
def test_the_way_is_as_long_as_the_distance_says(mask, row, column):
    start = row % mask.shape[0], column % mask.shape[1]
    mask[start] = True
    distance = geodesic_distance(mask, start)
    farthest = np.argwhere(np.isfinite(distance))[distance[np.isfinite(distance)].argmax()]
    way = shortest_way(distance, farthest)
    assert_array_equal(way[[0, -1]], [farthest, start])
    assert mask[tuple(way.T)].all()
    assert_allclose(np.hypot(*np.diff(way, axis=0).T).sum(), distance[tuple(farthest)])


def test_a_start_outside_and_a_pixel_without_a_way_are_refused():
    mask = np.array([[True, False, True]])
    with pytest.raises(ValueError, match=r"start \(0, 1\)"):
        geodesic_distance(mask, (0, 1))
    with pytest.raises(ValueError, match=r"pixel \[0, 2\]"):
        shortest_way(geodesic_distance(mask, (0, 0)), np.array([0, 2]))


@given(SMALL)
def test_joined_pieces_hang_together_and_nothing_is_lost(mask):
    joined = join_pieces(mask)
    assert (joined | ~mask).all()
    if mask.any():
        start = tuple(int(i) for i in np.argwhere(joined)[0])
        assert np.isfinite(geodesic_distance(joined, start)[joined]).all()
