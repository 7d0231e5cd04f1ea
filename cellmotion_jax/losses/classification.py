"""Element-wise cross-entropies of classes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Integer

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_integers, to_where
from cellmotion_jax.ops.numerics import check_same_shape, select


def softmax_cross_entropy(
    logits: Number[ArrayLike, "*shape label"] | Sequence,
    labels: Integer[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*shape"]:
    r"""Softmax cross-entropy of each element.

    .. math:: \ell(z, c) = \log \sum_k e^{z_k} - z_c

    with the logits :math:`z` and the right class :math:`c`: Eq. (1) of Gomez-de-Mariscal et al. 2021, whose
    scores are the softmax, computed from the logits so that no probability rounds to 0.

    Args:
        logits: One per class, before the softmax.
        labels: The right class, a whole number from 0 on, of the shape of the logits without their last axis.
        where: Mask of the elements that count, likewise; everything if absent.

    Returns:
        Losses from 0 on, 0 with zero gradient where nothing counts.

    Raises:
        ValueError: If the shapes differ.

    >>> losses = softmax_cross_entropy(jnp.array([[0.0, 0.0], [90.0, 0.0]]), jnp.array([1, 1]))
    >>> [round(float(loss), 3) for loss in losses]
    [0.693, 90.0]
    """
    logits, labels = to_floats("logits", logits, "... label"), to_integers("labels", labels)
    where = to_where(where)
    check_same_shape(labels=labels, logits=logits[..., 0], where=where)
    if where is not None:
        logits, labels = select(where[..., None], logits), select(where, labels)
    of_label = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return select(where, jax.nn.logsumexp(logits, axis=-1) - of_label)


def sigmoid_cross_entropy(
    logits: Number[ArrayLike, "*shape"] | Sequence,
    labels: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*shape"]:
    r"""Binary cross-entropy of each element.

    .. math:: \ell(z, y) = \log (1 + e^z) - z y

    which is :math:`-y \log p - (1 - y) \log (1 - p)` with the probability :math:`p = 1 / (1 + e^{-z})`,
    computed from the logits so that no probability rounds to 0 or 1.

    Args:
        logits: Log odds.
        labels: Probabilities in [0, 1] that are right, or booleans, of the shape of the logits.
        where: Mask of the elements that count, likewise; everything if absent.

    Returns:
        Losses from 0 on, 0 with zero gradient where nothing counts.

    Raises:
        ValueError: If the shapes differ.

    >>> [round(float(loss), 3) for loss in sigmoid_cross_entropy(jnp.array([0.0, -90.0]), jnp.array([1, 1]))]
    [0.693, 90.0]
    """
    logits, labels, where = to_floats("logits", logits), to_floats("labels", labels), to_where(where)
    check_same_shape(logits=logits, labels=labels, where=where)
    logits, labels = select(where, logits), select(where, labels).astype(logits.dtype)
    return select(where, jax.nn.softplus(logits) - logits * labels)
