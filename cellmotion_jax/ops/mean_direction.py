"""Averages of directions, on the circle: the mean of 359 and 1 degree is 0, not 180."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.angles import TURN, decode_circle, encode_circle, wrap
from cellmotion_jax.ops.arguments import Number, to_floats
from cellmotion_jax.ops.host_arguments import check_axis
from cellmotion_jax.ops.numerics import check_same_shape, safe_norm


def circular_mean(
    angles: Number[ArrayLike, "..."] | Sequence,
    *,
    weights: Number[ArrayLike, "..."] | Sequence | None = None,
    axis: int = -1,
) -> Float[Array, "..."]:
    r"""Direction of the sum of the unit vectors, :math:`\mathrm{atan2}(\sum w \sin, \sum w \cos)`.

    Where the vectors cancel there is no mean direction; an exact zero sum gives 0 with zero
    gradient, a sum of rounding errors gives anything. See :func:`resultant_length`.

    Args:
        angles: Radians, any finite values.
        weights: Not negative, of the shape of ``angles``; all equal if absent.
        axis: The axis that is averaged over.

    Returns:
        Radians in [0, 2 pi), shaped like ``angles`` without ``axis``.

    Raises:
        ValueError: If ``weights`` has another shape than ``angles``.

    >>> f"{circular_mean(jnp.array([0.1, TURN - 0.3])) - TURN:.2f}"
    '-0.10'
    """
    return decode_circle(_mean_vector(angles, weights, axis))


def resultant_length(
    angles: Number[ArrayLike, "..."] | Sequence,
    *,
    weights: Number[ArrayLike, "..."] | Sequence | None = None,
    axis: int = -1,
) -> Float[Array, "..."]:
    r"""Agreement of directions: the length :math:`|\sum w e^{i\alpha}| / \sum w` of their mean vector.

    1 if all are equal, 0 if they cancel; the gradient at 0 is 0. Weights that sum to 0 give 0.

    Args:
        angles: Radians, any finite values.
        weights: Not negative, of the shape of ``angles``; all equal if absent.
        axis: The axis that is averaged over.

    Returns:
        Values in [0, 1], shaped like ``angles`` without ``axis``.

    Raises:
        ValueError: If ``weights`` has another shape than ``angles``.

    >>> f"{resultant_length(jnp.array([0.0, jnp.pi / 2])):.3f}"
    '0.707'
    """
    return jnp.minimum(safe_norm(_mean_vector(angles, weights, axis)), 1)


def arc_mean(angles: Number[ArrayLike, "*shape n"] | Sequence) -> Float[Array, "*shape"]:
    r"""Mean on the shortest arc that contains all angles: the paper's fusion of predictions (Section 2.5).

    The paper sorts the predictions and moves the smallest up by :math:`2\pi`, n times; of the n
    lists it averages the one with the smallest range. The list that starts at the k-th angle spans
    the whole turn but the gap before that angle, so the choice is the angle after the largest gap,
    found here for all k at once.

    Where all angles lie within half a turn this is the mean along that arc and turns with the
    angles. If several gaps are equally large (two opposite angles, say) the first window in sorted
    order wins, as in the paper, and an infinitesimal change of one angle may move the mean far. The
    order of the angles never matters. Gradient 1/n for every angle.

    Args:
        angles: Radians, any finite values, n of them along the last axis, n > 0.

    Returns:
        Radians in [0, 2 pi).

    References:
        Bruns et al., Single Image Estimation of Cell Migration Direction by Deep Circular Regression,
        2024.

    >>> f"{arc_mean(jnp.array([0.2, TURN - 0.1, 0.5])):.2f}"
    '0.20'
    """
    ascending = jnp.sort(wrap(to_floats("angles", angles, "... n")), axis=-1)
    gaps = jnp.diff(ascending, axis=-1, prepend=ascending[..., -1:] - TURN)
    first = jnp.take_along_axis(ascending, jnp.argmax(gaps, axis=-1, keepdims=True), axis=-1)
    along_arc = wrap(ascending - first)
    return wrap(first[..., 0] + jnp.mean(along_arc, axis=-1))


def _mean_vector(
    angles: Number[ArrayLike, "..."] | Sequence,
    weights: Number[ArrayLike, "..."] | Sequence | None,
    axis: int,
) -> Float[Array, "... 2"]:
    """Weighted mean of the unit vectors; the zero vector where the weights sum to 0."""
    angles = to_floats("angles", angles)
    weights = None if weights is None else to_floats("weights", weights)
    check_same_shape(angles=angles, weights=weights)
    check_axis("angles", angles.shape, axis)
    vectors = jnp.moveaxis(encode_circle(angles), axis if axis >= 0 else axis - 1, 0)
    if weights is None:
        return jnp.mean(vectors, axis=0)
    weights = jnp.moveaxis(weights, axis, 0)[..., None]
    total = jnp.sum(weights, axis=0)
    vanishing = total == 0
    return jnp.where(vanishing, 0, jnp.sum(weights * vectors, axis=0) / jnp.where(vanishing, 1, total))
