"""Common style and writing of figures, and the training curves.

Figures are made with the object-oriented interface of matplotlib: no window, no global state. The colours
are those of Okabe and Ito, which people with any colour vision can tell apart; a colour has the same meaning
in all pictures of a report.
"""

from __future__ import annotations

import collections
import csv
import math
import pathlib
import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside

BLUE = "#0072B2"
SKY = "#56B4E9"
ORANGE = "#E69F00"
VERMILLION = "#D55E00"
GREEN = "#009E73"
GREY = "#6E6E6E"

SPLIT_COLORS = {"train": BLUE, "validation": VERMILLION}
HIGHER_IS_BETTER = ("SEG",)
"""Metrics of a log for which higher is better; for all others the lowest value is marked as the best."""
COLUMNS = ("step", "split", "member", "metric", "value")

_KEY_INCHES, _LETTER_INCHES = 0.75, 0.085
"""Width of a legend entry without words, and of a letter of these."""

Points = Mapping[int, float]
"""Value by step."""


def new_figure(width: float, height: float, *, title: str, hint: str = "") -> Figure:
    """An empty figure with a headline, and below it in grey how to read the picture.

    Args:
        width: Inches.
        height: Inches.
        title: What the picture shows, with its main number.
        hint: What a good and what a bad picture looks like.

    Returns:
        A figure without axes; its layout makes room for whatever is added.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold")
    if hint:
        figure.supxlabel(hint, fontsize=9, color=GREY)
    return figure


def legend_below(figure: Figure, handles: Sequence[Artist], *, hint: str) -> None:
    """One legend for a whole figure under it, with the grey line that says how to read the picture.

    It has as many rows as its entries need in the width of the figure.
    """
    inches = sum(_KEY_INCHES + _LETTER_INCHES * len(str(handle.get_label())) for handle in handles)
    rows = math.ceil(inches / figure.get_figwidth())
    legend = figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=math.ceil(len(handles) / rows),
        frameon=False,
        fontsize=10,
        title=hint,
        title_fontsize=9,
    )
    legend.get_title().set_color(GREY)
    legend.get_title().set_multialignment("center")


def label_axes(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Labels the axes and removes the upper and right frame lines."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


def save_figure(figure: Figure, path: pathlib.Path) -> None:
    """Writes a figure to a temporary file and renames it, so that no incomplete picture is seen.

    Args:
        figure: Any figure.
        path: File to write; the suffix names the format, for example ``.png`` or ``.pdf``. Folders are made.

    Raises:
        InputError: If the suffix is no picture format.
    """
    formats = figure.canvas.get_supported_filetypes()
    kind = path.suffix.lstrip(".").lower()
    if kind not in formats:
        raise InputError(f"{path} does not end in a picture format; use .png, .pdf or .svg.")
    with written_beside(path) as partial:
        figure.savefig(partial, format=kind, dpi=130, facecolor="white")


def plot_curves(metrics_csv: pathlib.Path, out: pathlib.Path) -> None:
    """Draws the curves of a training log, which make over-fitting visible.

    One panel per metric, train and validation in it; members that differ only in their fold share a
    panel as thin lines with their mean thick, other members (protocols, objectives) get rows of their
    own. Where validation lies above train the gap is shaded. Values that span more than one and a half
    decades get a logarithmic axis, on which zeros (a warm-up's first rate) are left out; values that are
    not finite are gaps.

    Args:
        metrics_csv: The log, columns ``step,split,member,metric,value`` with the splits ``train`` and
            ``validation``.
        out: The picture.

    Raises:
        InputError: If the log is missing, empty, or has other columns.
    """
    curves = _read_curves(metrics_csv)
    groups = list(dict.fromkeys(_without_fold(member) for _, member, _ in curves))
    validated = [metric for split, _, metric in curves if split == "validation"]
    # What shows over-fitting comes first.
    metrics = list(dict.fromkeys([*validated, *(metric for _, _, metric in curves)]))

    columns = min(len(metrics), 4)
    rows = -(-len(metrics) // columns)
    repeated = len(groups) < len({member for _, member, _ in curves})
    figure = new_figure(
        3.9 * columns,
        3.1 * rows * len(groups) + 0.8,
        title=f"Training curves of {metrics_csv.parent.name or metrics_csv.name}",
        hint="Over-fitting: the shaded gap widens, or validation turns up while train still falls. "
        "Dot: best validation." + (" Thin lines: folds; thick: their mean." if repeated else ""),
    )
    for number, metric in enumerate(metrics):
        panels: list[Axes] = []
        for index, group in enumerate(groups):
            position = index * rows * columns + number
            # Groups share the axis, to be compared; a loss has its own scale under every objective.
            shared = panels[0] if panels and metric != "loss" else None
            axes = figure.add_subplot(rows * len(groups), columns, position + 1, sharey=shared)
            panels.append(axes)
            folds = {
                split: [
                    points
                    for (other, member, name), points in curves.items()
                    if (other, _without_fold(member), name) == (split, group, metric)
                ]
                for split in SPLIT_COLORS
            }
            label_axes(axes, title=f"{group}: {metric}" if len(groups) > 1 else metric, x="step")
            _draw_metric(axes, folds, highest=metric in HIGHER_IS_BETTER)
        if _span_decades(panels):
            for axes in panels:
                axes.set_yscale("log", nonpositive="mask")
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_formatter(NullFormatter())
    save_figure(figure, out)


def _draw_metric(axes: Axes, folds: Mapping[str, Sequence[Points]], *, highest: bool) -> None:
    """One panel: the members of one group, train and validation, and the place of the best validation."""
    means = {split: _mean_curve(members) for split, members in folds.items() if members}
    for split, (steps, mean) in means.items():
        color = SPLIT_COLORS[split]
        if len(folds[split]) > 1:
            for points in folds[split]:
                axes.plot(list(points), list(points.values()), color=color, linewidth=0.7, alpha=0.4)
        marker = "o" if len(steps) == 1 else ""
        axes.plot(
            steps, mean, color=color, linewidth=2.2, marker=marker, label=f"{split}, last {mean[-1]:.3g}"
        )
    if "validation" in means and np.isfinite(means["validation"][1]).any():
        steps, mean = means["validation"]
        place = int(np.nanargmax(mean) if highest else np.nanargmin(mean))
        axes.plot(
            steps[place],
            mean[place],
            "o",
            color=VERMILLION,
            markersize=8,
            markeredgecolor="white",
            label=f"{'highest' if highest else 'lowest'} {mean[place]:.3g} at {steps[place]:.0f}",
        )
        if "train" in means:
            between = np.union1d(steps, means["train"][0])
            between = between[(between >= steps[0]) & (between <= steps[-1])]
            train, validation = np.interp(between, *means["train"]), np.interp(between, steps, mean)
            axes.fill_between(
                between,
                train,
                validation,
                where=(validation > train).tolist(),
                interpolate=True,
                color=VERMILLION,
                alpha=0.15,
                linewidth=0,
            )
    axes.legend(fontsize=8, frameon=False)


def _span_decades(panels: Sequence[Axes]) -> bool:
    """Whether the thick lines of all panels of a metric need a logarithmic axis."""
    thick = [line for axes in panels for line in axes.lines if line.get_linewidth() > 1]
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in thick])
    positive = values[values > 0]
    if positive.size == 0 or (values < 0).any():
        return False
    return bool(positive.max() > 10**1.5 * positive.min())


def _mean_curve(members: Sequence[Points]) -> tuple[Float[np.ndarray, " step"], Float[np.ndarray, " step"]]:
    """Steps and the mean over the members that have a finite value there, NaN where none has."""
    steps = sorted({step for points in members for step in points})
    mean = np.full(len(steps), np.nan)
    for i, step in enumerate(steps):
        finite = [points[step] for points in members if math.isfinite(points.get(step, math.nan))]
        if finite:
            mean[i] = np.mean(finite)
    return np.array(steps, float), mean


def _read_curves(path: pathlib.Path) -> dict[tuple[str, str, str], dict[int, float]]:
    """Value by step, for every ``(split, member, metric)`` in the order of the log."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; it is the metrics.csv that training writes.")
    curves: dict[tuple[str, str, str], dict[int, float]] = collections.defaultdict(dict)
    with path.open(newline="") as stream:
        rows = csv.DictReader(stream)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise InputError(f"{path} has the columns {rows.fieldnames}; expected {','.join(COLUMNS)}.")
        for row in rows:
            try:
                step, value = int(row["step"]), float(row["value"])
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{path} line {rows.line_num} has no whole step and numeric value."
                ) from error
            curves[row["split"], row["member"], row["metric"]][step] = value
    if not curves:
        raise InputError(f"{path} holds no values yet.")
    return curves


def _without_fold(member: str) -> str:
    """The member's name without its fold: members that share it are repetitions of one training."""
    return re.sub(r"\s*\bfold \d+", "", member).strip(" ,")
