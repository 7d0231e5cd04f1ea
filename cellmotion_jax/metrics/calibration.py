"""Calibration of predicted confidences, computed on the host in float64.

``errors`` are angles between prediction and truth in radians, signed or not
(``ops.signed_difference(predictions, targets)``), ``kappa`` concentrations of von Mises distributions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.special
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.host_arguments import host_floats, one_integer

LARGEST_KAPPA = 1e6
"""Largest value of :func:`fit_concentration`: a spread of 0.06 degrees."""

# Exact to rounding for the bell curves below, out to eight standard deviations.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def fit_concentration(errors: Number[ArrayLike, " cell"] | Sequence) -> float:
    r"""Maximum-likelihood concentration of errors around zero.

    .. math:: \frac{I_1(\kappa)}{I_0(\kappa)} = \frac1n \sum_i \cos e_i

    The mean direction is fixed at 0, that of an unbiased prediction: errors with a common bias do not count
    as concentrated. Fitted on validation cells, it gives a network that predicts no concentration one
    ``kappa`` for all cells.

    Args:
        errors: Radians, at least one.

    Returns:
        The concentration: 0 if the mean cosine is not positive, at most ``LARGEST_KAPPA``.

    Raises:
        InputError: If there are no errors or one is not finite.

    References:
        Mardia and Jupp, Directional Statistics, 2000, Section 5.3.

    >>> f"{fit_concentration(np.radians([-30.0, -10.0, 10.0, 30.0])):.2f}"
    '6.99'
    """
    variance = np.mean(2 * np.sin(_absolute(errors) / 2) ** 2)
    if variance >= _variance(0.0):
        return 0.0
    if variance <= _variance(LARGEST_KAPPA):
        return LARGEST_KAPPA
    fit = scipy.optimize.root_scalar(lambda kappa: _variance(kappa) - variance, bracket=(0, LARGEST_KAPPA))
    return float(fit.root)


def arc_half_width(
    kappa: Number[ArrayLike, "..."] | Sequence, coverage: Number[ArrayLike, "..."] | Sequence
) -> Float[np.ndarray, "..."]:
    r"""Half the width of the arc around the mean that holds a share of a von Mises distribution.

    Solves for :math:`w` in

    .. math:: \frac{1}{2\pi I_0(\kappa)} \int_{-w}^{w} e^{\kappa \cos\theta} d\theta = \text{coverage}

    by Newton's method from 0, which on a concave function approaches the root from below and cannot
    overshoot. The integrand is scaled by :math:`e^{-\kappa}`, so that any concentration can be used.

    Args:
        kappa: Concentrations, finite and not negative; 0 is the uniform distribution.
        coverage: Shares in [0, 1]; broadcasts against ``kappa``. Beyond 1 - 1e-12 there is only 1.

    Returns:
        Radians in [0, pi], in the common shape. A coverage of 1 gives pi.

    Raises:
        InputError: If a concentration or a coverage is out of its range.

    >>> f"{arc_half_width(0.0, 0.5) / np.pi:.2f}", f"{1000 * arc_half_width(1e6, 0.95):.3f}"
    ('0.50', '1.960')
    """
    kappa, coverage = host_floats("kappa", kappa), host_floats("coverage", coverage)
    if not (np.isfinite(kappa) & (kappa >= 0)).all():
        raise InputError("kappa must be finite and not negative everywhere")
    if not ((coverage >= 0) & (coverage <= 1)).all():
        raise InputError("coverage must be a share between 0 and 1 everywhere")
    try:
        kappa, coverage = np.broadcast_arrays(kappa, coverage)
    except ValueError as error:
        raise ValueError(
            f"kappa and coverage must have shapes that broadcast, got {kappa.shape} and {coverage.shape}"
        ) from error
    # The whole circle is known without solving, and Newton's method would take longest to get there.
    share = np.where(coverage == 1, 0.0, np.minimum(coverage, 1 - 1e-12))
    half_width = np.zeros(kappa.shape)
    for _ in range(100):
        angles = half_width[..., None] * (_NODES + 1) / 2
        inside = half_width * np.sum(_WEIGHTS * _density(angles, kappa[..., None]), axis=-1)
        step = (share - inside) / (2 * _density(half_width, kappa))
        half_width = np.clip(half_width + step, 0, np.pi)
        if np.all(np.abs(step) <= 1e-12 * half_width):
            break
    return np.where(coverage == 1, np.pi, half_width)


class Coverage(NamedTuple):
    """Nominal and observed coverage, one entry per level."""

    level: Float[np.ndarray, " level"]
    """Nominal share of errors inside the arcs."""
    covered: Float[np.ndarray, " level"]
    """Observed share of errors inside the arcs; above ``level`` the prediction is under-confident, below it
    over-confident."""
    standard_error: Float[np.ndarray, " level"]
    """Standard error of ``covered`` for a calibrated prediction and independent cells."""
    half_width_deg: Float[np.ndarray, " level"]
    """Mean half width of the arcs in degrees; of two calibrated predictions the one with the smaller width is
    better."""


def coverage_table(
    errors: Number[ArrayLike, " cell"] | Sequence,
    kappa: Number[ArrayLike, "..."] | Sequence,
    *,
    levels: Number[ArrayLike, " level"] | Sequence = (0.5, 0.8, 0.95),
) -> Coverage:
    """Nominal and observed coverage of the central arcs of the predicted von Mises distributions.

    Args:
        errors: Radians, at least one.
        kappa: Concentrations, one for all or one per error.
        levels: Shares in [0, 1].

    Returns:
        For every level the observed coverage, its standard error and the mean width of the arcs.

    Raises:
        InputError: If there are no errors, one is not finite, the number of concentrations does not
            fit, or a concentration or level is out of its range.

    >>> table = coverage_table(np.radians([-30.0, -10.0, 10.0, 30.0]), 7.0, levels=[0.5])
    >>> f"{table.covered[0]:.2f}, arcs of +-{table.half_width_deg[0]:.1f} degrees"
    '0.50, arcs of +-14.9 degrees'
    """
    absolute = _absolute(errors)
    kappa = host_floats("kappa", kappa)
    if kappa.ndim and kappa.shape != absolute.shape:
        raise InputError(f"kappa must be one number or one per error: {kappa.shape} for {absolute.shape}")
    level = host_floats("levels", levels, "level")
    half_width = arc_half_width(np.broadcast_to(kappa, absolute.shape)[:, None], level)
    return Coverage(
        level=level,
        covered=np.mean(absolute[:, None] <= half_width, axis=0),
        standard_error=np.sqrt(level * (1 - level) / len(absolute)),
        half_width_deg=np.degrees(np.mean(half_width, axis=0)),
    )


class ErrorByConfidence(NamedTuple):
    """Mean errors of cells in bins of similar confidence, the least confident bin first."""

    confidence: Float[np.ndarray, " bin"]
    """Mean confidence of the bin, in its own unit."""
    error_deg: Float[np.ndarray, " bin"]
    """Mean absolute error of the bin in degrees; decreases from bin to bin if the confidence is
    informative."""
    cells: Int[np.ndarray, " bin"]
    """Number of cells in the bin; the numbers differ by one at most."""


def error_by_confidence(
    errors: Number[ArrayLike, " cell"] | Sequence,
    confidence: Number[ArrayLike, " confidence"] | Sequence,
    *,
    bins: int = 10,
) -> ErrorByConfidence:
    """Error as a function of confidence, over bins of equally many cells.

    Only the order of the confidences matters, so a concentration and the length of a vector can be
    compared. Cells of equal confidence stay in the order in which they came.

    Args:
        errors: Radians, at least one.
        confidence: Larger is more certain; one per error, none NaN.
        bins: Number of bins, at least 1 and at most the number of errors.

    Returns:
        One entry per bin.

    Raises:
        InputError: If there are no errors, one is not finite, a confidence is NaN, the numbers of errors
            and confidences differ, or there are fewer errors than bins.

    >>> curve = error_by_confidence(np.radians([40.0, 10.0, -20.0, 4.0]), np.arange(4.0), bins=2)
    >>> curve.error_deg.round(1).tolist()
    [25.0, 12.0]
    """
    absolute, confidence = _absolute(errors), host_floats("confidence", confidence)
    bins = one_integer("bins", bins)
    if confidence.shape != absolute.shape or np.isnan(confidence).any():
        raise InputError(
            f"confidence must hold one number, not NaN, per error: {confidence.shape} for {absolute.shape}"
        )
    if not 1 <= bins <= len(absolute):
        raise InputError(f"bins must be between 1 and the number of errors, {len(absolute)}; got {bins}")
    groups = np.array_split(np.argsort(confidence, kind="stable"), bins)
    return ErrorByConfidence(
        confidence=np.array([np.mean(confidence[group]) for group in groups]),
        error_deg=np.array([np.degrees(np.mean(absolute[group])) for group in groups]),
        cells=np.array([len(group) for group in groups]),
    )


def _absolute(errors: Number[ArrayLike, " cell"] | Sequence) -> Float[np.ndarray, " cell"]:
    """Absolute errors in [0, pi]; raises InputError for no errors or errors that are not finite."""
    errors = host_floats("errors", errors, "cell")
    if not errors.size or not np.isfinite(errors).all():
        raise InputError(
            f"errors must hold at least one angle and only finite ones; got {errors.size} angles"
        )
    turned = np.remainder(np.abs(errors), 2 * np.pi)
    return np.minimum(turned, 2 * np.pi - turned)


def _variance(kappa: float) -> float:
    """Circular variance ``1 - I1 / I0`` of a von Mises distribution."""
    scaled = scipy.special.i0e(kappa)
    return float((scaled - scipy.special.i1e(kappa)) / scaled)


def _density(angle: np.ndarray | np.floating, kappa: np.ndarray) -> np.ndarray | np.floating:
    """Von Mises density around 0, ``exp(kappa cos(angle)) / (2 pi I0(kappa))``."""
    return np.exp(-2 * kappa * np.sin(angle / 2) ** 2) / (2 * np.pi * scipy.special.i0e(kappa))
