"""Arguments of functions on the host: what a caller gives as numbers, as arrays of NumPy.

NumPy arrays of any type, numbers of Python and NumPy, nested lists of them, and whatever else
``numpy.asarray`` reads. What has no meaning as an argument is refused in a sentence that names the argument.
"""

import operator
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float64, Int64, Integer, Shaped


def host_array(name: str, values: ArrayLike | Sequence) -> Shaped[np.ndarray, "..."]:
    """Reads an argument as it is.

    Args:
        name: Name of the argument in error messages.
        values: Numbers or booleans.

    Returns:
        The same numbers in their own type.

    Raises:
        ValueError: If the rows of a list differ in length.
        TypeError: If it holds anything but numbers and booleans.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must have rows of equal length") from error
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        kind = type(values).__name__ if array.dtype == object else array.dtype.name
        raise TypeError(f"{name} must hold numbers, got {kind}")
    return array


def check_real(name: str, dtype: np.dtype) -> None:
    """Raises TypeError for complex numbers.

    Args:
        name: Name of the argument in error messages.
        dtype: Type of its numbers.

    Raises:
        TypeError: If the type is complex.
    """
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(f"{name} must hold real numbers, got {dtype.name}")


def check_axes(name: str, shape: tuple[int, ...], axes: str) -> None:
    """Raises ValueError for a shape that does not have the wanted axes.

    Args:
        name: Name of the argument in error messages.
        shape: Its shape.
        axes: Names or sizes of the axes, separated by spaces, as in jaxtyping; a leading ``...`` stands for
            any number of axes. The empty text is one number.

    Raises:
        ValueError: If the number of axes, or the size of one, differs.

    >>> check_axes("boxes", (7, 4), "... 4")
    """
    leading, named = ("...", axes[3:].split()) if axes.startswith("...") else ("", axes.split())
    last = shape[len(shape) - len(named) :]
    fits = len(last) == len(named) if leading else len(shape) == len(named)
    sizes = zip(named, last)
    if fits and all(not axis.isdigit() or int(axis) == size for axis, size in sizes):
        return
    wanted = (
        f"have the axes [{', '.join([leading, *named] if leading else named)}]" if axes else "be one number"
    )
    raise ValueError(f"{name} must {wanted}, got shape {shape}")


def check_axis(name: str, shape: tuple[int, ...], axis: int) -> None:
    """Raises ValueError for an axis that an argument does not have.

    Args:
        name: Name of the argument in error messages.
        shape: Its shape.
        axis: Number of the axis, negative from the last.

    Raises:
        ValueError: If there is no such axis.
    """
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{name} must have the axis {axis}, got shape {shape}")


def _host_reals(name: str, values: ArrayLike | Sequence, axes: str) -> Shaped[np.ndarray, "..."]:
    """An argument of real numbers or booleans, in its own type."""
    array = host_array(name, values)
    check_real(name, array.dtype)
    check_axes(name, array.shape, axes)
    return array


def host_floats(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Float64[np.ndarray, "..."]:
    """Reads an argument as real numbers in double precision; booleans count as 0 and 1.

    Args:
        name: Name of the argument in error messages.
        values: Real numbers.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        The numbers.

    Raises:
        ValueError: If the axes are others.
        TypeError: If it holds anything but real numbers.

    >>> host_floats("errors", [1, 2]).tolist()
    [1.0, 2.0]
    """
    return _host_reals(name, values, axes).astype(np.float64, copy=False)


def host_integers(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Integer[np.ndarray, "..."]:
    """Reads an argument as whole numbers, such as labels; booleans count as 0 and 1.

    Whole numbers that are stored as floats are taken: ``numpy.zeros`` makes floats, and label images come
    back from some file formats as such.

    Args:
        name: Name of the argument in error messages.
        values: Whole numbers.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        The numbers; an integer type is kept, others become int64.

    Raises:
        ValueError: If the axes are others, or a number is not whole.
        TypeError: If it holds anything but real numbers.

    >>> host_integers("labels", [[0.0, 7.0]]).tolist()
    [[0, 7]]
    """
    array = _host_reals(name, values, axes)
    if array.dtype == bool:
        return array.astype(np.int64)
    if jnp.issubdtype(array.dtype, jnp.floating):
        whole = np.isfinite(array) & (array == np.floor(array)) & (np.abs(array) < 2.0**63)
        if not whole.all():
            raise ValueError(f"{name} must hold whole numbers, got {array[~whole][0]:g}")
        return array.astype(np.int64)
    return array


def host_int64(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Int64[np.ndarray, "..."]:
    """`host_integers` in one type, in which sums and differences of small unsigned numbers are right.

    Args:
        name: Name of the argument in error messages.
        values: Whole numbers.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        The numbers.

    Raises:
        ValueError: If the axes are others, or a number is not whole or beyond int64.
        TypeError: If it holds anything but real numbers.
    """
    array = host_integers(name, values, axes)
    largest = np.iinfo(np.int64).max
    if array.dtype == np.uint64 and array.size and array.max() > largest:
        raise ValueError(f"{name} holds {array.max()}; it must be at most {largest}")
    return array.astype(np.int64, copy=False)


def host_mask(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Bool[np.ndarray, "..."]:
    """Reads an argument as a mask: what is not 0 is true, in masks of 0 and 1 as in those of 0 and 255.

    Args:
        name: Name of the argument in error messages.
        values: Booleans or whole numbers. Floats are refused, as by `ops.arguments.to_mask`.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        The mask.

    Raises:
        ValueError: If the axes are others.
        TypeError: If it holds anything but booleans and whole numbers.
    """
    array = host_array(name, values)
    check_mask(name, array)
    check_axes(name, array.shape, axes)
    return array if array.dtype == bool else array != 0


def check_mask(name: str, array: Array | np.ndarray) -> None:
    """Raises TypeError for an array that is neither boolean nor of whole numbers.

    Args:
        name: Name of the argument in error messages.
        array: What was given; an empty list has no type of its own, and passes.

    Raises:
        TypeError: If it holds floats or complex numbers.
    """
    if array.size and array.dtype != bool and not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"{name} must be a mask of true and false (1 and 0), got {array.dtype.name}")


def one_number(name: str, value: ArrayLike) -> float:
    """Reads a real number of Python or NumPy, or an array without axes.

    Args:
        name: Name of the argument in error messages.
        value: The number.

    Returns:
        The same as a number of Python.

    Raises:
        ValueError: If it has axes.
        TypeError: If it is no real number.
    """
    return float(host_floats(name, value, ""))


def one_integer(name: str, value: object) -> int:
    """Reads a whole number of Python or NumPy, such as a size.

    Args:
        name: Name of the argument in error messages.
        value: The number, of an integer type.

    Returns:
        The same as a number of Python.

    Raises:
        TypeError: If it is not of an integer type.
    """
    try:
        return operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError as error:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from error


def image_shape(name: str, shape: Sequence[int] | Integer[np.ndarray, "2"]) -> tuple[int, int]:
    """Reads the size (y, x) of an image.

    Args:
        name: Name of the argument in error messages.
        shape: Two whole numbers.

    Returns:
        The same as numbers of Python.

    Raises:
        ValueError: If it does not hold two numbers.
        TypeError: If a number is not of an integer type.
    """
    if np.shape(shape) != (2,):
        raise ValueError(f"{name} must be two whole numbers (y, x), got {shape!r}")
    return one_integer(name, shape[0]), one_integer(name, shape[1])
