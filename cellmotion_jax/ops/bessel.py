r"""The modified Bessel function :math:`I_0` in the forms that the von Mises distribution needs.

Everything here is meant for :math:`\kappa \ge 0` and keeps its precision, with its derivatives, from
0 to the largest number the type can hold. Nothing is checked: negative arguments give numbers
without meaning.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Number, to_floats


def _expansion(terms: int) -> tuple[float, ...]:
    """Coefficients ``c[1], c[2], ...`` of ``1 - I1(x) / I0(x) = sum c[k] x**-k`` for large ``x``.

    ``u = 1 - I1 / I0`` solves the Riccati equation ``2 u = 1 / x - u / x - u' + u**2``; comparing the
    powers of ``1 / x`` gives one coefficient after the other.
    """
    c = [0.0, 0.5]
    for k in range(2, terms + 1):
        c.append(((k - 2) * c[k - 1] + sum(c[i] * c[k - i] for i in range(1, k))) / 2)
    return tuple(c[1:])


# From 30 on ten terms are right to 1e-11; below, the direct difference loses a factor of 60 at most.
_LARGE = 30.0
_COEFFICIENTS = _expansion(10)


def bessel_ratio_complement(kappa: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    r"""Circular variance of a von Mises distribution, :math:`1 - I_1(\kappa) / I_0(\kappa)`.

    This is :math:`1 - \mathrm{E}[\cos\theta]`, the circular variance. It falls from 1 at
    :math:`\kappa = 0` to :math:`1 / (2\kappa)` for large :math:`\kappa`, where the plain difference of
    two numbers near 1 would keep no digit; there the asymptotic series is summed instead.

    Args:
        kappa: Concentration, not negative.

    Returns:
        Values in (0, 1], in float32 at least.

    References:
        NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/10.40.

    >>> f"{bessel_ratio_complement(1e6):.3g}"
    '5e-07'
    """
    kappa = _at_least_float32(kappa)
    large = kappa >= _LARGE
    moderate = jnp.where(large, 1, kappa)
    scaled = lax.bessel_i0e(moderate)
    direct = (scaled - lax.bessel_i1e(moderate)) / scaled
    inverse = 1 / jnp.where(large, kappa, _LARGE)
    series = jnp.zeros_like(kappa)
    for coefficient in reversed(_COEFFICIENTS):
        series = (series + coefficient) * inverse
    return jnp.where(large, series, direct)


def log_bessel_i0e(kappa: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    r"""Logarithm of the exponentially scaled Bessel function, :math:`\ln(e^{-\kappa} I_0(\kappa))`.

    Its derivative is :math:`I_1(\kappa) / I_0(\kappa) - 1` and is taken from
    :func:`bessel_ratio_complement` instead of from the difference that automatic differentiation
    would form. At 0 the value is 0 and the (right-hand) derivative -1.

    Args:
        kappa: Concentration, not negative.

    Returns:
        Values in (-inf, 0], in float32 at least.

    >>> f"{log_bessel_i0e(1e6):.3f}"
    '-7.827'
    """
    return _log_bessel_i0e(_at_least_float32(kappa))


def log_bessel_i0(kappa: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    r""":math:`\ln I_0(\kappa)`, which does not overflow; its derivative is :math:`I_1 / I_0`.

    It grows like :math:`\kappa`. Where :math:`\kappa` is subtracted again, as in the likelihood of an
    angle, :func:`log_bessel_i0e` keeps the digits that this sum rounds away.

    Args:
        kappa: Concentration, not negative.

    Returns:
        Values in [0, inf), in float32 at least.

    >>> f"{log_bessel_i0(1000.0):.3f}"
    '995.627'
    """
    kappa = _at_least_float32(kappa)
    return kappa + _log_bessel_i0e(kappa)


@jax.custom_jvp
def _log_bessel_i0e(kappa: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.log(lax.bessel_i0e(kappa))


@_log_bessel_i0e.defjvp
def _log_bessel_i0e_jvp(primals, tangents):
    (kappa,), (tangent,) = primals, tangents
    return _log_bessel_i0e(kappa), -bessel_ratio_complement(kappa) * tangent


def _at_least_float32(x: Number[ArrayLike, "*shape"] | Sequence) -> Float[Array, "*shape"]:
    x = to_floats("kappa", x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
