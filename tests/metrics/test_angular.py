import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose

from cellmotion_jax import metrics
from cellmotion_jax.errors import InputError
from tests.strategies import angle_arrays

N = 8
mean_angular_error_deg = jax.jit(metrics.mean_angular_error_deg)


@given(angle_arrays(N), angle_arrays(N))
def test_mean_angular_error_is_equation_13(predictions, targets):
    difference = np.abs(np.abs(predictions).astype(np.float64) - np.abs(targets))
    expected = np.degrees(np.minimum(difference, 2 * math.pi - difference)).mean()
    assert_allclose(mean_angular_error_deg(np.abs(predictions), np.abs(targets)), expected, atol=1e-3)


def test_mean_angular_error_of_opposite_directions_is_half_a_turn():
    assert_allclose(mean_angular_error_deg(jnp.array([0.0, 1]), jnp.array([math.pi, 1 - math.pi])), 180)


def test_a_uniform_guess_is_off_by_its_constant():
    evenly = jnp.linspace(0, 2 * math.pi, 3600, endpoint=False)
    error = metrics.mean_angular_error_deg(evenly, jnp.zeros(3600))
    assert_allclose(error, metrics.UNIFORM_GUESS_DEG, atol=1e-3)


def test_mean_angular_error_refuses_nothing_and_differing_shapes():
    with pytest.raises(ValueError, match="no angle to average"):
        metrics.mean_angular_error_deg(jnp.zeros(0), jnp.zeros(0))
    with pytest.raises(ValueError, match="same shape"):
        metrics.mean_angular_error_deg(jnp.zeros(3), jnp.zeros((3, 1)))


@pytest.mark.parametrize(
    ("accuracy", "each_wrong", "mean", "maximal_as_printed"),
    [(0.8789, 0.0404, 33.41, 52.28), (0.8186, 0.0605, 38.84, 55.89)],
)
def test_the_papers_quadrant_baseline_to_the_printed_digit(accuracy, each_wrong, mean, maximal_as_printed):
    printed = metrics.quadrant_baseline_deg(accuracy, each_wrong=each_wrong)
    assert round(printed.mean, 2) == mean
    assert round(printed.maximal_as_printed, 2) == maximal_as_printed
    unrounded = metrics.quadrant_baseline_deg(accuracy)
    assert_allclose(unrounded, printed, atol=0.03)


def test_the_quadrant_baseline_agrees_with_a_simulated_classifier():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 360, 200_000)
    off_by = rng.choice(4, size=len(truth), p=[0.7, 0.1, 0.1, 0.1])
    answer = 90 * ((truth // 90 + off_by) % 4) + 45
    error = np.abs((answer - truth + 180) % 360 - 180)
    baseline = metrics.quadrant_baseline_deg(0.7)
    assert_allclose(error.mean(), baseline.mean, rtol=0.01)
    largest = np.array([error[off_by == k].max() for k in range(4)])
    assert_allclose(largest[off_by].mean(), baseline.maximal, rtol=0.01)


@pytest.mark.parametrize("arguments", [{"accuracy": 87.89}, {"accuracy": 0.9, "each_wrong": -0.1}])
def test_shares_in_percent_are_refused(arguments):
    with pytest.raises(InputError, match="must be a share between 0 and 1"):
        metrics.quadrant_baseline_deg(**arguments)


@pytest.mark.parametrize(
    ("mean", "std", "estimate"),
    [(17.27, 2.26, 24.05), (17.18, 2.17, 23.69), (16.93, 3.69, 28.00), (17.47, 2.59, 25.24)],
)
def test_the_papers_maximum_errors(mean, std, estimate):
    assert round(metrics.maximum_error_estimate_deg(mean, std), 2) == estimate
