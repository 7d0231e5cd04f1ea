"""Pictures of the calibration of predicted confidences."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from cellmotion_jax.metrics import UNIFORM_GUESS_DEG, coverage_table, error_by_confidence
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


def plot_calibration(
    errors: Float[np.ndarray, " cell"],
    kappa: Float[np.ndarray, " cell"],
    out: pathlib.Path,
    *,
    confidence: Float[np.ndarray, " cell"] | None = None,
    confidence_label: str = "kappa",
    levels: Sequence[float] = (0.5, 0.8, 0.95),
    of: str = "",
    title: str = "Is the confidence believable?",
) -> None:
    """Draws nominal and observed coverage of the von Mises arcs, and the error against the confidence.

    Left: for every share from 0 to 1 the central arc that holds this share of the predicted distribution,
    against the share of images whose error lies within it; the band is the 95 % range for a calibrated
    prediction and independent images, which those of one cell are not. Right: see
    :func:`plot_error_by_confidence`.

    Args:
        errors: Radians, at least one; signed or not.
        kappa: Concentrations, one per cell; the same for all where the network predicts none.
        out: The picture.
        confidence: Confidence for the right panel; ``kappa`` if absent.
        confidence_label: Name of the confidence.
        levels: Shares that are marked and written out.
        of: What was predicted, for the headline, e.g. "798 images of 80 cells"; without it the number of
            errors is given.
        title: Headline.

    Raises:
        InputError: As ``metrics.coverage_table`` and ``metrics.error_by_confidence``.
    """
    figure = new_figure(
        11.0,
        5.6,
        title=f"{title} {of or f'{len(errors)} images'}",
        hint="Good: left, the line stays in the band; right, the error falls steadily with the confidence. "
        "Bad: a line below the diagonal (arcs too narrow), or a flat error.",
    )
    coverage_axes, error_axes = figure.subplots(1, 2)
    _draw_coverage(coverage_axes, errors, kappa, levels)
    _draw_error_by_confidence(
        error_axes, errors, kappa if confidence is None else confidence, confidence_label
    )
    save_figure(figure, out)


def plot_error_by_confidence(
    errors: Float[np.ndarray, " cell"],
    confidence: Float[np.ndarray, " cell"],
    out: pathlib.Path,
    *,
    confidence_label: str = "confidence",
    title: str = "Error against confidence",
) -> None:
    """Draws the mean error in bins of equally many images of similar confidence, over the single images.

    The axis is the rank of the confidence, not its value, because the scales of confidences differ
    between objectives; the mean confidence of every group is written below it. If all images have the same
    confidence, the picture states that they cannot be sorted.

    Args:
        errors: Radians, at least one; signed or not.
        confidence: Larger is surer; one per error.
        out: The picture.
        confidence_label: Name of the confidence.
        title: Headline.

    Raises:
        InputError: As ``metrics.error_by_confidence``.
    """
    figure = new_figure(
        6.4,
        5.4,
        title=f"{title}: {len(errors)} images",
        hint="Good: the error falls steadily from left to right. Bad: flat, the confidence means nothing.",
    )
    _draw_error_by_confidence(figure.add_subplot(), errors, confidence, confidence_label)
    save_figure(figure, out)


def _draw_coverage(
    axes: Axes,
    errors: Float[np.ndarray, " cell"],
    kappa: Float[np.ndarray, " cell"],
    levels: Sequence[float],
) -> None:
    curve = coverage_table(errors, kappa, levels=np.linspace(0.02, 0.98, 25).tolist())
    marked = coverage_table(errors, kappa, levels=levels)
    chance = 1.96 * curve.standard_error
    axes.fill_between(
        curve.level, curve.level - chance, curve.level + chance, color="0.88", label="95 % range of chance"
    )
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1.2, label="as promised")
    axes.plot(curve.level, curve.covered, color=BLUE, linewidth=2.4, label="observed")
    for level, covered, width in zip(marked.level, marked.covered, marked.half_width_deg):
        axes.plot(level, covered, "o", color=BLUE, markersize=8, markeredgecolor="white")
        axes.annotate(
            f"{level:.0%} arcs (±{width:.0f}°) hold {covered:.0%}",
            (level, covered),
            xytext=(0.97, 0.28 - 0.075 * list(marked.level).index(level)),
            textcoords="axes fraction",
            ha="right",
            fontsize=9.5,
        )
    axes.text(0.04, 0.72, "too modest", color=GREEN, fontsize=10, transform=axes.transAxes)
    axes.text(0.62, 0.38, "too sure of itself", color=VERMILLION, fontsize=10, transform=axes.transAxes)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.legend(loc="upper left", fontsize=9, frameon=False)
    label_axes(axes, title="Coverage", x="share promised by the arc", y="share of images within the arc")


def _draw_error_by_confidence(
    axes: Axes, errors: Float[np.ndarray, " cell"], confidence: Float[np.ndarray, " cell"], label: str
) -> None:
    degrees = np.degrees(np.abs(np.mod(errors + np.pi, 2 * np.pi) - np.pi))
    bins = min(8, max(1, len(errors) // 10)) if np.ptp(confidence) > 0 else 1
    curve = error_by_confidence(errors, confidence, bins=bins)
    order = np.argsort(confidence, kind="stable")
    axes.plot(
        np.arange(len(order)) + 0.5,
        degrees[order],
        ".",
        color=SKY,
        alpha=0.5,
        markersize=5,
        label="an image of a cell",
    )
    ends = np.cumsum(curve.cells)
    starts = ends - curve.cells
    spread = [degrees[order[start:end]].std() for start, end in zip(starts, ends)]
    axes.errorbar(
        (starts + ends) / 2,
        curve.error_deg,
        xerr=curve.cells / 2,
        yerr=1.96 * np.array(spread) / np.sqrt(curve.cells),
        fmt="o",
        color=BLUE,
        linewidth=2,
        markersize=7,
        markeredgecolor="white",
        label="similar confidence: mean, 95 % range",
    )
    axes.axhline(degrees.mean(), color=ORANGE, linewidth=1.5, label=f"all: E_deg {degrees.mean():.1f}°")
    axes.axhline(UNIFORM_GUESS_DEG, color=GREY, linestyle="--", linewidth=1.2, label="guessing: 90°")
    axes.set_xticks((starts + ends) / 2, [f"{value:.3g}" for value in curve.confidence])
    # No error is larger than half a turn; the dots of those lie on the edge.
    axes.set_ylim(0, 184)
    axes.set_yticks([0, 45, 90, 135, 180])
    axes.set_xlim(0, len(order))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.06), fontsize=9, frameon=False, ncols=2)
    same = "  (the same for all)" if bins == 1 and np.ptp(confidence) == 0 else ""
    label_axes(
        axes, title="Error by rank of confidence", x=f"{label}, least sure first{same}", y="error in degrees"
    )
