r"""Negative log likelihoods of a direction, which also train the confidence of a prediction.

Element-wise, to be reduced with :func:`ops.masked_mean`. Elements outside ``where`` are 0, with zero
gradient, whatever the arguments hold there. Computed in float32 at least, returned in the type of the
angles, or in float32 for whole numbers (`ops.arguments`).
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.angles import signed_difference
from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_where
from cellmotion_jax.ops.bessel import log_bessel_i0e
from cellmotion_jax.ops.numerics import check_same_shape, select


def von_mises_nll(
    predictions: Number[ArrayLike, "*batch"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    kappa: Number[ArrayLike, "..."] | Sequence,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Negative log likelihood of a direction under a von Mises distribution (Eq. 9).

    .. math:: -\ln p(\beta \mid \alpha, \kappa) = \ln(2\pi I_0(\kappa)) - \kappa \cos(\beta - \alpha)
       = 2\kappa \sin^2\tfrac{\beta - \alpha}{2} + \ln(2\pi e^{-\kappa} I_0(\kappa))

    with the predicted direction :math:`\alpha`, the true one :math:`\beta` and the concentration
    :math:`\kappa`, of which about :math:`\kappa^{-1/2}` radians is the standard deviation when it is
    large. The second form is the one that is computed: its terms stay small where those of the first
    cancel. Deviation: the paper has one fixed :math:`\kappa`; here each prediction may have its own.

    Value and gradients are stable for every :math:`\kappa` from 0 (the uniform distribution,
    :math:`\ln 2\pi`) to 1e6 and beyond. The gradient is :math:`\kappa \sin(\alpha - \beta)` for the
    prediction, 0 at equality and at the antipode, and
    :math:`I_1(\kappa) / I_0(\kappa) - \cos(\alpha - \beta)` for the concentration. Negative
    concentrations have no meaning and are not refused; let a network predict
    ``softplus(output)``.

    Args:
        predictions: Mean directions in radians, any finite value.
        targets: Radians, of the shape of ``predictions``.
        kappa: Concentrations, not negative; one for all, or of the shape of ``predictions``.
        where: Mask of the elements that count, of the shape of ``predictions``; everything if absent.

    Returns:
        Nats; negative where the density exceeds 1.

    Raises:
        ValueError: If the shapes differ.

    References:
        Mardia and Jupp, Directional Statistics, 2000, Section 3.5.4.

    >>> f"{von_mises_nll(1.0, 1.0, kappa=0.0):.4f}"  # ln(2 pi)
    '1.8379'
    """
    predictions, targets = to_floats("predictions", predictions), to_floats("targets", targets)
    kappa, where = to_floats("kappa", kappa), to_where(where)
    check_same_shape(predictions=predictions, targets=targets, where=where)
    if kappa.ndim:
        check_same_shape(predictions=predictions, kappa=kappa)
        kappa = select(where, kappa)
    nll = _von_mises_nll(select(where, predictions), select(where, targets), kappa)
    return select(where, nll).astype(jnp.result_type(predictions, targets))


def von_mises_mixture_nll(
    means: Number[ArrayLike, "*batch component"] | Sequence,
    kappas: Number[ArrayLike, "..."] | Sequence,
    logits: Number[ArrayLike, "..."] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Negative log likelihood of a direction under a mixture of von Mises distributions.

    .. math:: -\ln \sum_k \pi_k \frac{e^{\kappa_k \cos(\beta - \alpha_k)}}{2\pi I_0(\kappa_k)},
       \qquad \pi = \mathrm{softmax}(\mathrm{logits})

    for a cell that may go one of several ways. Not in the paper; with one component it is
    :func:`von_mises_nll`, from which it inherits its range of stable concentrations. A component with
    the logit ``-inf`` is absent, with zero gradient; at least one has to be present.

    Args:
        means: Mean directions in radians, one component beside the other along the last axis.
        kappas: Concentrations, not negative, of the shape of ``means``.
        logits: Unnormalised log weights, of the shape of ``means``.
        targets: Radians, of the shape of ``means`` without its last axis.
        where: Mask of the elements that count, of the shape of ``targets``; everything if absent.

    Returns:
        Nats; negative where the density exceeds 1.

    Raises:
        ValueError: If the shapes do not fit.

    References:
        Bishop, Mixture Density Networks, 1994; Mardia and Jupp, Directional Statistics, 2000.

    >>> means, kappas, logits = jnp.array([0.0, 3.0]), jnp.array([5.0, 5.0]), jnp.array([0.0, 0.0])
    >>> f"{von_mises_mixture_nll(means, kappas, logits, 3.0):.4f}"
    '0.8357'
    """
    means, targets = to_floats("means", means), to_floats("targets", targets)
    kappas, logits, where = to_floats("kappas", kappas), to_floats("logits", logits), to_where(where)
    check_same_shape(means=means, kappas=kappas, logits=logits)
    if means.shape[:-1] != targets.shape or not means.ndim:
        raise ValueError(
            f"means must have the shape of targets and an axis of components behind it: "
            f"means has {means.shape}, targets has {targets.shape}"
        )
    check_same_shape(targets=targets, where=where)
    where_all = None if where is None else where[..., None]
    spread_targets = jnp.broadcast_to(select(where, targets)[..., None], means.shape)
    nlls = _von_mises_nll(select(where_all, means), spread_targets, select(where_all, kappas))
    log_weights = jax.nn.log_softmax(select(where_all, logits).astype(nlls.dtype), axis=-1)
    nll = -jax.nn.logsumexp(log_weights - nlls, axis=-1)
    return select(where, nll).astype(jnp.result_type(means, targets))


def _von_mises_nll(
    means: Float[Array, "..."], targets: Float[Array, "..."], kappa: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The formula, in float32 at least."""
    wide = jnp.promote_types(jnp.result_type(means, targets), jnp.float32)
    turn = signed_difference(targets.astype(wide), means.astype(wide))
    kappa = kappa.astype(wide)
    return 2 * kappa * jnp.square(jnp.sin(turn / 2)) + log_bessel_i0e(kappa) + math.log(2 * math.pi)
