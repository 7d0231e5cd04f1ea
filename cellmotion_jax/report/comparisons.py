"""Pictures that compare numbers: configurations with the paper's table, and test-time augmentation."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from cellmotion_jax.metrics import UNIFORM_GUESS_DEG, maximum_error_estimate_deg
from cellmotion_jax.ops.numerics import check_same_shape
from cellmotion_jax.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    label_axes,
    new_figure,
    save_figure,
)

RESULT_COLORS = (BLUE, GREEN, ORANGE, VERMILLION)


class Spread(NamedTuple):
    """E_deg over folds, in degrees."""

    mean: float
    std: float
    """Standard deviation; 0 where there is only one fold, and then not shown."""


# Bruns et al. 2024, Table 3, under the labels of training.objectives.
TABLE_3: Mapping[str, Mapping[str, Spread]] = {
    "NIH3T3": {
        "1N cyclic linear": Spread(97.81, 0.51),
        "1N cyclic linear_squared": Spread(97.82, 0.59),
        "1N cyclic cyclic": Spread(97.86, 0.54),
        "1N cyclic cyclic_squared": Spread(97.83, 0.53),
        "1N cyclic cosine": Spread(66.54, 12.10),
        "2N identity dist": Spread(33.27, 1.79),
        "2N identity dist_squared": Spread(34.29, 2.20),
        "2N sigmoid dist": Spread(30.53, 2.21),
        "2N sigmoid dist_squared": Spread(30.51, 0.86),
    },
    "U373": {
        "1N cyclic linear": Spread(87.05, 1.73),
        "1N cyclic linear_squared": Spread(87.06, 1.77),
        "1N cyclic cyclic": Spread(86.97, 1.71),
        "1N cyclic cyclic_squared": Spread(87.11, 1.85),
        "1N cyclic cosine": Spread(33.79, 3.76),
        "2N identity dist": Spread(21.59, 1.27),
        "2N identity dist_squared": Spread(22.70, 1.63),
        "2N sigmoid dist": Spread(22.92, 2.15),
        "2N sigmoid dist_squared": Spread(21.90, 1.05),
    },
}


def plot_grid(
    results: Mapping[str, Mapping[str, Spread]],
    out: pathlib.Path,
    *,
    paper: Mapping[str, Mapping[str, Spread]] = TABLE_3,
    title: str = "E_deg of every configuration",
) -> None:
    """Draws E_deg of configurations, mean and standard deviation over the folds, and the paper's table.

    One line per configuration and one column of numbers per result, the paper's last; the dots show the
    same numbers. The rows keep the order of the first result.

    Args:
        results: E_deg by configuration, under the name of each result (a protocol, for example).
        out: The picture.
        paper: The same for published results; shown in grey with hollow dots, where it has one
            of the configurations.
        title: Headline.

    Raises:
        ValueError: If there is no result.
    """
    rows = list(dict.fromkeys(label for result in results.values() for label in result))
    if not rows:
        raise ValueError("results hold no configuration to draw")
    published_columns = {
        f"paper, {name}": column for name, column in paper.items() if not column.keys().isdisjoint(rows)
    }
    columns = {**results, **published_columns}
    figure = new_figure(
        7.0 + 1.3 * len(columns),
        0.42 * len(rows) + 2.0,
        title=title,
        hint="Good: far left, with short bars (standard deviation over folds). "
        f"At {UNIFORM_GUESS_DEG:.0f}° (dashed) nothing was learnt. Bold: best of its column.",
    )
    grid = figure.add_gridspec(1, 2, width_ratios=[5, 1.3 * len(columns)])
    axes = figure.add_subplot(grid[0])
    table = figure.add_subplot(grid[1], sharey=axes)
    table.set_axis_off()
    table.set_xlim(-0.5, len(columns) - 0.5)
    for row in range(0, len(rows), 2):
        for panel in (axes, table):
            panel.axhspan(row - 0.5, row + 0.5, color="0.95", linewidth=0)
    for number, (name, column) in enumerate(columns.items()):
        published = number >= len(results)
        color = GREY if published else RESULT_COLORS[number % len(RESULT_COLORS)]
        shown = [row for row, label in enumerate(rows) if label in column]
        cells = [column[rows[row]] for row in shown]
        axes.errorbar(
            [cell.mean for cell in cells],
            [row + 0.6 * ((number + 0.5) / len(columns) - 0.5) for row in shown],
            xerr=[cell.std for cell in cells],
            fmt="sD^v"[(number - len(results)) % 4] if published else "o",
            color=color,
            markerfacecolor="white" if published else color,
            markersize=6,
            linewidth=1.5,
            label=name,
        )
        heading = name.replace(", ", "\n")
        table.text(number, -0.65, heading, ha="center", va="bottom", color=color, fontweight="bold")
        best = min(cell.mean for cell in cells)
        for row, cell in zip(shown, cells):
            weight = "bold" if cell.mean == best else "normal"
            text = f"{cell.mean:.2f}" + (f" ± {cell.std:.2f}" if cell.std else "")
            table.text(number, row, text, ha="center", va="center", color=color, fontweight=weight)
    axes.axvline(UNIFORM_GUESS_DEG, color=GREY, linestyle="--", linewidth=1.2)
    label_axes(axes, x="E_deg in degrees")
    axes.grid(visible=False, axis="y")
    axes.set_yticks(range(len(rows)), rows, fontsize=10)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.legend(fontsize=9, framealpha=0.9, loc="best")
    save_figure(figure, out)


def plot_tta(
    versions: Int[np.ndarray, " version"],
    mean: Float[np.ndarray, "*fusion n"],
    std: Float[np.ndarray, "*fusion n"],
    out: pathlib.Path,
    *,
    fusions: Sequence[str] = ("paper's fusion",),
    title: str = "Does test-time augmentation help?",
) -> None:
    """Draws E_deg against the number of rotated versions that are fused, as in Table 5.

    Args:
        versions: Numbers of versions of an image, including the original; the first entry is the reference
            to which the dotted line belongs, usually 1.
        mean: E_deg in degrees, mean over the folds; one row per fusion rule, or no rows for a single one.
        std: Standard deviation of E_deg over the folds, of the same shape.
        out: The picture.
        fusions: Names of the rows.
        title: Headline.

    Raises:
        ValueError: If the shapes do not fit.
    """
    check_same_shape(mean=mean, std=std)
    mean, std = np.atleast_2d(mean), np.atleast_2d(std)
    check_same_shape(versions=versions, mean=mean[0])
    if len(fusions) != len(mean):
        raise ValueError(f"fusions names {len(fusions)} rows, mean has {len(mean)}")
    change = mean[0, -1] - mean[0, 0]
    # A single fold has no spread, and nothing of it is drawn.
    folds = bool((std > 0).any())
    spread = ", shorter bars (standard deviation over folds)\nand a falling dashed line (mean + 3 of these)."
    figure = new_figure(
        6.4,
        5.0,
        title=f"{title}\n{fusions[0]}: {mean[0, 0]:.1f}° with {versions[0]}, {mean[0, -1]:.1f}° with "
        f"{versions[-1]} versions ({change:+.1f}°)",
        hint="Good: dots below the dotted line, the error of the first"
        + (spread if folds else ".\nOne fold: there is no spread to draw."),
    )
    axes = figure.add_subplot()
    for number, name in enumerate(fusions):
        color = RESULT_COLORS[number % len(RESULT_COLORS)]
        # Side by side, so that bars of equal height can be told apart.
        at = versions + 0.15 * (number - (len(fusions) - 1) / 2)
        axes.errorbar(
            at,
            mean[number],
            std[number] if folds else None,
            fmt="o-",
            color=color,
            linewidth=2,
            capsize=3,
            label=name,
        )
        if folds:
            largest = [maximum_error_estimate_deg(*fold) for fold in zip(mean[number], std[number])]
            axes.plot(at, largest, "--", color=color, linewidth=1)
    axes.axhline(mean[0, 0], linestyle=":", color=GREY, linewidth=1.5)
    label_axes(axes, x="versions of an image, the original included", y="E_deg in degrees")
    axes.set_xticks(versions)
    axes.legend(fontsize=9, frameon=False)
    save_figure(figure, out)
