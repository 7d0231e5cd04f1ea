"""Squared errors of maps equal the paper's where it has a gradient; masked values have no influence."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax import losses, ops
from tests.strategies import arrays, masks

N = 8
LOSSES = ["rectified_squared_error", "probability_squared_error"]
LOSS = {name: jax.jit(getattr(losses, name)) for name in LOSSES}
VALUES = arrays(N, st.floats(-5, 5, width=32))
TARGETS = arrays(N, st.sampled_from([0.0, 0.1, 0.5, 1.0]))


def mean_of(name):
    return lambda raw, targets, where: ops.masked_mean(
        getattr(losses, name)(raw, targets, where=where), where
    )


GRADIENT = {name: jax.jit(jax.value_and_grad(mean_of(name))) for name in LOSSES}


@given(raw=VALUES, targets=TARGETS)
def test_behind_an_open_relu_it_is_the_printed_error(raw, targets):
    printed = (np.maximum(raw, 0) - targets) ** 2
    open_or_background = (raw >= 0) | (targets == 0)
    error = np.asarray(LOSS["rectified_squared_error"](raw, targets))
    assert_allclose(error[open_or_background], printed[open_or_background], rtol=1e-5, atol=1e-6)
    assert np.all(error >= printed - 1e-6)
    assert_array_equal(error == 0, printed == 0)


@given(raw=VALUES, targets=TARGETS)
def test_a_shut_relu_is_pushed_open_on_cells_and_left_alone_on_background(raw, targets):
    _, gradient = GRADIENT["rectified_squared_error"](raw, targets, np.ones(N, bool))
    shut = raw < -1e-3
    assert np.all(np.asarray(gradient)[shut & (targets > 0)] < 0)
    assert np.all(np.asarray(gradient)[shut & (targets == 0)] == 0)


@given(logits=VALUES, labels=TARGETS)
def test_probability_error_is_that_of_the_sigmoid(logits, labels):
    expected = optax.losses.squared_error(1 / (1 + np.exp(-logits.astype(np.float64))), labels)
    assert_allclose(LOSS["probability_squared_error"](logits, labels), expected, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@given(raw=VALUES, targets=TARGETS, where=masks(N))
def test_masked_is_the_subset_and_nan_outside_reaches_neither_value_nor_gradient(name, raw, targets, where):
    poisoned, unknown = np.where(where, raw, np.nan), np.where(where, targets, np.nan)
    value, gradient = GRADIENT[name](poisoned, unknown, where)
    expected = np.asarray(LOSS[name](raw, targets))[where].mean() if where.any() else 0.0
    assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(gradient).all()
    assert_array_equal(np.asarray(gradient)[~where], 0)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_values(name):
    raw = jnp.array([-3.0, -0.4, 0.3, 0.9, 2.0])
    targets = jnp.array([0.0, 0.6, 0.2, 0.0, 1.0])
    check_grads(lambda raw: mean_of(name)(raw, targets, None), (raw,), order=1, modes=("rev",), rtol=1e-2)


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_would_broadcast_are_refused(name):
    with pytest.raises(ValueError, match=r"\(3,\).*\(3, 1\)"):
        getattr(losses, name)(jnp.zeros(3), jnp.zeros((3, 1)))
