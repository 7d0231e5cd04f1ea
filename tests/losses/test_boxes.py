import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.losses import sigmoid_cross_entropy, smooth_l1

NUMBERS = st.floats(-50, 50, width=32)
slope = jax.jit(jax.grad(lambda p, t, beta: smooth_l1(p, t, beta=beta)))


@given(NUMBERS, NUMBERS, st.sampled_from([1 / 9, 1.0, 3.0]))
def test_it_is_quadratic_below_beta_and_linear_above(prediction, target, beta):
    error = abs(np.float32(prediction) - np.float32(target))
    right = error**2 / (2 * beta) if error < beta else error - beta / 2
    assert float(smooth_l1(prediction, target, beta=beta)) == pytest.approx(right, rel=1e-5, abs=1e-6)
    assert abs(float(slope(prediction, target, beta))) <= 1


def test_its_gradient_is_continuous_and_zero_at_the_target():
    beta = 0.25
    assert float(slope(1.0, 1.0, beta)) == 0
    assert float(slope(beta * 0.9999, 0.0, beta)) == pytest.approx(float(slope(beta, 0.0, beta)), abs=1e-3)


def test_what_does_not_count_may_be_nan():
    def loss(predictions):
        return smooth_l1(predictions, jnp.zeros(3), where=jnp.array([True, False, True])).sum()

    value, gradient = jax.value_and_grad(loss)(jnp.array([2.0, jnp.nan, 0.5]))
    assert float(value) == 1.625
    assert gradient.tolist() == [1.0, 0.0, 0.5]


@given(NUMBERS, st.floats(0, 1, width=32))
def test_the_binary_cross_entropy_of_a_probability(logit, label):
    with np.errstate(divide="ignore"):
        z, y = np.float64(logit), np.float64(label)
        right = y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)
    assert float(sigmoid_cross_entropy(logit, label)) == pytest.approx(right, rel=1e-5, abs=1e-5)
    gradient = float(jax.grad(sigmoid_cross_entropy)(float(logit), label))
    assert gradient == pytest.approx(1 / (1 + np.exp(-np.float64(logit))) - label, abs=1e-5)


def test_sure_and_wrong_stays_finite():
    losses = sigmoid_cross_entropy(jnp.array([1e4, -1e4]), jnp.array([0, 1]))
    assert losses.tolist() == [1e4, 1e4]
