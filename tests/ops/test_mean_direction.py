import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from cellmotion_jax import ops
from tests.ops.test_angles import TURN, same_direction
from tests.strategies import angle_arrays, angles, arrays, finite_floats

N = 6
circular_mean = jax.jit(ops.circular_mean)
resultant_length = jax.jit(ops.resultant_length)
arc_mean = jax.jit(ops.arc_mean)
arc_mean_gradient = jax.jit(jax.grad(ops.arc_mean))


def papers_windows(predictions: np.ndarray) -> list[tuple[float, float]]:
    """Range and mean of every list that the procedure of Section 2.5 visits, word by word."""
    current = sorted(np.remainder(predictions.astype(np.float64), TURN))
    windows = []
    for _ in current:
        windows.append((current[-1] - current[0], float(np.mean(current)) % TURN))
        current = sorted([*current[1:], current[0] + TURN])
    return windows


def clear_winner(predictions: np.ndarray) -> float:
    """The mean of the narrowest window; discards examples in which rounding would pick it."""
    (narrowest, mean), (second, _) = sorted(papers_windows(predictions))[:2]
    assume(second - narrowest > 1e-4)
    return mean


@given(angle_arrays(N))
def test_arc_mean_is_the_papers_procedure(predictions):
    same_direction(arc_mean(predictions), clear_winner(predictions))


@pytest.mark.parametrize("n", [1, 2, 6, 10, 14])
@given(centre=angles(), data=st.data())
def test_arc_mean_is_the_mean_along_the_arc_within_half_a_turn(n, centre, data):
    offsets = data.draw(arrays((n,), finite_floats(1.5)))
    same_direction(arc_mean(np.float32(centre) + offsets), centre + offsets.mean(dtype=np.float64))


@given(angle_arrays(N), st.permutations(range(N)))
def test_arc_mean_does_not_depend_on_the_order(predictions, order):
    assert arc_mean(predictions) == arc_mean(predictions[np.array(order)])


@given(angle_arrays(N), angles())
def test_arc_mean_turns_with_its_angles(predictions, rotation):
    rotated = predictions + np.float32(rotation)
    same_direction(arc_mean(rotated), clear_winner(predictions) + rotation)


@given(arrays((N,), finite_floats(1e6)))
def test_arc_mean_lies_in_one_turn(predictions):
    assert 0 <= arc_mean(predictions) < np.float32(TURN)


def test_arc_mean_of_equal_and_of_opposite_angles():
    assert_allclose(arc_mean(jnp.full(5, 1.25)), 1.25)
    half = math.pi / 2
    assert arc_mean(jnp.array([0.0, math.pi])) == arc_mean(jnp.array([math.pi, 0.0]))
    assert float(arc_mean(jnp.array([0.0, math.pi]))) in [pytest.approx(half), pytest.approx(3 * half)]


def test_arc_mean_gives_every_angle_the_same_gradient():
    assert_allclose(arc_mean_gradient(jnp.array([6.2, 0.1, 0.4, 6.0])), np.full(4, 0.25))
    assert_allclose(arc_mean_gradient(jnp.full(4, 2.0)), np.full(4, 0.25))


def test_arc_mean_fuses_many_at_once():
    predictions = np.random.default_rng(0).uniform(0, TURN, (2, 3, 14)).astype(np.float32)
    expected = [[min(papers_windows(one))[1] for one in row] for row in predictions]
    same_direction(ops.arc_mean(predictions), np.array(expected))


@given(angle_arrays(N))
def test_circular_mean_and_resultant_length_agree_with_scipy(angle):
    length = 1 - scipy.stats.circvar(angle.astype(np.float64))
    assert_allclose(resultant_length(angle), length, atol=2e-6)
    assert resultant_length(angle) <= 1
    if length > 0.05:  # below, the mean direction is a matter of rounding
        same_direction(circular_mean(angle), scipy.stats.circmean(angle.astype(np.float64)), atol=1e-4)


def test_weights_count_as_repetitions():
    angle, weights = jnp.array([0.2, 6.0, 1.0]), jnp.array([1.0, 3.0, 0.0])
    repeated = jnp.array([0.2, 6.0, 6.0, 6.0])
    assert_allclose(circular_mean(angle, weights=weights), circular_mean(repeated), rtol=1e-6)
    assert_allclose(resultant_length(angle, weights=weights), resultant_length(repeated), rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_averages_run_along_the_axis(axis):
    angle = np.random.default_rng(0).uniform(0, 1, (3, 4)).astype(np.float32)
    for weights in (None, jnp.ones((3, 4))):
        mean = ops.circular_mean(angle, weights=weights, axis=axis)
        assert_allclose(mean, scipy.stats.circmean(angle, axis=axis), rtol=1e-5)
        assert ops.resultant_length(angle, weights=weights, axis=axis).shape == mean.shape


def test_cancelling_directions_and_vanishing_weights_have_finite_gradients():
    weights = jnp.zeros(2)
    for function in (ops.circular_mean, ops.resultant_length):
        assert np.isfinite(jax.grad(function)(jnp.array([0.0, math.pi]))).all()
        assert function(jnp.array([1.0, 2.0]), weights=weights) == 0
        gradient = jax.grad(lambda a, f=function: f(a, weights=weights))(jnp.array([1.0, 2.0]))
        assert gradient.tolist() == [0, 0]
    assert jax.grad(ops.resultant_length)(jnp.array([1.0, 1.0])).tolist() == pytest.approx([0, 0], abs=1e-6)
