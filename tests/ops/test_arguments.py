import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from cellmotion_jax.ops.arguments import to_complex, to_floats, to_integers, to_mask, to_numbers
from cellmotion_jax.ops.host_arguments import check_axes, host_int64, host_integers


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_floats_keep_their_type_on_the_host_and_on_the_device(dtype):
    values = np.array([1, 2]).astype(dtype)
    assert to_floats("x", values).dtype == dtype
    assert to_floats("x", on_device := jnp.asarray(values)) is on_device


def test_other_numbers_take_the_type_that_jax_prefers():
    others = [np.float64([1, 2]), np.uint8([1, 2]), [1, 2], np.longdouble([1, 2])]
    assert {to_floats("x", values).dtype.name for values in others} == {"float32"}
    with jax.enable_x64(True):
        assert {to_floats("x", values).dtype.name for values in others} == {"float64"}
        assert to_floats("x", np.float32([1, 2])).dtype == np.float32


def test_numbers_of_python_take_the_type_of_the_other_arguments():
    half = jnp.ones(2, jnp.bfloat16)
    assert (half + to_floats("x", 2)).dtype == (half + to_floats("x", 2.5)).dtype == jnp.bfloat16


def test_lists_may_hold_traced_numbers():
    assert jax.jit(lambda x: to_floats("x", [x, 2.0]))(1.0).tolist() == [1, 2]
    assert jax.grad(lambda x: to_floats("x", [x, 2.0]).sum())(1.0) == 1


def test_whole_numbers_beyond_those_of_jax_are_refused_where_they_would_be_cut():
    for read in (to_integers, to_numbers):
        with pytest.raises(
            ValueError, match="index holds 1099511627776, which is not between -2147483648 and"
        ):
            read("index", np.array([0, 2**40]))
    assert to_floats("index", np.array([0, 2**40])).tolist() == [0, 2**40]


def test_a_mask_is_what_is_not_zero_and_no_weights():
    assert to_mask("where", np.uint8([0, 1, 255])).tolist() == [False, True, True]
    assert to_mask("where", []).shape == (0,)
    with pytest.raises(TypeError, match=r"where must be a mask of true and false .* got float32"):
        to_mask("where", np.float32([0.5, 1]))


def test_complex_numbers_are_taken_where_they_have_a_meaning():
    assert to_complex("spectrum", [1, 2j]).tolist() == [1, 2j]
    for read in (to_floats, to_integers, to_mask):
        with pytest.raises(TypeError, match="angle must "):
            read("angle", [1, 2j])


def test_keys_and_objects_are_no_numbers():
    with pytest.raises(TypeError, match="angle must hold numbers, got key"):
        to_floats("angle", jax.random.key(0))
    with pytest.raises(TypeError, match="angle must hold numbers, got str"):
        to_floats("angle", "1")


@pytest.mark.parametrize(
    ("shape", "axes", "sentence"),
    [
        ((3,), "", r"must be one number, got shape \(3,\)"),
        ((3, 3), "... 2", r"must have the axes \[\.\.\., 2\], got shape \(3, 3\)"),
        ((3,), "y x channel", r"must have the axes \[y, x, channel\], got shape \(3,\)"),
        ((), "... y x", r"must have the axes \[\.\.\., y, x\], got shape \(\)"),
    ],
)
def test_axes_are_named(shape, axes, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_axes("maps", shape, axes)
    for fits in ((), (2,), (4, 2)):
        check_axes("maps", fits, "...")


def test_labels_are_whole_numbers_of_any_type():
    assert host_integers("labels", [[0.0, 7.0]]).tolist() == [[0, 7]]
    assert host_integers("labels", np.array([True, False])).tolist() == [1, 0]
    assert host_integers("labels", np.uint64([2**64 - 1])).tolist() == [2**64 - 1]
    for wrong in (0.5, np.nan, np.inf, 1e30):
        with pytest.raises(ValueError, match=r"labels must hold whole numbers, got"):
            host_integers("labels", [1, wrong])
    with pytest.raises(
        ValueError, match="labels holds 18446744073709551615; it must be at most 9223372036854775807"
    ):
        host_int64("labels", np.uint64([2**64 - 1]))
