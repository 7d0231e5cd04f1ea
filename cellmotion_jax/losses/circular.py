r"""Losses between directions, for angles and for points on the circle.

The equations are those of Bruns et al., *Single Image Estimation of Cell Migration Direction by Deep
Circular Regression*, 2024. All functions are element-wise, return what :func:`ops.masked_mean` is to
reduce, and take the same ``where``: elements outside the mask are 0, with zero gradient, whatever the
arguments hold there, so that a missing label may be NaN.

The von Mises likelihoods work in float32 at least; the result has the type of the arguments.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from cellmotion_jax.ops.angles import absolute_difference, signed_difference
from cellmotion_jax.ops.bessel import log_bessel_i0e
from cellmotion_jax.ops.numerics import check_same_shape, select


def linear(
    predictions: Float[ArrayLike, "*batch"],
    targets: Float[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""Absolute difference of two angles as if they were numbers, :math:`|\alpha - \beta|` (Eq. 3).

    Not periodic: 359 and 1 degree are 358 degrees apart. It is here for comparison;
    :func:`cyclic` is the one that knows the circle. The gradient is the sign of the difference, 0 at
    equality.

    Args:
      predictions: radians, in [0, 2 pi) in the paper.
      targets: radians, of the shape of ``predictions``.
      where: what counts, of the same shape; everything if absent.

    Returns:
      Radians, not negative, below 2 pi if both angles are in [0, 2 pi).

    Raises:
      ValueError: if the shapes differ.

    >>> f"{linear(0.1, 6.2):.2f}"
    '6.10'
    """
    predictions, targets = _selected(predictions, targets, where)
    return jnp.abs(predictions - targets)


