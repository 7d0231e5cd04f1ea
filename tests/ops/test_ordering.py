"""Integers that stand for floats compare as they do and turn back into them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.ordering import from_ordered_integers, to_ordered_integers
from tests.strategies import arrays

to_integers = jax.jit(to_ordered_integers)
to_floats = jax.jit(from_ordered_integers)
every_number = arrays((8,), st.floats(width=32, allow_nan=False))


@given(every_number)
def test_integers_compare_as_the_floats_do_and_turn_back(values):
    levels = np.asarray(to_integers(values))
    np.testing.assert_array_equal(levels[:, None] < levels, values[:, None] < values)
    np.testing.assert_array_equal(levels[:, None] == levels, values[:, None] == values)
    np.testing.assert_array_equal(to_floats(levels), values)


def test_neighbouring_floats_are_neighbouring_integers():
    values = np.array([-np.inf, -1, -1e-45, 0, 1e-45, 1, 3e38], np.float32)
    above = np.nextafter(values, np.float32(np.inf))
    np.testing.assert_array_equal(to_integers(above) - to_integers(values), 1)


def test_both_zeros_are_0_and_nan_is_minus_infinity():
    assert to_integers(jnp.array([0.0, -0.0])).tolist() == [0, 0]
    lowest, nan = to_integers(jnp.array([-jnp.inf, jnp.nan]))
    assert lowest == nan
    assert nan > jnp.iinfo(jnp.int32).min


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_widened(dtype):
    values = jnp.array([-2.5, 0.1, 7.0], dtype)
    levels = to_ordered_integers(values)
    assert levels.dtype == jnp.int32
    np.testing.assert_array_equal(from_ordered_integers(levels), values.astype(jnp.float32))
