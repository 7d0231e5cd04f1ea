"""Masks, shape checks and safe norms, shared by all losses."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_numbers, to_where
from cellmotion_jax.ops.host_arguments import check_axis


def check_same_shape(**arrays: ArrayLike | Sequence | None) -> None:
    """Raises ValueError for arrays whose shapes differ, so that they do not broadcast by mistake.

    Shapes are static, so under ``jax.jit`` the check costs nothing and fails while tracing.
    Arguments that are ``None`` (an absent mask) are ignored.

    Args:
        **arrays: The arrays, under the names by which the caller's user knows them.

    Raises:
        ValueError: If two shapes differ; the message holds every name and shape.
    """
    shapes = {name: np.shape(array) for name, array in arrays.items() if array is not None}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} has {shape}" for name, shape in shapes.items())
        raise ValueError(f"{' and '.join(shapes)} must have the same shape: {listed}")


def select(
    where: Mask[ArrayLike, "..."] | Sequence | None, values: Shaped[ArrayLike, "..."] | Sequence
) -> Shaped[Array, "..."]:
    r"""``values`` where the mask is true and 0 elsewhere; without a mask all of ``values``.

    One selection shields the result, not the gradient: the chain rule multiplies the zero of the
    selection with the derivative of what was left out, and :math:`0 \cdot \mathrm{NaN}` is NaN.
    A function with a mask therefore selects twice, its arguments first and its result last, and
    has to be finite at arguments of 0.

    Args:
        where: Mask of the elements; broadcasts against ``values``, so that a mask of shape ``[...]`` selects
            vectors ``[..., k]`` as ``where[..., None]``.
        values: Numbers of any type, NaN included; whole numbers stay whole numbers.

    Returns:
        An array shaped like ``values``.
    """
    values, where = to_numbers("values", values), to_where(where)
    return values if where is None else jnp.where(where, values, jnp.zeros((), values.dtype))


def masked_mean(
    values: Number[ArrayLike, "..."] | Sequence, where: Mask[ArrayLike, "..."] | Sequence | None = None
) -> Float[Array, ""]:
    r"""Mean of the values that the mask selects: the reduction for all losses of this package.

    .. math:: \frac{\sum_i m_i v_i}{\max(1, \sum_i m_i)}

    with the mask :math:`m`. What the mask leaves out may be NaN or infinite and reaches neither
    the mean nor its gradient with respect to ``values``. (A loss that *computed* NaN there passes
    it on to its own arguments; give the loss the same ``where``.)

    An empty mask, or an empty array, gives 0 with zero gradient, so that a batch without a single
    labelled cell leaves the parameters alone. Sums are taken in float32 at least, so that counting
    or adding up bfloat16 does not stall; the mean comes back in the type of ``values``, float32 for whole
    numbers and booleans (the mean of which is a share).

    Args:
        values: Element-wise losses, any shape.
        where: Mask of the elements that count, of exactly the shape of ``values``; everything if absent.

    Returns:
        A scalar.

    Raises:
        ValueError: If ``where`` has another shape than ``values``.

    >>> values = jnp.array([1.0, jnp.nan, 3.0])
    >>> float(masked_mean(values, jnp.array([True, False, True])))
    2.0
    """
    values, where = to_floats("values", values), to_where(where)
    check_same_shape(values=values, where=where)
    wide = jnp.promote_types(values.dtype, jnp.float32)
    total = jnp.sum(select(where, values), dtype=wide)
    count = jnp.asarray(values.size if where is None else jnp.sum(where), wide)
    return (total / jnp.maximum(count, 1)).astype(values.dtype)


def safe_abs(x: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    r"""Absolute value whose gradient is the sign, and so 0 at 0.

    ``jnp.abs`` has the gradient 1 there (jax 0.10), which pushes what is already right to one side.

    Args:
        x: Any numbers.

    Returns:
        ``|x|``.

    >>> import jax
    >>> float(jax.grad(safe_abs)(0.0))
    0.0
    """
    x = to_floats("x", x)
    return x * lax.stop_gradient(jnp.sign(x))


def safe_norm(x: Number[ArrayLike, "..."] | Sequence, axis: int = -1) -> Float[Array, "..."]:
    r"""Euclidean norm along one axis with the gradient 0, not NaN, at the zero vector.

    .. math:: \|x\|_2 = s \sqrt{\textstyle\sum_i (x_i / s)^2}, \qquad s = \max_i |x_i|

    The scale :math:`s` keeps the squares of large and of tiny components from overflowing or
    vanishing. At the zero vector every direction is a subgradient; 0 is the one that leaves an
    optimiser where it is. Vectors shorter than the smallest normal number count as zero.

    Args:
        x: Vectors along ``axis``, which must not be empty.
        axis: The axis that is summed over.

    Returns:
        The norms, shaped like ``x`` without ``axis``.

    >>> f"{safe_norm(jnp.array([3e30, 4e30])):.3g}"
    '5e+30'
    """
    x = to_floats("x", x)
    check_axis("x", x.shape, axis)
    scale = lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True))
    vanishing = scale < jnp.finfo(x.dtype).tiny
    scale = jnp.where(vanishing, 1, scale)
    total = jnp.sum((x / scale) ** 2, axis=axis)
    scale, vanishing = jnp.squeeze(scale, axis), jnp.squeeze(vanishing, axis)
    return jnp.where(vanishing, 0, scale * jnp.sqrt(jnp.where(vanishing, 1, total)))


def map_sums(maps: Number[ArrayLike, "*batch y x"] | Sequence) -> Float[Array, "*batch"]:
    """Sum of every map over its pixels, as a product with ones.

    XLA makes nested windowed sums of long sums of floats, which on a CPU take 50 times as long.

    Args:
        maps: Values on a grid.

    Returns:
        One number per map.
    """
    maps = to_floats("maps", maps, "... y x")
    *batch, height, width = maps.shape
    ones = jnp.ones(height * width, maps.dtype)
    flat = maps.reshape(*batch, height * width)
    return jnp.matmul(flat, ones, precision=lax.Precision.HIGHEST)
