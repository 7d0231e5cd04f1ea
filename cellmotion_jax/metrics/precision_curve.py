"""Precision and success curves of tracks, and evaluation of the flag "lost".

The curves are those of Wu, Lim and Yang, *Online Object Tracking: A Benchmark*, CVPR 2013 (OTB), which
Jackson-Smith, *Cell Tracking using Convolutional Neural Networks*, 2016 (Section 6.2) applies to cells.

Arrays have the axes ``frame track`` or any other shape; ``where`` selects the frames that count, those in
which the reference cell is alive. A frame in which the track has no position (NaN: it ended too early) counts
as missed: its error is infinite and its overlap 0. A ratio without any case is 0. Everything can be jitted;
no output is NaN.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Num

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_mask, to_where
from cellmotion_jax.ops.host_arguments import check_axes
from cellmotion_jax.ops.numerics import check_same_shape, safe_norm

PRECISION_THRESHOLDS = tuple(float(pixels) for pixels in range(51))
"""Pixels, as in OTB."""
SUCCESS_THRESHOLDS = tuple(step / 20 for step in range(21))
"""Intersection over union, as in OTB."""
HEADLINE_THRESHOLD = 20.0
"""Distance in pixels at which precisions are compared, and beyond which a track counts as away from its
cell."""


class PrecisionCurve(NamedTuple):
    """Share of the frames in which a track is near its cell."""

    thresholds: Float[Array, " threshold"]
    """Thresholds on the error, in pixels."""
    precision: Float[Array, " threshold"]
    """Share of the frames with an error of at most the threshold."""
    at_20: Float[Array, ""]
    """The same at 20 pixels, the headline of OTB."""
    area: Float[Array, ""]
    """Area under the curve as the mean over the thresholds, in [0, 1]."""


class SuccessCurve(NamedTuple):
    """Share of the frames in which the box of a track overlaps that of its cell."""

    thresholds: Float[Array, " threshold"]
    """Intersection over union."""
    success: Float[Array, " threshold"]
    """Share of the frames with an overlap above the threshold."""
    area: Float[Array, ""]
    """Area under the curve as the mean over the thresholds, the AUC of OTB."""


class LostReport(NamedTuple):
    """Evaluation of the flag "lost" against the error of the position, once or at each threshold.

    Precision and recall are those of the flag among the frames in which the track has a position: counting
    frames without a position would reward a tracker that ends every track at once.
    """

    reported: Float[Array, "*threshold"]
    """Share of all frames that are flagged or have no position."""
    unplaced: Float[Array, ""]
    """Share of all frames that have no position."""
    away: Float[Array, ""]
    """Share of all frames that are away from the cell, those without a position among them."""
    precision: Float[Array, "*threshold"]
    """Share of the flagged frames with a position that is away from the cell."""
    recall: Float[Array, "*threshold"]
    """Share of the frames with a position away from the cell that is flagged."""


def centre_errors(
    predictions: Number[ArrayLike, "*shape 2"] | Sequence, targets: Number[ArrayLike, "..."] | Sequence
) -> Float[Array, "*shape"]:
    """Distances from predicted to true centres, the centre location error of OTB.

    Args:
        predictions: Points (y, x), NaN where there is none.
        targets: True points, of the shape of ``predictions``, NaN where there is none.

    Returns:
        Pixels; infinite where either point is missing.

    Raises:
        ValueError: If the shapes differ.

    >>> centre_errors(jnp.array([[3.0, 4.0], [jnp.nan, 0.0]]), jnp.zeros((2, 2))).tolist()
    [5.0, inf]
    """
    predictions, targets = to_floats("predictions", predictions), to_floats("targets", targets)
    check_same_shape(predictions=predictions, targets=targets)
    check_axes("predictions", predictions.shape, "... 2")
    apart = predictions - targets
    known = jnp.isfinite(apart).all(-1)
    return jnp.where(known, safe_norm(jnp.where(known[..., None], apart, 0)), jnp.inf)


def precision_curve(
    errors: Number[ArrayLike, "..."] | Sequence,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
    *,
    thresholds: Number[ArrayLike, " threshold"] | Sequence = PRECISION_THRESHOLDS,
) -> PrecisionCurve:
    """Share of frames with a centre error of at most t pixels, for every threshold t (Wu et al., Section 3).

    Args:
        errors: Pixels, from :func:`centre_errors`; infinite where a position is missing.
        where: Frames that count, of the shape of ``errors``; all if absent.
        thresholds: Finite numbers of pixels, at least one.

    Returns:
        The curve, its value at 20 px and the area under it.

    Raises:
        ValueError: If the shapes differ or there is no threshold.

    >>> curve = precision_curve(jnp.array([0.5, 12.0, jnp.inf, 20.0]))
    >>> [f"{share:.2f}" for share in (curve.precision[0], curve.precision[1], curve.at_20)]
    ['0.00', '0.25', '0.75']
    """
    errors, at = to_floats("errors", errors), _thresholds(thresholds)
    counted = _counted(where, errors=errors)
    ordered = jnp.sort(jnp.where(counted, errors, jnp.inf), axis=None)
    total = jnp.sum(counted)
    precision = _share(jnp.searchsorted(ordered, at, side="right"), total)
    at_20 = _share(jnp.searchsorted(ordered, HEADLINE_THRESHOLD, side="right"), total)
    return PrecisionCurve(at, precision, at_20, jnp.mean(precision))


def success_curve(
    overlaps: Number[ArrayLike, "..."] | Sequence,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
    *,
    thresholds: Number[ArrayLike, " threshold"] | Sequence = SUCCESS_THRESHOLDS,
) -> SuccessCurve:
    """Share of frames with an overlap above t, for every threshold t (Wu et al., Section 3).

    The overlap must be larger than t, as in the tools of OTB: at 0 boxes must overlap, and at 1 no frame
        succeeds.

    Args:
        overlaps: Intersection over union of predicted and true box, from ``ops.boxes.paired_iou``.
        where: Frames that count, of the shape of ``overlaps``; all if absent.
        thresholds: Overlaps, at least one.

    Returns:
        The curve and the area under it.

    Raises:
        ValueError: If the shapes differ or there is no threshold.

    >>> success_curve(jnp.array([0.0, 0.5, 0.8, 1.0]), thresholds=[0.0, 0.5]).success.tolist()
    [0.75, 0.5]
    """
    overlaps, at = to_floats("overlaps", overlaps), _thresholds(thresholds)
    counted = _counted(where, overlaps=overlaps)
    ordered = jnp.sort(jnp.where(counted, overlaps, -jnp.inf), axis=None)
    success = _share(ordered.size - jnp.searchsorted(ordered, at, side="right"), jnp.sum(counted))
    return SuccessCurve(at, success, jnp.mean(success))


def lost_report(
    errors: Number[ArrayLike, "..."] | Sequence,
    flagged: Mask[ArrayLike, "..."] | Sequence,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
    *,
    distance: Number[ArrayLike, ""] = HEADLINE_THRESHOLD,
) -> LostReport:
    """Compares the frames flagged as lost with those in which the track is away from its cell.

    Args:
        errors: Pixels, from :func:`centre_errors`; infinite where a position is missing.
        flagged: Frames reported as lost, of the shape of ``errors``.
        where: Frames that count, likewise; all if absent.
        distance: Error in pixels above which a track counts as away.

    Returns:
        Shares, precision and recall.

    Raises:
        ValueError: If the shapes differ.

    >>> report = lost_report(jnp.array([1.0, 50.0, 60.0, 2.0]), jnp.array([False, True, False, True]))
    >>> float(report.precision), float(report.recall)
    (0.5, 0.5)
    """
    errors, flagged, where = to_floats("errors", errors), to_mask("flagged", flagged), to_where(where)
    check_same_shape(errors=errors, flagged=flagged, where=where)
    # A flag is a confidence of 0 or 1 below a threshold between them.
    curve = lost_curve(errors, 1.0 - flagged, where, thresholds=(0.5,), distance=distance)
    return curve._replace(reported=curve.reported[0], precision=curve.precision[0], recall=curve.recall[0])


def lost_curve(
    errors: Number[ArrayLike, "..."] | Sequence,
    confidence: Number[ArrayLike, "..."] | Sequence,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
    *,
    thresholds: Number[ArrayLike, " threshold"] | Sequence,
    distance: Number[ArrayLike, ""] = HEADLINE_THRESHOLD,
) -> LostReport:
    """:func:`lost_report` for a flag that is raised where a confidence is below t, at every threshold t.

    Args:
        errors: Pixels, from :func:`centre_errors`; infinite where a position is missing.
        confidence: Larger is surer (of an entropy take the negative), of the shape of ``errors``. Where it
            is NaN the flag is never raised.
        where: Frames that count, likewise; all if absent.
        thresholds: Thresholds on the confidence, at least one.
        distance: Error in pixels above which a track counts as away.

    Returns:
        One share, precision and recall per threshold.

    Raises:
        ValueError: If the shapes differ or there is no threshold.

    >>> curve = lost_curve(jnp.array([1.0, 50.0]), jnp.array([9.0, 3.0]), thresholds=[2.0, 5.0, 10.0])
    >>> curve.precision.tolist(), curve.recall.tolist()
    ([0.0, 1.0, 0.5], [0.0, 1.0, 1.0])
    """
    errors, confidence = to_floats("errors", errors), to_floats("confidence", confidence)
    distance, at = to_floats("distance", distance, ""), _thresholds(thresholds)
    counted = _counted(where, errors=errors, confidence=confidence)
    placed = counted & jnp.isfinite(errors)
    away = placed & (errors > distance)
    flags, right = (_below(confidence, among, at) for among in (placed, away))
    total, missing = jnp.sum(counted), jnp.sum(counted & ~placed)
    return LostReport(
        reported=_share(flags + missing, total),
        unplaced=_share(missing, total),
        away=_share(jnp.sum(away) + missing, total),
        precision=_share(right, flags),
        recall=_share(right, jnp.sum(away)),
    )


def _below(
    values: Float[Array, "..."], among: Bool[Array, "..."], thresholds: Float[Array, " threshold"]
) -> Int[Array, " threshold"]:
    """Number of selected values below each threshold; NaN is never below."""
    ordered = jnp.sort(jnp.where(among & ~jnp.isnan(values), values, jnp.inf), axis=None)
    return jnp.searchsorted(ordered, thresholds, side="left")


def _counted(
    where: Mask[ArrayLike, "..."] | Sequence | None, **values: Float[Array, "..."]
) -> Bool[Array, "..."]:
    """The mask of what counts, all if it is absent; refuses differing shapes."""
    mask = to_where(where)
    check_same_shape(**values, where=mask)
    return jnp.ones(next(iter(values.values())).shape, bool) if mask is None else mask


def _thresholds(thresholds: Number[ArrayLike, " threshold"] | Sequence) -> Float[Array, " threshold"]:
    at = to_floats("thresholds", thresholds, "threshold").astype(jnp.float32)
    if not at.size:
        raise ValueError("thresholds must hold at least one number")
    return at


def _share(part: Num[ArrayLike, "*shape"], whole: Num[ArrayLike, "..."]) -> Float[Array, "*shape"]:
    """Ratio of part and whole; 0 if the whole is 0."""
    return jnp.where(whole == 0, 0.0, jnp.asarray(part) / jnp.maximum(whole, 1))
