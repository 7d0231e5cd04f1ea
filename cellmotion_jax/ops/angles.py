"""Angles: differences, encodings, and the change of a heading by a rotation or mirroring of the image.

One convention for the whole package: radians in [0, 2 pi), counter-clockwise from +x as a person
sees the image; a unit vector is ``(cos, sin)``, a displacement in pixels is ``(dy, dx)`` with y down.
Arguments are real numbers of any type (`ops.arguments`), results are floats. Every function is
element-wise in its leading axes and periodic in every angle it is given.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Number, to_floats
from cellmotion_jax.ops.numerics import check_same_shape, safe_abs

TURN = 2 * math.pi


def wrap(angle: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    r"""Wraps an angle to [0, 2 pi).

    Unlike ``angle % (2 * pi)`` it never returns 2 pi itself, which is what rounding makes of a tiny
    negative angle; that one becomes 0. The remainder is exact for angles of any size. Gradient 1
    everywhere, the jump at multiples of 2 pi included; infinite angles give NaN.

    Args:
        angle: Radians, any finite value.

    Returns:
        Radians in [0, 2 pi).

    >>> float(wrap(-1e-9)), f"{wrap(-math.pi / 2) / math.pi:.2f}"
    (0.0, '1.50')
    """
    rest = jnp.fmod(to_floats("angle", angle), TURN)
    rest = rest + jnp.where(rest < 0, TURN, 0)
    return rest - jnp.where(rest >= jnp.asarray(TURN, rest.dtype), TURN, 0)


def signed_difference(
    a: Number[ArrayLike, "*shape"] | Sequence, b: Number[ArrayLike, "..."] | Sequence
) -> Float[Array, "*shape"]:
    r"""The angle in [-pi, pi) from direction ``b`` to direction ``a``.

    Positive is counter-clockwise; opposite directions give -pi. Small differences keep all their
    digits. Gradient 1 for ``a`` and -1 for ``b`` everywhere, the jump at the antipode included.

    Args:
        a: Radians, any finite value.
        b: Radians, of the shape of ``a``.

    Returns:
        Radians in [-pi, pi).

    Raises:
        ValueError: If the shapes differ.

    >>> f"{signed_difference(0.1, TURN - 0.1):.2f}"
    '0.20'
    """
    a, b = to_floats("a", a), to_floats("b", b)
    check_same_shape(a=a, b=b)
    rest = jnp.fmod(jnp.subtract(a, b), TURN)
    half = jnp.asarray(math.pi, rest.dtype)
    return rest + jnp.where(rest < -half, TURN, 0) - jnp.where(rest >= half, TURN, 0)


def absolute_difference(
    a: Number[ArrayLike, "*shape"] | Sequence, b: Number[ArrayLike, "..."] | Sequence
) -> Float[Array, "*shape"]:
    r"""The length of the shorter arc between two directions, in [0, pi].

    .. math:: \delta(a, b) = \min(|a - b|, 2\pi - |a - b|) \quad\text{(Eq. 4 of [1] for } a, b
       \in [0, 2\pi))

    Written with :func:`signed_difference`, so that it is periodic in angles of any size. The
    gradient is the sign of the turn from ``b`` to ``a``, 0 at equality and -1 for ``a`` at the
    antipode, where both arcs are equally long.

    Args:
        a: Radians, any finite value.
        b: Radians, of the shape of ``a``.

    Returns:
        Radians in [0, pi].

    Raises:
        ValueError: If the shapes differ.

    References:
        [1] Bruns et al., Single Image Estimation of Cell Migration Direction by Deep Circular
        Regression, 2024.

    >>> f"{absolute_difference(0.1, 6.2):.2f}"
    '0.18'
    """
    return safe_abs(signed_difference(a, b))


def encode_circle(angle: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape 2"]:
    """The point ``(cos, sin)`` of the unit circle (Section 2.1 of Bruns et al. 2024).

    Args:
        angle: Radians, any finite value.

    Returns:
        Unit vectors along a new last axis.

    >>> encode_circle(0.0).tolist()
    [1.0, 0.0]
    """
    angle = to_floats("angle", angle)
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def decode_circle(vector: Number[ArrayLike, "*shape 2"] | Sequence) -> Float[Array, "*shape"]:
    r"""The direction of a vector ``(x, y)``, y up, of any length: :math:`\mathrm{atan2}(y, x)`.

    The zero vector has no direction; it gives the angle 0 with zero gradient. Elsewhere the gradient
    is that of atan2, also for lengths whose square would overflow or vanish.

    Args:
        vector: ``(x, y)`` along the last axis, such as the output of a two-neuron network.

    Returns:
        Radians in [0, 2 pi).

    >>> f"{decode_circle(jnp.array([0.0, -3.0])) / math.pi:.2f}"
    '1.50'
    """
    vector = to_floats("vector", vector, "... 2")
    x, y = vector[..., 0], vector[..., 1]
    scale = lax.stop_gradient(jnp.maximum(jnp.abs(x), jnp.abs(y)))
    vanishing = scale < jnp.finfo(vector.dtype).tiny
    scale = jnp.where(vanishing, 1, scale)
    x, y = jnp.where(vanishing, 1, x / scale), jnp.where(vanishing, 0, y / scale)
    return wrap(jnp.arctan2(y, x))


def heading(displacement: Number[ArrayLike, "*shape 2"] | Sequence) -> Float[Array, "*shape"]:
    r"""The direction of a displacement in the image: :math:`\mathrm{atan2}(-dy, dx)`.

    No displacement gives the angle 0 with zero gradient.

    Args:
        displacement: ``(dy, dx)`` along the last axis, y down, in any unit of length.

    Returns:
        Radians in [0, 2 pi), counter-clockwise from +x as a person sees the image.

    >>> f"{heading(jnp.array([-2.0, 0.0])) / math.pi:.2f}"  # up
    '0.50'
    """
    displacement = to_floats("displacement", displacement, "... 2")
    return decode_circle(jnp.stack([displacement[..., 1], -displacement[..., 0]], axis=-1))


def rotate_heading(
    angle: Number[ArrayLike, "*shape"] | Sequence, rotation: Number[ArrayLike, "..."] | Sequence
) -> Float[Array, "*shape"]:
    """The heading in an image that was rotated counter-clockwise, as a person sees it, by ``rotation``.

    Args:
        angle: Radians, any finite value.
        rotation: Radians, one for all or of the shape of ``angle``.

    Returns:
        Radians in [0, 2 pi).

    Raises:
        ValueError: If ``rotation`` is no scalar and has another shape than ``angle``.

    >>> f"{rotate_heading(1.5 * math.pi, math.pi) / math.pi:.2f}"
    '0.50'
    """
    angle, rotation = to_floats("angle", angle), to_floats("rotation", rotation)
    if rotation.ndim:
        check_same_shape(angle=angle, rotation=rotation)
    return wrap(jnp.add(angle, rotation))


def mirror_heading_horizontal(angle: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    """The heading ``pi - angle`` in an image whose left and right were swapped.

    Args:
        angle: Radians, any finite value.

    Returns:
        Radians in [0, 2 pi).

    >>> f"{mirror_heading_horizontal(0.0) / math.pi:.2f}"
    '1.00'
    """
    return wrap(math.pi - to_floats("angle", angle))


def mirror_heading_vertical(angle: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    """The heading ``-angle`` in an image whose top and bottom were swapped.

    Args:
        angle: Radians, any finite value.

    Returns:
        Radians in [0, 2 pi).

    >>> f"{mirror_heading_vertical(math.pi / 2) / math.pi:.2f}"
    '1.50'
    """
    return wrap(-to_floats("angle", angle))


def cyclic_activation(x: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    r"""Output of a one-neuron network as an angle: :math:`\varphi(x) = x \bmod 2\pi` (Eq. 1 of [1]).

    Gradient 1 everywhere, also at the jumps, which the chain rule does not see. No continuous scalar
    winds once around the circle, so a network behind this activation has to learn a jump somewhere.

    Args:
        x: The neuron, any finite value.

    Returns:
        Radians in [0, 2 pi).

    References:
        [1] Bruns et al., Single Image Estimation of Cell Migration Direction by Deep Circular
        Regression, 2024.

    >>> f"{cyclic_activation(-1.0):.3f}"
    '5.283'
    """
    return wrap(to_floats("x", x))


def identity_activation(x: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    r"""Output of a two-neuron network, unchanged: :math:`\varphi(x) = x` (Eq. 2 of Bruns et al. 2024).

    Args:
        x: The neurons.

    Returns:
        ``x`` as an array of floats.

    >>> float(identity_activation(3.0))
    3.0
    """
    return to_floats("x", x)


def sigmoid_activation(x: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    r"""Output of a two-neuron network squeezed into [-1, 1] (Eq. 2 of Bruns et al. 2024).

    .. math:: \varphi(x) = \frac{e^x - 1}{e^x + 1} = \tanh(x / 2)

    The second form is the one that is computed: it does not overflow. Gradient 1/2 at 0, vanishing
    for large ``|x|``.

    Args:
        x: The neurons.

    Returns:
        Values in [-1, 1].

    >>> float(sigmoid_activation(1000.0))
    1.0
    """
    return jnp.tanh(to_floats("x", x) / 2)
