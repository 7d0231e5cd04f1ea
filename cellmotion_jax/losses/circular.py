r"""Distances between directions as losses, for angles and for points on the circle.

The equations are those of Bruns et al., *Single Image Estimation of Cell Migration Direction by Deep
Circular Regression*, 2024. All functions are element-wise, take real numbers of any type (`ops.arguments`)
and return floats for :func:`ops.masked_mean` to reduce. All have the same ``where``: elements outside the
mask are 0, with zero gradient, whatever the arguments hold there, so that a missing label may be NaN.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from cellmotion_jax.ops.angles import absolute_difference, signed_difference
from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_where
from cellmotion_jax.ops.numerics import check_same_shape, safe_abs, select


def linear(
    predictions: Number[ArrayLike, "*batch"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Absolute difference of two angles as if they were numbers, :math:`|\alpha - \beta|` (Eq. 3).

    Not periodic: 359 and 1 degree are 358 degrees apart. It is here for comparison;
    :func:`cyclic` is the one that knows the circle. The gradient is the sign of the difference, 0 at
    equality.

    Args:
        predictions: Radians, in [0, 2 pi) in the paper.
        targets: Radians, of the shape of ``predictions``.
        where: Mask of the elements that count, of the same shape; everything if absent.

    Returns:
        Radians, not negative, below 2 pi if both angles are in [0, 2 pi).

    Raises:
        ValueError: If the shapes differ.

    >>> f"{linear(0.1, 6.2):.2f}"
    '6.10'
    """
    predictions, targets = _selected(predictions, targets, where)
    return safe_abs(predictions - targets)


