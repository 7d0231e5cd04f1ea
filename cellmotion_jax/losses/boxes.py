"""Element-wise smooth L1 loss, for the offsets of boxes."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_where
from cellmotion_jax.ops.numerics import check_same_shape, safe_abs, select


def smooth_l1(
    predictions: Number[ArrayLike, "*shape"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    beta: Number[ArrayLike, ""] = 1.0,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*shape"]:
    r"""Quadratic for small errors and linear for large ones (Girshick 2015, Fast R-CNN, Eq. 3).

    .. math:: \ell(d) = \begin{cases} d^2 / 2 \beta & |d| < \beta \\ |d| - \beta / 2 & |d| \ge \beta
        \end{cases}, \quad d = p - t

    Its gradient is continuous, and at most 1.

    Args:
        predictions: Outputs.
        targets: What is right, of the same shape.
        beta: Error from which the loss is linear, above 0; 1 in the paper, 1/9 in torchvision's detectors.
        where: Mask of the elements that count, likewise; everything if absent.

    Returns:
        Losses from 0 on, 0 with zero gradient where nothing counts.

    Raises:
        ValueError: If the shapes differ.

    >>> smooth_l1(jnp.array([0.5, -3.0]), jnp.array([0.0, 0.0])).tolist()
    [0.125, 2.5]
    """
    predictions, targets = to_floats("predictions", predictions), to_floats("targets", targets)
    where = to_where(where)
    check_same_shape(predictions=predictions, targets=targets, where=where)
    error = safe_abs(select(where, predictions) - select(where, targets))
    beta = to_floats("beta", beta, "")
    return jnp.where(error < beta, 0.5 * jnp.square(error) / beta, error - 0.5 * beta)
