"""Arguments of functions on the device: what a caller gives as numbers, as arrays of JAX.

Every public function reads its arguments here first. Whoever scripts has label images of 8 bits, angles in a
list and a radius of ``3``, and computing in such a type gives wrong numbers silently: differences of unsigned
integers wrap around, a result that is cast back to the type of an argument is rounded, and whole numbers of
64 bits lose their upper half on the way to the device. So whole numbers and booleans become floats (float32;
float64 where JAX is told to use it) before anything is computed. Floats keep their type, half precision
included, and numbers of Python take that of the other arguments, as everywhere in JAX.

Nothing is copied and nothing is traced for an array of JAX that holds floats.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import AbstractDtype, Array, Bool, Complex, Float, Int, Integer, Real, Shaped

from cellmotion_jax.ops.host_arguments import check_axes, check_mask, check_real, host_array

if TYPE_CHECKING:
    from typing import Annotated as Mask
    from typing import Annotated as Number
else:

    class Number(AbstractDtype):
        """Real numbers of any type; booleans count as 0 and 1."""

        dtypes = (*Real.dtypes, *Bool.dtypes)

    class Mask(AbstractDtype):
        """Booleans, or whole numbers of which 0 is false."""

        dtypes = (*Integer.dtypes, *Bool.dtypes)


def to_floats(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Float[Array, "..."]:
    """Reads an argument as real numbers of a floating type.

    Args:
        name: Name of the argument in error messages.
        values: Real numbers of any type, or booleans, which count as 0 and 1.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        The numbers, in their own type if it is a float, else in float32.

    Raises:
        ValueError: If the axes are others.
        TypeError: If it holds anything but real numbers.

    >>> to_floats("angle", [1, 2]).tolist()
    [1.0, 2.0]
    """
    if type(values) in (bool, int, float):
        array = jnp.asarray(float(values))  # pyright: ignore[reportArgumentType]
    else:
        given = _given(name, values)
        check_real(name, given.dtype)
        array = _as_floats(given)
    check_axes(name, array.shape, axes)
    return array


def to_numbers(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Shaped[Array, "..."]:
    """Reads an argument that is moved but not computed with: whole numbers stay whole numbers.

    Args:
        name: Name of the argument in error messages.
        values: Numbers of any type, or booleans.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        The numbers, in their own type as far as JAX has it.

    Raises:
        ValueError: If the axes are others, or a whole number does not fit into the integers of JAX.
        TypeError: If it holds anything but numbers.
    """
    given = _given(name, values)
    check_axes(name, given.shape, axes)
    if jnp.issubdtype(given.dtype, jnp.integer):
        _check_range(name, given)
    elif jnp.issubdtype(given.dtype, jnp.floating):
        return _as_floats(given)
    return jnp.asarray(given)


def to_integers(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Int[Array, "..."]:
    """Reads an argument as whole numbers: indices, classes, pixels.

    Args:
        name: Name of the argument in error messages.
        values: Whole numbers of an integer type.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        Signed integers, of 32 bits at least.

    Raises:
        ValueError: If the axes are others, or a number does not fit into the integers of JAX.
        TypeError: If it holds anything but numbers of an integer type.
    """
    given = _given(name, values)
    check_axes(name, given.shape, axes)
    # An empty list has no type of its own.
    if given.size and not jnp.issubdtype(given.dtype, jnp.integer):
        raise TypeError(f"{name} must hold whole numbers of an integer type, got {given.dtype.name}")
    _check_range(name, given)
    return jnp.asarray(given, jnp.result_type(int))


def to_mask(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Bool[Array, "..."]:
    """Reads an argument as a mask: what is not 0 is true, in masks of 0 and 1 as in those of 0 and 255.

    Args:
        name: Name of the argument in error messages.
        values: Booleans or whole numbers. Floats are refused: they would be weights, which a mask ignores.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        The mask.

    Raises:
        ValueError: If the axes are others.
        TypeError: If it holds anything but booleans and whole numbers.

    >>> to_mask("where", [0, 255]).tolist()
    [False, True]
    """
    given = _given(name, values)
    check_mask(name, given)
    check_axes(name, given.shape, axes)
    return jnp.asarray(given if given.dtype == bool else given != 0)


def to_where(where: ArrayLike | Sequence | None) -> Bool[Array, "..."] | None:
    """Reads the mask of the elements that count, which may be absent.

    Args:
        where: Booleans or whole numbers, or None.

    Returns:
        The mask, or None.

    Raises:
        TypeError: If it holds anything but booleans and whole numbers.
    """
    return None if where is None else to_mask("where", where)


def to_complex(name: str, values: ArrayLike | Sequence, axes: str = "...") -> Complex[Array, "..."]:
    """Reads an argument as complex numbers.

    Args:
        name: Name of the argument in error messages.
        values: Numbers of any type.
        axes: The axes that it must have, as in `check_axes`.

    Returns:
        The numbers, in their own type if it is complex, else in complex64.

    Raises:
        ValueError: If the axes are others.
        TypeError: If it holds anything but numbers.
    """
    given = _given(name, values)
    check_axes(name, given.shape, axes)
    is_complex = isinstance(given, Array) and jnp.issubdtype(given.dtype, jnp.complexfloating)
    return jnp.asarray(given, given.dtype if is_complex else jnp.result_type(complex))


def _given(name: str, values: ArrayLike | Sequence) -> Array | np.ndarray:
    """The numbers in their own type: on the device if they are there, else on the host."""
    if isinstance(values, Array):
        if not (jnp.issubdtype(values.dtype, jnp.number) or values.dtype == bool):
            raise TypeError(f"{name} must hold numbers, got {values.dtype.name}")
        return values
    if isinstance(values, (list, tuple)) and any(isinstance(leaf, Array) for leaf in jax.tree.leaves(values)):
        return jnp.asarray(values)
    return host_array(name, values)


def _as_floats(given: Array | np.ndarray) -> Float[Array, "..."]:
    """The numbers in their own type if it is a float that JAX has, else in the one that it prefers."""
    if jnp.issubdtype(given.dtype, jnp.floating):
        if isinstance(given, Array):
            return given
        if given.dtype.itemsize <= 4:
            return jnp.asarray(given)
    return jnp.asarray(given, jnp.result_type(float))


def _check_range(name: str, given: Array | np.ndarray) -> None:
    """Refuses whole numbers on the host that JAX would cut off on the way to the device."""
    largest = jnp.iinfo(jnp.result_type(int))
    if isinstance(given, Array) or not given.size:
        return
    for value in (given.min(), given.max()):
        if not largest.min <= value <= largest.max:
            raise ValueError(f"{name} holds {value}, which is not between {largest.min} and {largest.max}")
