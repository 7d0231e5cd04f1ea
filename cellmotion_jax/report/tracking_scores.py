"""Pictures of tracking scores: precision and success curves, and evaluation of the flag "lost"."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellmotion_jax.metrics.precision_curve import (
    HEADLINE_THRESHOLD,
    LostReport,
    PrecisionCurve,
    SuccessCurve,
)
from cellmotion_jax.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    label_axes,
    new_figure,
    save_figure,
)

_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, SKY, GREY)
_DASHES = ("-", "--", ":", "-.")


def plot_precision(
    curves: Mapping[str, PrecisionCurve], out: pathlib.Path, *, title: str = "Precision of the tracks"
) -> None:
    """Precision curves of several configurations or trackers (Wu et al. 2013), the best first in the legend.

    Args:
        curves: By name, at least one.
        out: The picture.
        title: Headline; the best value at 20 px is added.

    Raises:
        ValueError: If there is no curve.
        InputError: If the suffix of ``out`` is no picture format.
    """
    values = {name: float(curve.at_20) for name, curve in curves.items()}
    figure, axes = _axes(
        values,
        title=f"{title}: %s within {HEADLINE_THRESHOLD:.0f} px",
        hint="Good: steep at first, then flat and near 1. Where it flattens below 1 the rest is lost;\n"
        "a slow rise means that tracks are near but not on the centre.",
    )
    axes.axvline(HEADLINE_THRESHOLD, linestyle="--", color=GREY, linewidth=1.2)
    for name, value, (color, dash) in _best_first(values):
        curve = curves[name]
        label = f"{value:.3f}  {name} (area {float(curve.area):.3f})"
        axes.plot(
            np.asarray(curve.thresholds),
            np.asarray(curve.precision),
            label=label,
            color=color,
            linestyle=dash,
            linewidth=2,
        )
    label_axes(axes, x="distance from the true centre in pixels", y="share of positions within this distance")
    axes.set_xlim(0, max(float(curve.thresholds[-1]) for curve in curves.values()))
    _finish(figure, axes, out, legend_title="within 20 px")


def plot_success(
    curves: Mapping[str, SuccessCurve], out: pathlib.Path, *, title: str = "Success of the tracks"
) -> None:
    """Success curves by overlap of boxes (Wu et al. 2013), that of the largest area first in the legend.

    Args:
        curves: By name, at least one.
        out: The picture.
        title: Headline; the largest area is added.

    Raises:
        ValueError: If there is no curve.
        InputError: If the suffix of ``out`` is no picture format.
    """
    values = {name: float(curve.area) for name, curve in curves.items()}
    figure, axes = _axes(
        values,
        title=f"{title}: area %s",
        hint="Good: high until far to the right. A curve that falls at once from a high start has boxes\n"
        "on the right cells but of the wrong size; one that starts low has lost them.",
    )
    for name, value, (color, dash) in _best_first(values):
        curve = curves[name]
        label = f"{value:.3f}  {name}"
        axes.plot(
            np.asarray(curve.thresholds),
            np.asarray(curve.success),
            label=label,
            color=color,
            linestyle=dash,
            linewidth=2,
        )
    label_axes(axes, x="intersection over union of the boxes", y="share of boxes that overlap more than this")
    axes.set_xlim(0, 1)
    _finish(figure, axes, out, legend_title="area under the curve")


def plot_lost(
    thresholds: Sequence[float],
    report: LostReport,
    out: pathlib.Path,
    *,
    chosen: float,
    confidence: str = "PSR",
    title: str = "Is 'lost' believable?",
) -> None:
    """Precision and recall of the flag "lost" against the threshold on the confidence that raises it.

    Args:
        thresholds: Thresholds on the confidence, ascending.
        report: What :func:`~cellmotion_jax.metrics.precision_curve.lost_curve` gives for them. Where nothing
            was flagged the precision is left out.
        out: The picture.
        chosen: The threshold that is used; a dashed line. The title has the values at the nearest one.
        confidence: Name of the confidence.
        title: Headline.

    Raises:
        ValueError: If the report is not of these thresholds.
        InputError: If the suffix of ``out`` is no picture format.
    """
    at, reported = np.asarray(thresholds, float), np.asarray(report.reported, float)
    if not at.size or reported.shape != at.shape:
        raise ValueError(f"report has shape {reported.shape}, but there are {at.size} thresholds")
    precision, recall = np.asarray(report.precision, float), np.asarray(report.recall, float)
    used = int(np.argmin(np.abs(at - chosen)))
    figure = new_figure(
        6.8,
        5.0,
        title=f"{title}\nlost below {confidence} {chosen:g}: precision {precision[used]:.2f}, recall "
        f"{recall[used]:.2f}",
        hint="Good: both high at the dashed line. Precision: of the frames flagged lost, the share that is\n"
        f"more than {HEADLINE_THRESHOLD:.0f} px from the truth. Recall: of those far away, the share that is "
        "flagged.",
    )
    axes = figure.add_subplot()
    away = float(report.away)
    # A precision of nothing is 0, which on paper looks like the worst of all trackers.
    axes.plot(
        at,
        np.where(reported > float(report.unplaced) + 1e-9, precision, np.nan),
        color=BLUE,
        linewidth=2.2,
        label="precision of the flag",
    )
    axes.plot(at, recall, color=VERMILLION, linewidth=2.2, label="recall of the flag")
    axes.plot(at, reported, color=GREY, linewidth=1.6, linestyle=":", label="share of frames reported lost")
    axes.axhline(away, color=GREEN, linewidth=1.2, linestyle="-.", label=f"share of frames away: {away:.1%}")
    axes.axvline(chosen, color=GREY, linewidth=1.2, linestyle="--", label=f"used: {chosen:g}")
    label_axes(axes, x=f"threshold on {confidence}", y="share")
    axes.set_xlim(at.min(), at.max() if at.max() > at.min() else at.min() + 1)
    _finish(figure, axes, out)


def _axes(values: Mapping[str, float], *, title: str, hint: str) -> tuple[Figure, Axes]:
    """A new figure, whose title has the largest value, and its axes."""
    if not values:
        raise ValueError("curves hold no curve to draw")
    height = 4.9 + 0.16 * max(len(values) - 6, 0)
    figure = new_figure(7.2, height, title=title % f"{max(values.values()):.3f}", hint=hint)
    return figure, figure.add_subplot()


def _best_first(values: Mapping[str, float]) -> list[tuple[str, float, tuple[str, str]]]:
    """Names, values and styles; a name keeps its style in all pictures of the same names."""
    styles = itertools.cycle((color, dash) for dash in _DASHES for color in _COLORS)
    styled = [(name, value, style) for (name, value), style in zip(values.items(), styles)]
    return sorted(styled, key=lambda curve: -curve[1])


def _finish(figure: Figure, axes: Axes, out: pathlib.Path, *, legend_title: str | None = None) -> None:
    axes.set_ylim(-0.01, 1.02)
    axes.legend(fontsize=8, frameon=False, title=legend_title, title_fontsize=8, alignment="left")
    save_figure(figure, out)
