import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose
from scipy.optimize import linear_sum_assignment

from cellmotion_jax.metrics.matching import cheapest_largest_matching

# Many equal costs, zeros among them, and no candidate where the cost is 9.
COSTS = hnp.arrays(
    np.int8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
    elements=st.sampled_from([0, 1, 2, 5, 9, 9]),
)


def _best_by_enumeration(costs):
    """Number and cost of the best of all injections of the shorter side into the longer one."""
    costs = costs if costs.shape[0] <= costs.shape[1] else costs.T
    outcomes = []
    for columns in itertools.permutations(range(costs.shape[1]), costs.shape[0]):
        allowed = [int(c) for c in costs[np.arange(costs.shape[0]), list(columns)] if c != 9]
        outcomes.append((-len(allowed), sum(allowed)))
    pairs, cost = min(outcomes)
    return -pairs, cost


@given(COSTS)
def test_most_pairs_first_and_least_cost_then(costs):
    first, second = np.nonzero(costs != 9)
    cost = costs[first, second].astype(float)
    chosen = cheapest_largest_matching(first, second, cost)
    for side in (first, second):
        assert len(np.unique(side[chosen])) == len(chosen)
    assert (len(chosen), cost[chosen].sum()) == _best_by_enumeration(costs)


@pytest.mark.parametrize("density", [0.005, 0.05, 1.0])
def test_as_good_as_a_dense_assignment_of_hundreds(density):
    rng = np.random.default_rng(0)
    costs = rng.random((150, 170)) * 30
    candidate = rng.random(costs.shape) < density
    first, second = np.nonzero(candidate)
    chosen = cheapest_largest_matching(first, second, costs[first, second])
    rows, columns = linear_sum_assignment(np.where(candidate, costs, 1e5))
    paired = candidate[rows, columns]
    assert len(chosen) == paired.sum()
    assert_allclose(costs[first, second][chosen].sum(), costs[rows, columns][paired].sum())


def test_indices_may_have_gaps_and_no_candidates_make_no_pairs():
    first, second = np.array([7, 1000000]), np.array([3, 3])
    assert cheapest_largest_matching(first, second, np.array([0.5, 0.25])).tolist() == [1]
    assert cheapest_largest_matching(first[:0], second[:0], np.zeros(0)).size == 0