def linear_squared(
    predictions: Float[ArrayLike, "*batch"],
    targets: Float[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""Square of :func:`linear`, :math:`(\alpha - \beta)^2` (Eq. 3). Not periodic either.

    Args:
      predictions: radians, in [0, 2 pi) in the paper.
      targets: radians, of the shape of ``predictions``.
      where: what counts, of the same shape; everything if absent.

    Returns:
      Squared radians.

    Raises:
      ValueError: if the shapes differ.

    >>> f"{linear_squared(0.1, 6.2):.2f}"
    '37.21'
    """
    predictions, targets = _selected(predictions, targets, where)
    return jnp.square(predictions - targets)


def cyclic(
    predictions: Float[ArrayLike, "*batch"],
    targets: Float[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""Length of the shorter arc, :math:`\min(|\alpha - \beta|, 2\pi - |\alpha - \beta|)` (Eq. 4).

    Deviation: the paper's form holds for angles in [0, 2 pi); this one is periodic in angles of any
    size. The gradient with respect to the prediction is the sign of the turn from target to
    prediction, 0 at equality and -1 at the antipode.

    Args:
      predictions: radians, any finite value.
      targets: radians, of the shape of ``predictions``.
      where: what counts, of the same shape; everything if absent.

    Returns:
      Radians in [0, pi].

    Raises:
      ValueError: if the shapes differ.

    >>> f"{cyclic(0.1, 6.2):.2f}"
    '0.18'
    """
    return absolute_difference(*_selected(predictions, targets, where))


def cyclic_squared(
    predictions: Float[ArrayLike, "*batch"],
    targets: Float[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""Square of :func:`cyclic`, the length of the shorter arc (Eq. 5).

    The gradient is twice the signed turn; it jumps from :math:`2\pi` to :math:`-2\pi` at the antipode
    and is 0 at equality.

    Args:
      predictions: radians, any finite value.
      targets: radians, of the shape of ``predictions``.
      where: what counts, of the same shape; everything if absent.

    Returns:
      Squared radians in [0, pi**2].

    Raises:
      ValueError: if the shapes differ.

    >>> f"{cyclic_squared(0.1, 6.2):.4f}"
    '0.0336'
    """
    return jnp.square(signed_difference(*_selected(predictions, targets, where)))


def cosine(
    predictions: Float[ArrayLike, "*batch"],
    targets: Float[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""Negative cosine of the difference, :math:`-\cos(\alpha - \beta)` (Eq. 6).

    Up to constants this is :func:`von_mises_nll` with one concentration for all (Eq. 9 to 12). It is
    blind to ``mod``: neither value nor gradient changes when an angle is wrapped. The gradient
    :math:`\sin(\alpha - \beta)` vanishes at equality, the minimum, and at the antipode, the maximum.

    Args:
      predictions: radians, any finite value.
      targets: radians, of the shape of ``predictions``.
      where: what counts, of the same shape; everything if absent.

    Returns:
      Values in [-1, 1]; -1, not 0, is the optimum.

    Raises:
      ValueError: if the shapes differ.

    >>> float(cosine(3.0, 3.0))
    -1.0
    """
    predictions, targets = _selected(predictions, targets, where)
    return select(where, -jnp.cos(predictions - targets))


def circle_distance(
    predictions: Float[ArrayLike, "*batch xy"],
    targets: Float[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""L1 distance of two points in the plane, :math:`|x_1 - x_2| + |y_1 - y_2|` (Eq. 7).

    The targets lie on the unit circle (:func:`ops.encode_circle`), the predictions anywhere. Being an
    L1 distance it is the same for both points turned by a right angle, not by any angle. The gradient
    is the sign of each coordinate's difference, 0 where a coordinate is equal.

    Args:
      predictions: ``(x, y)`` along the last axis.
      targets: ``(x, y)``, of the shape of ``predictions``.
      where: what counts, of the shape of the result; everything if absent.

    Returns:
      Distances, not negative, at most ``2 sqrt(2)`` between points of the unit circle.

    Raises:
      ValueError: if the shapes differ, or if the last axis does not have length 2.

    >>> float(circle_distance(jnp.array([1.0, 0.0]), jnp.array([0.0, -1.0])))
    2.0
    """
    check_same_shape(predictions=predictions, targets=targets)
    if jnp.shape(predictions)[-1] != 2:
        shape = jnp.shape(predictions)
        raise ValueError(
            f"predictions and targets must hold (x, y) along an axis of length 2, last; got shape {shape}"
        )
    vector_where = _mask_of_vectors(predictions, where)
    difference = select(vector_where, predictions) - select(vector_where, targets)
    return jnp.sum(jnp.abs(difference), axis=-1)


def circle_distance_squared(
    predictions: Float[ArrayLike, "*batch xy"],
    targets: Float[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""Square of :func:`circle_distance`, :math:`(|x_1 - x_2| + |y_1 - y_2|)^2` (Eq. 8).

    This is the loss of the paper's chosen configuration (Table 3). Read as printed it holds the cross
    term :math:`2 |x_1 - x_2| |y_1 - y_2|` and is not the squared Euclidean distance.

    Args:
      predictions: ``(x, y)`` along the last axis.
      targets: ``(x, y)``, of the shape of ``predictions``.
      where: what counts, of the shape of the result; everything if absent.

    Returns:
      Squared distances, not negative, at most 8 between points of the unit circle.

    Raises:
      ValueError: if the shapes differ, or if the last axis does not have length 2.

    >>> float(circle_distance_squared(jnp.array([1.0, 0.0]), jnp.array([0.0, -1.0])))
    4.0
    """
    return jnp.square(circle_distance(predictions, targets, where=where))


def von_mises_nll(
    predictions: Float[ArrayLike, "*batch"],
    targets: Float[ArrayLike, "..."],
    *,
    kappa: Float[ArrayLike, "..."],
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""Negative log likelihood of a direction under a von Mises distribution (Eq. 9).

    .. math:: -\ln p(\beta \mid \alpha, \kappa) = \ln(2\pi I_0(\kappa)) - \kappa \cos(\beta - \alpha)
       = 2\kappa \sin^2\tfrac{\beta - \alpha}{2} + \ln(2\pi e^{-\kappa} I_0(\kappa))

    with the predicted direction :math:`\alpha`, the true one :math:`\beta` and the concentration
    :math:`\kappa`, of which about :math:`\kappa^{-1/2}` radians is the standard deviation when it is
    large. The second form is the one that is computed: its terms stay small where those of the first
    cancel. Deviation: the paper has one fixed :math:`\kappa`; here each prediction may bring its own.

    Value and gradients are stable for every :math:`\kappa` from 0 (the uniform distribution,
    :math:`\ln 2\pi`) to 1e6 and beyond. The gradient is :math:`\kappa \sin(\alpha - \beta)` for the
    prediction, 0 at equality and at the antipode, and
    :math:`I_1(\kappa) / I_0(\kappa) - \cos(\alpha - \beta)` for the concentration. Negative
    concentrations have no meaning and are not refused; let a network predict
    ``softplus(output)``.

    Args:
      predictions: mean directions in radians, any finite value.
      targets: radians, of the shape of ``predictions``.
      kappa: concentrations, not negative; one for all, or of the shape of ``predictions``.
      where: what counts, of the shape of ``predictions``; everything if absent.

    Returns:
      Nats; negative where the density exceeds 1.

    Raises:
      ValueError: if the shapes differ.

    References:
      Mardia and Jupp, Directional Statistics, 2000, Section 3.5.4.

    >>> f"{von_mises_nll(1.0, 1.0, kappa=0.0):.4f}"  # ln(2 pi)
    '1.8379'
    """
    selected_predictions, selected_targets = _selected(predictions, targets, where)
    if jnp.ndim(kappa):
        check_same_shape(predictions=predictions, kappa=kappa)
        kappa = select(where, kappa)
    nll = _von_mises_nll(selected_predictions, selected_targets, jnp.asarray(kappa))
    return select(where, nll).astype(jnp.result_type(selected_predictions, selected_targets))


def von_mises_mixture_nll(
    means: Float[ArrayLike, "*batch component"],
    kappas: Float[ArrayLike, "..."],
    logits: Float[ArrayLike, "..."],
    targets: Float[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, "*batch"]:
    r"""Negative log likelihood of a direction under a mixture of von Mises distributions.

    .. math:: -\ln \sum_k \pi_k \frac{e^{\kappa_k \cos(\beta - \alpha_k)}}{2\pi I_0(\kappa_k)},
       \qquad \pi = \mathrm{softmax}(\mathrm{logits})

    for a cell that may go one of several ways. Not in the paper; with one component it is
    :func:`von_mises_nll`, from which it inherits its range of stable concentrations. A component with
    the logit ``-inf`` is absent, with zero gradient; at least one has to be present.

    Args:
      means: mean directions in radians, one component beside the other along the last axis.
      kappas: concentrations, not negative, of the shape of ``means``.
      logits: unnormalised log weights, of the shape of ``means``.
      targets: radians, of the shape of ``means`` without its last axis.
      where: what counts, of the shape of ``targets``; everything if absent.

    Returns:
      Nats; negative where the density exceeds 1.

    Raises:
      ValueError: if the shapes do not fit.

    References:
      Bishop, Mixture Density Networks, 1994; Mardia and Jupp, Directional Statistics, 2000.

    >>> means, kappas, logits = jnp.array([0.0, 3.0]), jnp.array([5.0, 5.0]), jnp.array([0.0, 0.0])
    >>> f"{von_mises_mixture_nll(means, kappas, logits, 3.0):.4f}"
    '0.9203'
    """
    check_same_shape(means=means, kappas=kappas, logits=logits)
    if jnp.shape(means)[:-1] != jnp.shape(targets):
        raise ValueError(
            f"means must have the shape of targets and an axis of components behind it: "
            f"means has {jnp.shape(means)}, targets has {jnp.shape(targets)}"
        )
    vector_where = _mask_of_vectors(means, where)
    means, kappas, logits = (select(vector_where, x) for x in (means, kappas, logits))
    spread_targets = jnp.broadcast_to(select(where, targets)[..., None], means.shape)
    components = -_von_mises_nll(means, spread_targets, kappas)
    log_weights = jax.nn.log_softmax(logits.astype(components.dtype), axis=-1)
    nll = -jax.nn.logsumexp(log_weights + components, axis=-1)
    return select(where, nll).astype(jnp.result_type(means, spread_targets))


def _selected(
    predictions: Float[ArrayLike, "..."],
    targets: Float[ArrayLike, "..."],
    where: Bool[ArrayLike, "..."] | None,
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Both arguments with zeros where the mask is false; refuses differing shapes."""
    check_same_shape(predictions=predictions, targets=targets, where=where)
    return select(where, predictions), select(where, targets)


def _mask_of_vectors(
    vectors: Float[ArrayLike, "..."], where: Bool[ArrayLike, "..."] | None
) -> Bool[Array, "... 1"] | None:
    """The mask with a last axis of length 1, to select whole vectors."""
    if where is None:
        return None
    if jnp.shape(vectors)[:-1] != jnp.shape(where):
        raise ValueError(
            f"where must have the shape of the result: "
            f"where has {jnp.shape(where)}, the arguments have {jnp.shape(vectors)}"
        )
    return jnp.asarray(where)[..., None]


def _von_mises_nll(
    means: Float[Array, "..."], targets: Float[Array, "..."], kappa: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The formula, in float32 at least."""
    wide = jnp.promote_types(jnp.result_type(means, targets), jnp.float32)
    turn = signed_difference(targets.astype(wide), means.astype(wide))
    kappa = kappa.astype(wide)
    return 2 * kappa * jnp.square(jnp.sin(turn / 2)) + log_bessel_i0e(kappa) + math.log(2 * math.pi)
