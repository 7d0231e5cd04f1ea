"""Conversion of floats to integers of the same order, whose comparison is exact and has no special cases."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


def to_ordered_integers(values: Float[Array, "..."]) -> Int[Array, "..."]:
    r"""Integers with the same order as the numbers: :math:`a < b` before and after, and 0 for 0.

    A float is a sign and a magnitude, and the bits of the magnitude count upwards with it; with the sign
    applied to them they are an ordinary integer. Neighbouring floats become neighbouring integers, so
    that ``level - 1`` is the next smaller float, subnormal numbers included, which XLA on a CPU takes for
    0 in any arithmetic. The two zeros become one. NaN, which has no place in the order, becomes minus
    infinity. The smallest integer of the type is left free below that.

    Args:
        values: Numbers; half precision is widened to float32, which is exact.

    Returns:
        Signed integers as wide as the floats.
    """
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    values = jnp.where(jnp.isnan(values), -jnp.inf, values)
    integer = jnp.dtype(f"int{jnp.finfo(values.dtype).bits}")
    bits = lax.bitcast_convert_type(values, integer)
    return jnp.where(bits < 0, jnp.iinfo(integer).min - bits, bits)


def from_ordered_integers(levels: Int[Array, "..."]) -> Float[Array, "..."]:
    """Inverse of :func:`to_ordered_integers`.

    Args:
        levels: Integers of 32 or 64 bits, from minus infinity to infinity in the order above.

    Returns:
        Floats of the same width.
    """
    bits = jnp.where(levels < 0, jnp.iinfo(levels.dtype).min - levels, levels)
    return lax.bitcast_convert_type(bits, jnp.dtype(f"float{jnp.iinfo(levels.dtype).bits}"))