def linear_squared(
    predictions: Number[ArrayLike, "*batch"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Square of :func:`linear`, :math:`(\alpha - \beta)^2` (Eq. 3). Not periodic either.

    Args:
        predictions: Radians, in [0, 2 pi) in the paper.
        targets: Radians, of the shape of ``predictions``.
        where: Mask of the elements that count, of the same shape; everything if absent.

    Returns:
        Squared radians.

    Raises:
        ValueError: If the shapes differ.

    >>> f"{linear_squared(0.1, 6.2):.2f}"
    '37.21'
    """
    predictions, targets = _selected(predictions, targets, where)
    return jnp.square(predictions - targets)


def cyclic(
    predictions: Number[ArrayLike, "*batch"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Length of the shorter arc, :math:`\min(|\alpha - \beta|, 2\pi - |\alpha - \beta|)` (Eq. 4).

    Deviation: the paper's form holds for angles in [0, 2 pi); this one is periodic in angles of any
    size. The gradient with respect to the prediction is the sign of the turn from target to
    prediction, 0 at equality and -1 at the antipode.

    Args:
        predictions: Radians, any finite value.
        targets: Radians, of the shape of ``predictions``.
        where: Mask of the elements that count, of the same shape; everything if absent.

    Returns:
        Radians in [0, pi].

    Raises:
        ValueError: If the shapes differ.

    >>> f"{cyclic(0.1, 6.2):.2f}"
    '0.18'
    """
    return absolute_difference(*_selected(predictions, targets, where))


def cyclic_squared(
    predictions: Number[ArrayLike, "*batch"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Square of :func:`cyclic`, the length of the shorter arc (Eq. 5).

    The gradient is twice the signed turn; it jumps from :math:`2\pi` to :math:`-2\pi` at the antipode
    and is 0 at equality.

    Args:
        predictions: Radians, any finite value.
        targets: Radians, of the shape of ``predictions``.
        where: Mask of the elements that count, of the same shape; everything if absent.

    Returns:
        Squared radians in [0, pi**2].

    Raises:
        ValueError: If the shapes differ.

    >>> f"{cyclic_squared(0.1, 6.2):.4f}"
    '0.0336'
    """
    return jnp.square(signed_difference(*_selected(predictions, targets, where)))


def cosine(
    predictions: Number[ArrayLike, "*batch"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Negative cosine of the difference, :math:`-\cos(\alpha - \beta)` (Eq. 6).

    Up to constants this is :func:`von_mises_nll` with one concentration for all (Eq. 9 to 12). It is
    blind to ``mod``: neither value nor gradient changes when an angle is wrapped. The gradient
    :math:`\sin(\alpha - \beta)` vanishes at equality, the minimum, and at the antipode, the maximum.

    Args:
        predictions: Radians, any finite value.
        targets: Radians, of the shape of ``predictions``.
        where: Mask of the elements that count, of the same shape; everything if absent.

    Returns:
        Values in [-1, 1]; -1, not 0, is the optimum.

    Raises:
        ValueError: If the shapes differ.

    >>> float(cosine(3.0, 3.0))
    -1.0
    """
    predictions, targets = _selected(predictions, targets, where)
    return select(where, -jnp.cos(predictions - targets))


def circle_distance(
    predictions: Number[ArrayLike, "*batch xy"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""L1 distance of two points in the plane, :math:`|x_1 - x_2| + |y_1 - y_2|` (Eq. 7).

    The targets lie on the unit circle (:func:`ops.encode_circle`), the predictions anywhere. Being an
    L1 distance it is the same for both points turned by a right angle, not by any angle. The gradient
    is the sign of each coordinate's difference, 0 where a coordinate is equal.

    Args:
        predictions: ``(x, y)`` along the last axis.
        targets: ``(x, y)``, of the shape of ``predictions``.
        where: Mask of the elements that count, of the shape of the result; everything if absent.

    Returns:
        Distances, not negative, at most ``2 sqrt(2)`` between points of the unit circle.

    Raises:
        ValueError: If the shapes differ, or if the last axis does not have length 2.

    >>> float(circle_distance(jnp.array([1.0, 0.0]), jnp.array([0.0, -1.0])))
    2.0
    """
    predictions, targets = to_floats("predictions", predictions), to_floats("targets", targets)
    check_same_shape(predictions=predictions, targets=targets)
    if predictions.shape[-1:] != (2,):
        raise ValueError(
            "predictions and targets must hold (x, y) along an axis of length 2, last; got shape "
            f"{predictions.shape}"
        )
    vector_where = _mask_of_vectors(predictions, to_where(where))
    difference = select(vector_where, predictions) - select(vector_where, targets)
    return jnp.sum(safe_abs(difference), axis=-1)


def circle_distance_squared(
    predictions: Number[ArrayLike, "*batch xy"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Square of :func:`circle_distance`, :math:`(|x_1 - x_2| + |y_1 - y_2|)^2` (Eq. 8).

    This is the loss of the paper's chosen configuration (Table 3). Read as printed it holds the cross
    term :math:`2 |x_1 - x_2| |y_1 - y_2|` and is not the squared Euclidean distance.

    Args:
        predictions: ``(x, y)`` along the last axis.
        targets: ``(x, y)``, of the shape of ``predictions``.
        where: Mask of the elements that count, of the shape of the result; everything if absent.

    Returns:
        Squared distances, not negative, at most 8 between points of the unit circle.

    Raises:
        ValueError: If the shapes differ, or if the last axis does not have length 2.

    >>> float(circle_distance_squared(jnp.array([1.0, 0.0]), jnp.array([0.0, -1.0])))
    4.0
    """
    return jnp.square(circle_distance(predictions, targets, where=where))


def _selected(
    predictions: Number[ArrayLike, "..."] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    where: Mask[ArrayLike, "..."] | Sequence | None,
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Both arguments as floats with zeros where the mask is false; refuses differing shapes."""
    predictions, targets = to_floats("predictions", predictions), to_floats("targets", targets)
    where = to_where(where)
    check_same_shape(predictions=predictions, targets=targets, where=where)
    return select(where, predictions), select(where, targets)


def _mask_of_vectors(
    vectors: Float[Array, "..."], where: Bool[Array, "..."] | None
) -> Bool[Array, "... 1"] | None:
    """The mask with a last axis of length 1, to select whole vectors."""
    if where is None:
        return None
    if vectors.shape[:-1] != where.shape:
        raise ValueError(
            f"where must have the shape of the result: where has {where.shape}, "
            f"the arguments have {vectors.shape}"
        )
    return where[..., None]
