"""Pictures of F-scores: over the parameter of the detection, and of the models of Table 2."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from cellmotion_jax.report.figures import (
    GREEN,
    GREY,
    ORANGE,
    SKY,
    SPLIT_COLORS,
    label_axes,
    new_figure,
    save_figure,
)

PART_COLORS = {**SPLIT_COLORS, "test": GREEN}
OTHER_COLORS = (SKY, ORANGE, GREY)
PAPER_GREYS = ("0.35", "0.55", "0.75", "0.85")


def plot_parameter_curve(
    values: Sequence[float],
    f_scores: Mapping[str, Sequence[float]],
    out: pathlib.Path,
    *,
    chosen: float,
    parameter: str,
) -> None:
    """Draws the F-score against the free parameter of the detection (Koyuncu et al., Fig. 5).

    Args:
        values: Values of the parameter, ascending.
        f_scores: F-score at each of them, by part of the data (``validation``, ``test``); NaN is a gap.
        out: The picture.
        chosen: The one of ``values`` that is used; a dashed line.
        parameter: Name of the parameter, ``h`` for the height of maxima.

    Raises:
        ValueError: If there is no curve, a curve has another length than ``values``, or ``chosen`` is none
            of these.
        InputError: If the suffix of ``out`` is no picture format.
    """
    _check_lengths(f_scores, len(values), "values")
    at = [index for index, value in enumerate(values) if np.isclose(value, chosen)]
    if not at:
        raise ValueError(f"chosen is {chosen:g}, but values are {', '.join(f'{it:g}' for it in values)}")
    used = ", ".join(f"{part} {scores[at[0]]:.3f}" for part, scores in f_scores.items())
    figure = new_figure(
        6.4,
        4.9,
        title=f"F-score over {parameter}\n{parameter} = {chosen:g}: {used}",
        hint="Good: a plateau around the dashed line, the same for all parts. Bad: a narrow peak.\n"
        "Too small a value finds cells twice, too large a one drops faint cells and merges neighbours.",
    )
    axes = figure.add_subplot()
    for part, color in _colors(f_scores).items():
        scores = np.asarray(f_scores[part], float)
        axes.plot(values, scores, "o-", color=color, linewidth=2, markersize=5, label=part)
    axes.axvline(chosen, linestyle="--", color=GREY, linewidth=1.2, label=f"chosen, {chosen:g}")
    label_axes(axes, x=parameter, y="F-score")
    finite = [score for scores in f_scores.values() for score in scores if np.isfinite(score)]
    # To a whole tenth, so that a ripple looks like one.
    axes.set_ylim(np.floor(10 * min(finite, default=0.0)) / 10 - 0.01, 1.01)
    axes.legend(fontsize=9, frameon=False)
    save_figure(figure, out)


def plot_models(
    names: Sequence[str],
    scores: Mapping[str, Sequence[float]],
    out: pathlib.Path,
    *,
    paper: Mapping[str, Sequence[float]] | None = None,
    title: str = "Does learning several tasks at once help?",
) -> None:
    """Draws F-scores of the models of the ablation as bars, with those of the paper (Table 2).

    Args:
        names: The models, from top to bottom.
        scores: F-scores of all models, by part of the data (``dependent``, ``independent``); NaN where a
            model was not tried.
        out: The picture.
        paper: The same as published; None for none.
        title: Headline.

    Raises:
        ValueError: If there is no score, or a part has not one score per model.
        InputError: If the suffix of ``out`` is no picture format.
    """
    _check_lengths(scores, len(names), "names")
    panels = [("here", scores, list(_colors(scores).values()))]
    if paper is not None:
        _check_lengths(paper, len(names), "names")
        panels.append(("in the paper, on other images", paper, list(PAPER_GREYS)))
    bars = max(len(part) for _, part, _ in panels)
    figure = new_figure(
        3.4 + 4.2 * len(panels),
        len(names) * (0.3 + 0.22 * bars) + 2.2,
        title=title,
        hint="Good: the longest bars are those of models that learn several tasks. Bold: best of a colour."
        + ("\nCompare the order of the models, not the lengths: the images differ." if paper else ""),
    )
    grid = figure.add_gridspec(1, len(panels))
    for number, (name, parts, colors) in enumerate(panels):
        first = figure.axes[0] if figure.axes else None
        axes = figure.add_subplot(grid[number], sharex=first, sharey=first)
        _draw_bars(axes, parts, colors)
        label_axes(axes, x="F-score")
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0, labelleft=first is None)
        axes.legend(
            title=name, alignment="left", fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1)
        )
    first = figure.axes[0]
    first.set_yticks(range(len(names)), names, fontsize=10)
    first.set_ylim(len(names) - 0.5, -0.5)
    first.set_xlim(0, 1.12)
    first.set_xticks(np.linspace(0, 1, 6))
    save_figure(figure, out)


def _draw_bars(axes: Axes, parts: Mapping[str, Sequence[float]], colors: Sequence[str]) -> None:
    """One group of bars per model, the number at the end of each."""
    thickness = 0.8 / len(parts)
    for number, (part, scores) in enumerate(parts.items()):
        at = np.arange(len(scores)) + thickness * (number + 0.5) - 0.4
        values = np.asarray(scores, float)
        axes.barh(at, np.nan_to_num(values), thickness, color=colors[number % len(colors)], label=part)
        best = np.nanmax(values) if np.isfinite(values).any() else None
        for y, value in zip(at, values):
            text = f"{value:.3f}" if np.isfinite(value) else "not tried"
            weight = "bold" if value == best else "normal"
            axes.text(np.nan_to_num(value) + 0.01, y, text, va="center", fontsize=8, fontweight=weight)


def _colors(parts: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """The standard colours of train, validation and test, and further colours for other parts."""
    others = itertools.cycle(OTHER_COLORS)
    return {part: PART_COLORS.get(part) or next(others) for part in parts}


def _check_lengths(parts: Mapping[str, Sequence[float]], length: int, name: str) -> None:
    if not parts or not length:
        raise ValueError(f"there is no score to draw for {length} {name} and {len(parts)} parts")
    for part, scores in parts.items():
        if len(scores) != length:
            raise ValueError(f"{part} has {len(scores)} scores, but there are {length} {name}")
