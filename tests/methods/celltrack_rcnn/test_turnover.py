"""Costs of births and ends from what is seen of them in the movie."""

import numpy as np
import pytest

from cellmotion_jax.methods.celltrack_rcnn.fusion import FrameLinks
from cellmotion_jax.methods.celltrack_rcnn.pair_features import Measured
from cellmotion_jax.methods.celltrack_rcnn.turnover import NOTHING_SEEN, at_border

PLACES = np.array([False, True])


def links(source, steps=1):
    source = np.array(source, np.int64)
    return FrameLinks(source, np.broadcast_to(steps, source.shape), np.ones(len(source)))


def test_before_anything_is_seen_the_costs_are_those_expected():
    np.testing.assert_allclose(NOTHING_SEEN.cost(PLACES, expected=3.5, weight=100.0), 3.5)


def test_the_cost_is_the_share_of_the_cells_that_came_or_went_in_each_place():
    inside, border = np.zeros(8, bool), np.ones(8, bool)
    seen = NOTHING_SEEN.after(links(range(8)), inside, inside)
    seen = seen.after(links([0, 1, 2, 3, -1, -1, -1, -1]), border, border)
    cost = seen.cost(PLACES, expected=2.0, weight=1e-9)
    assert cost[0] > 20  # Nothing has come or gone there.
    assert cost[1] == pytest.approx(np.log(2))


def test_what_is_expected_counts_for_so_many_cells():
    cells = np.zeros(100, bool)
    seen = NOTHING_SEEN.after(links(np.full(100, -1)), cells, cells)
    share = (100 + 100 * 0.01) / 200
    assert seen.cost(PLACES, expected=-np.log(0.01), weight=100.0)[0] == pytest.approx(-np.log(share))
    assert seen.cost(PLACES, expected=4.0, weight=1e12)[0] == pytest.approx(4.0)


def test_a_link_across_a_gap_is_no_birth_but_ends_are_those_of_the_frame_before():
    one, two = np.zeros(1, bool), np.zeros(2, bool)
    seen = NOTHING_SEEN.after(links([0, 1], [1, 2]), one, two)
    assert seen.changes.tolist() == [0, 0]
    seen = NOTHING_SEEN.after(links([0, 0], [2, 2]), one, two)
    assert seen.changes.tolist() == [0.5, 0]
    np.testing.assert_array_equal(seen.cells, [1.5, 0])


def test_without_cells_nothing_is_learned():
    none = np.zeros(0, bool)
    seen = NOTHING_SEEN.after(links([]), none, none)
    np.testing.assert_array_equal(seen.changes, 0)
    assert len(seen.cost(none, expected=3.0, weight=1.0)) == 0


def test_cells_within_a_diameter_of_the_border_may_cross_it():
    centre = np.array([[50.0, 50.0], [50.0, 9.0], [50.0, 11.0], [92.0, 50.0], [50.0, 70.0]])
    cells = Measured(centre, np.full(5, np.pi * 25))
    assert at_border(cells, (100, 80)).tolist() == [False, True, False, True, True]
