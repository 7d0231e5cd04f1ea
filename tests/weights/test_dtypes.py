"""Every bfloat16 number becomes the float32 number that it is."""

import pathlib

import ml_dtypes
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.dtypes import as_numbers, widen_bfloat16

PATH = pathlib.Path("weights.npz")


def test_all_bfloat16_numbers_are_widened_exactly():
    bits = np.arange(2**16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        expected = bits.view(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(widen_bfloat16(bits), expected)


def test_two_bytes_without_a_meaning_are_bfloat16():
    array = np.array([[1.5, -2.0]], ml_dtypes.bfloat16).view("V2")
    np.testing.assert_array_equal(as_numbers(array, name="a", path=PATH), np.array([[1.5, -2.0]], np.float32))


@pytest.mark.parametrize("dtype", ["?", "u1", ">i2", "<i8", ">f2", "<f4", ">f8"])
def test_numbers_keep_their_values_and_size_in_the_machines_byte_order(dtype):
    numbers = as_numbers(np.array([0, 1, 1], dtype), name="a", path=PATH)
    assert numbers.dtype == np.dtype(dtype).newbyteorder("=")
    assert numbers.dtype.isnative
    np.testing.assert_array_equal(numbers, [0, 1, 1])


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([1j]), np.zeros(2, [("x", "f4")])])
def test_anything_else_is_refused(array):
    with pytest.raises(InputError, match=r"^weights\.npz holds 'a' of type .*; weights are real numbers\.$"):
        as_numbers(array, name="a", path=PATH)
