"""Pictures of predicted migration directions: arrows on crops, and a rose plot of the errors.

Angles are radians, counter-clockwise from +x as a person sees the picture. Images have y down, so an arrow
of length 1 ends at ``(x, y) = (cos, -sin)`` in their coordinates.
"""

from __future__ import annotations

import math
import pathlib
from typing import cast

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.patheffects import withStroke
from matplotlib.projections.polar import PolarAxes

from cellmotion_jax.metrics import UNIFORM_GUESS_DEG
from cellmotion_jax.ops.numerics import check_same_shape
from cellmotion_jax.report.figures import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    legend_below,
    new_figure,
    save_figure,
)

TARGET_COLOR = SKY
PREDICTION_COLOR = ORANGE
CIRCLES = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of a petal that are marked in a rose."""
ZONES_DEG = ((0, 45, BLUE), (45, 90, SKY), (90, 180, VERMILLION))
"""Ranges of the error in degrees, and the colours of their petals."""


def signed_errors(
    predicted: Float[np.ndarray, " cell"], target: Float[np.ndarray, " cell"]
) -> Float[np.ndarray, " cell"]:
    """The turns in [-pi, pi) from target to prediction, positive counter-clockwise, in float64 on the host.

    Args:
        predicted: Radians.
        target: Radians, of the same shape.

    Returns:
        Radians.
    """
    check_same_shape(predicted=predicted, target=target)
    return np.mod(predicted.astype(float) - target.astype(float) + np.pi, 2 * np.pi) - np.pi


def plot_arrows(
    images: Float[np.ndarray, "cell y x"],
    predicted: Float[np.ndarray, " predicted"],
    target: Float[np.ndarray, " target"],
    confidence: Float[np.ndarray, " confidence"] | None,
    out: pathlib.Path,
    *,
    columns: int = 6,
    confidence_label: str = "confidence",
    of: str = "",
    all_errors: Float[np.ndarray, " _"] | None = None,
    title: str = "Predicted and true directions",
) -> None:
    """Draws crops with predicted and true direction: the best, the typical and the worst predictions.

    The typical row holds the cells around the median error. Both arrows start in the middle of the crop;
    the true one is broad, so that it is still visible below a correct prediction.

    Args:
        images: Crops in any unit; each is stretched from its 1st to its 99th percentile.
        predicted: Radians.
        target: Radians.
        confidence: Larger is more certain, in any unit; None shows none.
        out: The picture.
        columns: Crops per row; fewer where there are not enough cells.
        confidence_label: Name of the confidence in the captions, for example ``kappa``.
        of: What was predicted, for the headline, e.g. "798 images of 80 cells"; without it the number of
            images is given, which may be several of a cell.
        all_errors: Errors in radians of all that was predicted, for E_deg in the headline, where the images
            are a choice of them, see `best_typical_worst`.
        title: Headline; what was predicted and its E_deg are added.

    Raises:
        ValueError: If the numbers of images and angles differ or there is no cell.
    """
    check_same_shape(images=images[:, 0, 0], predicted=predicted, target=target, confidence=confidence)
    errors = np.degrees(np.abs(signed_errors(predicted, target)))
    rows = best_typical_worst(errors, columns)
    of_all = errors if all_errors is None else np.degrees(np.abs(all_errors))
    width = max(len(row) for row in rows.values())
    figure = new_figure(
        1.75 * max(width, 4) + 0.4,
        2.05 * len(rows) + 1.3,
        title=f"{title}\n{of or f'{len(of_all)} images'}, E_deg {of_all.mean():.1f}°",
    )
    legend_below(
        figure,
        [
            Patch(color=TARGET_COLOR, label="true direction"),
            Patch(color=PREDICTION_COLOR, label="predicted direction"),
        ],
        hint="Good: orange covers blue, also in the typical row (around the median error). "
        f"Guessing gives {UNIFORM_GUESS_DEG:.0f}° on average.",
    )
    grid = figure.add_gridspec(len(rows), width)
    for number, (name, cells) in enumerate(rows.items()):
        for column, cell in enumerate(cells):
            axes = figure.add_subplot(grid[number, column])
            _draw_crop(axes, images[cell])
            _draw_arrow(axes, float(target[cell]), TARGET_COLOR, images[cell].shape, width=5.5)
            _draw_arrow(axes, float(predicted[cell]), PREDICTION_COLOR, images[cell].shape, width=2.2)
            caption = f"off by {errors[cell]:.0f}°"
            if confidence is not None:
                caption += f"\n{confidence_label} {confidence[cell]:.3g}"
            axes.set_title(caption, fontsize=9)
            if column == 0:
                axes.set_ylabel(name, fontsize=11, fontweight="bold")
    save_figure(figure, out)


def plot_rose(
    errors: Float[np.ndarray, " cell"],
    out: pathlib.Path,
    *,
    bins: int = 32,
    of: str = "",
    title: str = "Errors of the predicted directions",
) -> None:
    """Draws a rose plot of signed errors: the true direction points up, areas of petals are counts of images.

    A petal to the left is a prediction turned counter-clockwise from the truth, as on the image. The radius
    is the square root of the share, so that areas compare as shares do; circles are marked with the share of
    a petal that reaches them, and the dashed circle is a guess.

    Args:
        errors: Signed errors in radians (:func:`signed_errors`), at least one.
        out: The picture.
        bins: Petals over the whole turn; a multiple of 8 ends petals at 45 and 90 degrees.
        of: What was predicted, for the headline, as in `plot_arrows`.
        title: Headline.
    """
    errors = np.mod(errors + np.pi, 2 * np.pi) - np.pi
    degrees = np.degrees(np.abs(errors))
    edges = np.linspace(-np.pi, np.pi, bins + 1)
    radius = np.sqrt(np.histogram(errors, edges)[0] / len(errors))
    middles = (edges[:-1] + edges[1:]) / 2
    figure = new_figure(
        6.4,
        7.3,
        title=f"{title}\n{of or f'{len(errors)} images'}\nE_deg {degrees.mean():.1f}°, "
        f"median {np.median(degrees):.1f}°, guessing {UNIFORM_GUESS_DEG:.0f}° (dashed)",
    )
    axes = cast(PolarAxes, figure.add_subplot(projection="polar"))
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(1)
    zones = []
    for low, high, color in ZONES_DEG:
        petals = (np.degrees(np.abs(middles)) >= low) & (np.degrees(np.abs(middles)) < high)
        share = np.mean((degrees >= low) & ((degrees < high) | (high == 180)))
        axes.bar(
            middles[petals],
            radius[petals],
            width=2 * np.pi / bins,
            color=color,
            edgecolor="white",
            linewidth=0.6,
        )
        zones.append(Patch(color=color, label=f"{low}° to {high}°: {share:.0%}"))
    legend_below(
        figure,
        zones,
        hint=f"Circles: share of all images in one of the {bins} petals.\n"
        "Good: one narrow petal upwards. Bad: petals all round (no idea)\n"
        "or a second one downwards (front and rear confused).",
    )
    turn = np.linspace(-np.pi, np.pi, 181)
    axes.plot(turn, np.full(turn.shape, math.sqrt(1 / bins)), "--", color=GREY, linewidth=1.2)
    axes.set_thetagrids(
        range(0, 360, 45), ["exact", "+45°", "+90°", "+135°", "opposite", "-135°", "-90°", "-45°"]
    )
    shares = [share for share in CIRCLES if math.sqrt(share) <= radius.max()]
    axes.set_rgrids([math.sqrt(share) for share in shares], [f"{share:.0%}" for share in shares])
    # Where petals are shortest.
    axes.set_rlabel_position(157.5)
    axes.tick_params(axis="y", labelsize=8, labelcolor=GREY)
    axes.set_rmax(1.05 * radius.max())
    axes.grid(color="0.88")
    axes.set_axisbelow(True)
    save_figure(figure, out)


def best_typical_worst(errors: Float[np.ndarray, " cell"], columns: int) -> dict[str, Int[np.ndarray, " _"]]:
    """Images with the smallest, the middle and the largest errors.

    Args:
        errors: Absolute errors, at least one.
        columns: Images per row; fewer where there are not enough.

    Returns:
        Their numbers, by the name of the row; none is in two rows. With fewer than three images there are
        fewer rows.

    Raises:
        ValueError: If there is no error.
    """
    order = np.argsort(errors, kind="stable")
    count = len(order)
    if count == 0:
        raise ValueError("images hold no cell to draw")
    size = min(columns, max(1, count // 3))
    start = min(max(count // 2 - size // 2, size), count - size)
    rows = {"best": order[:size], "typical": order[start : start + size], "worst": order[-size:]}
    return {name: row for name, row in rows.items() if count >= 3 or name in ("best", "worst")[:count]}


def _draw_crop(axes: Axes, image: Float[np.ndarray, "y x"]) -> None:
    low, high = np.percentile(image, [1, 99])
    axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), origin="upper")
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_arrow(axes: Axes, angle: float, color: str, shape: tuple[int, ...], *, width: float) -> None:
    y, x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    length = 0.4 * min(shape)
    tip = (x + length * math.cos(angle), y - length * math.sin(angle))
    arrow = FancyArrowPatch(
        (x, y),
        tip,
        arrowstyle=f"-|>,head_length={1.2 * width**0.6},head_width={0.8 * width**0.6}",
        mutation_scale=4,
        shrinkA=0,
        shrinkB=0,
        linewidth=width,
        color=color,
        joinstyle="miter",
        path_effects=[withStroke(linewidth=width + 1.6, foreground="black")],
    )
    axes.add_patch(arrow)
