import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax.ops import check_same_shape, masked_mean, safe_abs, safe_norm, select
from tests.strategies import arrays, finite_floats, masks

mean = jax.jit(masked_mean)
mean_gradient = jax.jit(jax.grad(masked_mean))
norm = jax.jit(safe_norm)
norm_gradient = jax.jit(jax.grad(safe_norm))


def test_same_shapes_and_absent_arrays_pass():
    check_same_shape(a=np.zeros((3, 1)), b=jnp.ones((3, 1)), where=None)
    check_same_shape(a=1.0, b=2.0)


def test_differing_shapes_are_named():
    text = "a and b and c must have the same shape: a has (3,), b has (3, 1), c has (3,)"
    with pytest.raises(ValueError, match=re.escape(text)):
        check_same_shape(a=np.zeros(3), b=np.zeros((3, 1)), c=np.zeros(3))


@given(arrays((6,), finite_floats()), masks(6))
def test_masked_mean_is_the_mean_of_the_subset(values, where):
    expected = values[where].mean(dtype=np.float64) if where.any() else 0
    # A mean of the smallest numbers that float32 has may be none of them.
    smallest = np.finfo(np.float32).tiny
    assert_allclose(mean(values, where), expected, rtol=1e-5, atol=1e-6 * np.abs(values).max() + smallest)


@given(masks(6))
def test_masked_mean_spreads_its_gradient_over_the_subset(where):
    expected = np.where(where, 1 / max(where.sum(), 1), 0)
    assert_allclose(mean_gradient(jnp.ones(6), where), expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_masked_mean_keeps_bad_values_under_the_mask(bad):
    values, where = jnp.array([1, bad, 3]), jnp.array([True, False, True])
    assert mean(values, where) == 2
    assert mean_gradient(values, where).tolist() == [0.5, 0, 0.5]


def test_masked_mean_of_nothing_is_zero_with_zero_gradient():
    assert masked_mean(jnp.zeros((0,))) == 0
    assert mean(jnp.full(3, jnp.nan), jnp.zeros(3, bool)) == 0
    assert mean_gradient(jnp.full(3, jnp.nan), jnp.zeros(3, bool)).tolist() == [0, 0, 0]


def test_masked_mean_counts_in_more_than_bfloat16():
    """A bfloat16 sum of ones stalls at 256."""
    ones = jnp.ones(1000, jnp.bfloat16)
    result = masked_mean(ones, ones > 0)
    assert result.dtype == jnp.bfloat16
    assert result == 1


def test_masked_mean_without_a_mask_is_the_mean():
    assert masked_mean(jnp.array([[1.0, 2.0], [3.0, 6.0]])) == 3


def test_select_keeps_type_and_fills_zero():
    selected = select(jnp.array([True, False]), jnp.array([1, jnp.nan], jnp.bfloat16))
    assert selected.dtype == jnp.bfloat16
    assert selected.tolist() == [1, 0]


def test_safe_abs_has_the_sign_for_gradient():
    x = jnp.array([-1e30, -2, -0.0, 0, 1e-37, jnp.inf])
    assert_array_equal(safe_abs(x), jnp.abs(x))
    assert jax.vmap(jax.grad(safe_abs))(x).tolist() == [-1, -1, 0, 0, 1, 1]


@given(arrays((5, 3), finite_floats()))
def test_safe_norm_is_the_norm(x):
    expected = np.linalg.norm(x.astype(np.float64), axis=-1)
    assert_allclose(norm(x), expected, rtol=1e-6, atol=1e-37)


def test_safe_norm_runs_along_the_axis():
    assert safe_norm(jnp.array([[3.0, 0.0], [4.0, 2.0]]), axis=0).tolist() == [5, 2]


@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1.0, 1e20, 1e38])
def test_safe_norm_and_its_gradient_hold_over_the_whole_range(scale):
    x = jnp.array([0.6, -0.8], jnp.float32) * jnp.float32(scale)
    assert_allclose(safe_norm(x), scale, rtol=1e-6)
    assert_allclose(norm_gradient(x), [0.6, -0.8], rtol=1e-6)


def test_safe_norm_has_zero_gradient_at_zero():
    assert safe_norm(jnp.zeros(2)) == 0
    assert norm_gradient(jnp.zeros(2)).tolist() == [0, 0]
