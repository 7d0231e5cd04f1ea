"""Picture of the measurement of the protrusions of one cell."""

from __future__ import annotations

import pathlib

import numpy as np
from jaxtyping import Float, Int, Integer, Shaped
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from cellmotion_jax.morphology.geodesic import shortest_way
from cellmotion_jax.morphology.protrusions import CellAnatomy, ProtrusionSettings, dissect_cell
from cellmotion_jax.report.figures import (
    GREEN,
    ORANGE,
    SKY,
    VERMILLION,
    legend_below,
    new_figure,
    save_figure,
)
from cellmotion_jax.report.images import draw_contours, draw_image
from cellmotion_jax.report.scale_bar import draw_scale_bar

MARGIN = 24
"""Pixels of the image shown around the cell."""
PANEL_INCHES = 5.6
"""Longer side of a panel."""
ISOLINES_UM = 10.0
"""Distance between two lines of equal distance to the centre."""
OUTLINED = [withStroke(linewidth=2.4, foreground="black")]


def plot_protrusions(
    image: Shaped[np.ndarray, "..."],
    labels: Integer[np.ndarray, "y x"],
    label: int,
    out: pathlib.Path,
    *,
    pixel_size_um: float,
    settings: ProtrusionSettings,
    title: str = "",
) -> None:
    """Draws outline, skeleton, centre and tips of one cell, and the paths along which lengths are measured.

    On the left the cell as the microscope saw it, the outline of its body, and the lengths of its protrusions
    from there; on the right the geodesic distance to the centre in colours, with the shortest way to every
    tip and its length, in which the body is contained.

    Args:
        image: [y, x], [y, x, 1] or [y, x, 3] of any real type; its contrast is stretched.
        labels: Label image of its shape.
        label: The cell.
        out: The picture.
        pixel_size_um: Side of a pixel in micrometres.
        settings: Definition of a protrusion.
        title: Headline; "Cell" and the label without one. The number of protrusions is added.

    Raises:
        ValueError: If the label image has another shape than the image.
        InputError: If there is no such cell, the pixel size is not positive, or the suffix of ``out`` is no
            picture format.
    """
    if labels.shape != image.shape[:2]:
        raise ValueError(f"a label image has shape {labels.shape}, but its image has {image.shape}")
    cell = dissect_cell(labels, label, pixel_size_um=pixel_size_um, settings=settings)
    shown = tuple(
        slice(max(start - MARGIN, 0), start + side + MARGIN)
        for start, side in zip(cell.origin, cell.mask.shape)
    )
    corner = np.subtract(cell.origin, [side.start for side in shown])
    around, theirs = image[shown], labels[shown]
    scale = PANEL_INCHES / max(theirs.shape)
    height, width = (max(side * scale, 2.5) for side in theirs.shape)

    count = len(cell.tips)
    figure = new_figure(
        max(2 * width + 1.6, 9.0),
        height + 2.0,
        title=f"{title or f'Cell {label}'}: {count} protrusion" + ("" if count == 1 else "s"),
    )
    left, right = figure.subplots(1, 2, width_ratios=[1, 1])
    for axes in (left, right):
        draw_image(axes, around, inches=PANEL_INCHES)
    neighbours = np.where(theirs == label, 0, theirs)
    draw_contours(left, neighbours, "0.8", size=(width, height), thick=False)
    draw_contours(left, np.where(theirs == label, 1, 0), ORANGE, size=(width, height))
    body = np.zeros(theirs.shape, bool)
    body[tuple(slice(at, at + side) for at, side in zip(corner, cell.mask.shape))] = cell.body
    if min(theirs.shape) > 1 and not body.all():
        left.contour(body, levels=[0.5], colors=GREEN, linewidths=1.6, linestyles="dashed")
    skeleton = np.argwhere(cell.skeleton) + corner
    left.plot(skeleton[:, 1], skeleton[:, 0], "s", color=SKY, markersize=max(36 * scale, 1.2), alpha=0.9)
    draw_scale_bar(left, theirs.shape, pixel_size_um)

    mapped = np.full(theirs.shape, np.nan)
    rows, columns = (slice(at, at + side) for at, side in zip(corner, cell.mask.shape))
    mapped[rows, columns] = np.where(cell.mask, cell.distance * pixel_size_um, np.nan)
    finite = np.ma.masked_invalid(mapped)
    colours = right.imshow(finite, cmap="viridis", interpolation="nearest")
    levels = np.arange(ISOLINES_UM, float(finite.max()), ISOLINES_UM)
    # matplotlib draws no lines over a single row or column of pixels.
    if levels.size and min(theirs.shape) > 1:
        right.contour(finite, levels=levels, colors="white", linewidths=0.6, alpha=0.7)
    for tip in cell.tips:
        way = shortest_way(cell.distance, tip) + corner
        right.plot(way[:, 1], way[:, 0], color=VERMILLION, linewidth=1.6)
    figure.colorbar(colours, ax=right, shrink=0.8, label="geodesic distance to the centre (µm)")
    from_centre = np.array([cell.distance[tuple(tip)] for tip in cell.tips], float)
    for axes, lengths, words in (
        (left, cell.from_body, "length of a protrusion from the body"),
        (right, from_centre, "from the centre, the body included"),
    ):
        _draw_points(axes, cell, corner, lengths * pixel_size_um)
        axes.set_title(words, fontsize=10, loc="left")
    handles = [
        Line2D([], [], color=ORANGE, linewidth=2.0, label="outline"),
        Line2D([], [], color=GREEN, linewidth=1.6, linestyle="dashed", label="body"),
        Line2D([], [], color=SKY, linewidth=2.0, label="skeleton"),
        Line2D([], [], color="white", marker="o", linestyle="", markeredgecolor="black", label="centre"),
        Line2D([], [], color=VERMILLION, marker="o", linestyle="", markeredgecolor="black", label="tip"),
        Line2D([], [], color=VERMILLION, linewidth=1.6, label="shortest way"),
        Line2D(
            [], [], color="0.6", linewidth=1.0, label=f"every {ISOLINES_UM:g} µm, or a neighbour's outline"
        ),
    ]
    legend_below(
        figure,
        handles,
        hint=f"Protrusions: skeleton ends at least {settings.shortest_um:g} µm from the centre that stand "
        f"out by {settings.shortest_relief_um:g} µm.\n"
        f"Body: the parts that are at least {settings.widest_um:g} µm wide.\n"
        "Good: a tip at the end of every process that you see. "
        "Bad: tips on a smooth front, processes without one.",
    )
    save_figure(figure, out)


def _draw_points(
    axes: Axes, cell: CellAnatomy, corner: Int[np.ndarray, " 2"], lengths_um: Float[np.ndarray, " tip"]
) -> None:
    """The centre and the tips with the lengths of their protrusions."""
    y, x = np.add(cell.centre, corner)
    axes.plot(x, y, "o", color="white", markersize=6.5, markeredgecolor="black")
    for tip, length in zip(cell.tips, lengths_um):
        away = tip - np.array(cell.centre)
        # The centre itself may be a tip, of length 0, which points nowhere.
        outwards = 11 * away / max(np.hypot(*away), 1.0)
        axes.plot(*(tip + corner)[::-1], "o", color=VERMILLION, markersize=6, markeredgecolor="black")
        axes.annotate(
            f"{length:.0f} µm",
            (tip + corner)[::-1].tolist(),
            xytext=(outwards[1], -outwards[0]),
            textcoords="offset points",
            ha="left" if away[1] >= 0 else "right",
            va="center",
            fontsize=9,
            color="white",
            path_effects=OUTLINED,
        )
