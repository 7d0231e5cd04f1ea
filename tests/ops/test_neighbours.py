import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.neighbours import nearest_offsets
from tests.strategies import arrays, masks

POINTS, OTHERS, COUNT = 4, 6, 3
whole = st.integers(-5, 5).map(float)
point_sets = arrays((POINTS, 2), whole), arrays((OTHERS, 2), whole)
compiled = jax.jit(functools.partial(nearest_offsets, count=COUNT))


@given(*point_sets, masks(POINTS, OTHERS))
def test_offsets_lead_to_the_nearest_others_that_count_the_first_of_equal_ones(points, others, where):
    found = compiled(points, others, where)
    for point, row, offsets in zip(points, where, np.asarray(found)):
        candidates = others[row] - point
        nearest = candidates[np.argsort(np.square(candidates).sum(axis=1), kind="stable")][:COUNT]
        np.testing.assert_array_equal(offsets, np.pad(nearest, ((0, COUNT - len(nearest)), (0, 0))))


def test_neighbours_of_cells_are_those_of_a_search_tree():
    """The cells of one frame, each without itself."""
    centres = np.random.default_rng(0).uniform(0, 512, (50, 2)).astype(np.float32)
    found = jax.jit(functools.partial(nearest_offsets, count=8))(centres, centres, ~np.eye(50, dtype=bool))
    _, index = scipy.spatial.cKDTree(centres).query(centres, k=9)
    np.testing.assert_allclose(found, centres[index[:, 1:]] - centres[:, None], atol=1e-4)


@given(*point_sets, masks(POINTS, OTHERS), arrays((2,), whole))
def test_moving_all_points_changes_nothing_and_turning_them_turns_the_offsets(points, others, where, shift):
    found = compiled(points, others, where)
    np.testing.assert_array_equal(compiled(points + shift, others + shift, where), found)
    quarter_turn = np.array([[0, -1], [1, 0]], np.float32)
    np.testing.assert_array_equal(
        compiled(points @ quarter_turn.T, others @ quarter_turn.T, where), found @ quarter_turn.T
    )


@pytest.mark.parametrize("others", [0, 1, 2])
def test_fewer_others_than_neighbours_leave_zeros(others):
    places = 1 + np.arange(2 * others, dtype=np.float32).reshape(others, 2)
    found = compiled(np.zeros((POINTS, 2), np.float32), places, np.ones((POINTS, others), bool))
    assert found.shape == (POINTS, COUNT, 2)
    expected = np.pad(places, ((0, COUNT - others), (0, 0)))
    np.testing.assert_array_equal(found, np.tile(expected, (POINTS, 1, 1)))


def test_others_that_do_not_count_may_hold_anything():
    rng = np.random.default_rng(0)
    points, others = rng.normal(size=(POINTS, 2)), rng.normal(size=(OTHERS, 2))
    where = np.ones((POINTS, OTHERS), bool)
    where[:, [1, 4]] = False

    def total(points, others):
        found = compiled(points, others, where)
        return jnp.sum(jnp.square(found)), found

    slope = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))
    (_, right), right_gradients = slope(points, others)
    assert np.count_nonzero(right) == right.size
    others[1], others[4] = np.nan, np.inf
    (_, found), gradients = slope(points, others)
    np.testing.assert_array_equal(found, right)
    jax.tree.map(np.testing.assert_array_equal, gradients, right_gradients)


def test_distances_in_half_precision_do_not_overflow():
    points, others = jnp.zeros((1, 2), jnp.float16), jnp.array([[900.0, 0.0], [0.0, 800.0]], jnp.float16)
    found = nearest_offsets(points, others, np.ones((1, 2), bool), count=2)
    assert found[0].tolist() == [[0, 800], [900, 0]]


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"each of 4 points .* each of 6 others; it has the shape \(6, 4\)"):
        nearest_offsets(np.zeros((4, 2)), np.zeros((6, 2)), np.ones((6, 4), bool).tolist(), count=2)
