"""Pictures of detected and segmented cells, with or without a reference."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Real, Shaped
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from cellmotion_jax.metrics import PointMatches
from cellmotion_jax.report.figures import (
    GREEN,
    ORANGE,
    SKY,
    VERMILLION,
    legend_below,
    new_figure,
    save_figure,
)
from cellmotion_jax.report.images import draw_contours, draw_image, draw_map
from cellmotion_jax.report.scale_bar import draw_scale_bar
from cellmotion_jax.report.summary import counted

# As in the pictures of directions: what is predicted is orange, what is true is blue.
PREDICTION_COLOR = ORANGE
REFERENCE_COLOR = SKY


class _Style(NamedTuple):
    """Marker style of one kind of points."""

    marker: str
    color: str
    scale: float
    """Size of the marker in dots."""
    filled: bool


FOUND = _Style("o", GREEN, 1.0, True)
FALSE = _Style("X", VERMILLION, 1.6, True)
# Open, so that what was missed can be seen.
MISSED = _Style("s", REFERENCE_COLOR, 1.6, False)
DETECTED = _Style("o", PREDICTION_COLOR, 1.0, True)

Frame = tuple[str, Shaped[np.ndarray, "..."], Real[np.ndarray, "_ 2"], Integer[np.ndarray, "_ _"] | None]
"""Name, image, centres of the detected cells, and their label image if they were segmented."""


def plot_cells(
    image: Shaped[np.ndarray, "..."],
    maps: Sequence[tuple[str, Float[np.ndarray, "..."]]],
    points: Real[np.ndarray, "detection 2"],
    matches: PointMatches,
    markers: Real[np.ndarray, "marker 2"],
    out: pathlib.Path,
    *,
    labels: Integer[np.ndarray, "y x"] | None = None,
    reference: Integer[np.ndarray, "..."] | None = None,
    title: str = "Detected cells",
) -> None:
    """Draws an image, the predicted maps, and the found, missed and falsely detected cells.

    Small panels show the image and the maps; in the large one the detections lie over the image: green
    dots for cells that were found, red crosses for false detections, blue squares for missed cells, and
    the outlines of predicted (orange) and of true cells (blue, thinner, on top).

    Args:
        image: [y, x], [y, x, 1] or [y, x, 3] of any real type; its contrast is stretched.
        maps: Predictions by name, each [y, x] on the grid of the image or on that of the image downsampled by
            a whole number. The colours reach from 0 to 1, the range of all targets of DeepDistance, so
            that pictures compare; values beyond are cut off.
        points: Centres of the detected cells, (y, x) in pixels of the image.
        matches: Which detection is which marker.
        markers: Annotated centres, (y, x).
        out: The picture.
        labels: Segmented cells, a label image of the shape of the image.
        reference: True cells, likewise.
        title: Headline; the F-score is added.

    Raises:
        ValueError: If shapes do not fit, or ``matches`` is not about these points and markers.
        InputError: If the suffix of ``out`` is no picture format.
    """
    _check_matches(matches, len(points), len(markers))
    width, height = size = _panel_size(image.shape, area=80.0)
    # A row as wide as the large panel, of images of its shape.
    small = min(height / (1 + len(maps)), 3.2)
    counts = matches.counts
    figure = new_figure(
        max(width, 8.0) + 0.3, height + small + 2.1, title=f"{title}: F-score {counts.f_score:.3f}"
    )
    grid = figure.add_gridspec(2, 1 + len(maps), height_ratios=[small + 0.3, height])
    axes = figure.add_subplot(grid[0, 0])
    axes.set_title("image", fontsize=10, loc="left")
    draw_image(axes, image, inches=small * max(1.0, width / height))
    for number, (name, values) in enumerate(maps, start=1):
        axes = figure.add_subplot(grid[0, number])
        axes.set_title(name, fontsize=10, loc="left")
        _draw_map_with_bar(axes, values, image.shape[:2])

    axes = figure.add_subplot(grid[1, :])
    draw_image(axes, image, inches=max(size))
    draw_scale_bar(axes, image.shape, None)
    outlines: list[Artist] = []
    if labels is not None:
        _check_labels(labels, image)
        draw_contours(axes, labels, PREDICTION_COLOR, size=size)
        outlines.append(Line2D([], [], color=PREDICTION_COLOR, linewidth=2.4, label="predicted outline"))
    if reference is not None:
        _check_labels(reference, image)
        draw_contours(axes, reference, REFERENCE_COLOR, size=size, thick=False)
        outlines.append(Line2D([], [], color=REFERENCE_COLOR, linewidth=1.2, label="true outline"))
    kinds = {
        "found": (FOUND, points[matches.detection]),
        "false": (FALSE, points[matches.false_detection]),
        "missed": (MISSED, markers[matches.missed_marker]),
    }
    for style, places in kinds.values():
        axes.add_line(_dots(places, style, size=_dot_size(size, max(len(points), len(markers)))))
    legend_below(
        figure,
        [
            *(_key(style, f"{name}: {len(places):,}") for name, (style, places) in kinds.items()),
            *outlines,
        ],
        hint=f"F-score {counts.f_score:.3f}, precision {counts.precision:.3f}, recall {counts.recall:.3f}. "
        "Good: a dot in every cell"
        + (", orange and blue lines side by side.\n" if outlines[1:] else ".\n")
        + "Bad: crosses (debris, or one cell found twice) and squares (faint cells, or two taken for one).",
    )
    save_figure(figure, out)


def plot_overview(
    frames: Sequence[Frame],
    out: pathlib.Path,
    *,
    pixel_size_um: float | None = None,
    title: str = "Detected cells",
) -> None:
    """Draws images with their detected cells, without a reference: one panel per frame.

    All panels have the size of the first one. Select some frames of a long movie: with more than about twenty
    frames the cells are too small to be judged.

    Args:
        frames: Name, image [y, x], [y, x, 1] or [y, x, 3], detected centres (y, x) in its pixels, and
            label image or None.
        out: The picture.
        pixel_size_um: Side of a pixel in micrometres, for the scale bar; None makes it one in pixels.
        title: Headline; the number of detections is added: a cell counts in every frame.

    Raises:
        ValueError: If there is no frame, or a label image has another shape than its image.
        InputError: If the suffix of ``out`` is no picture format.
    """
    if not frames:
        raise ValueError("frames hold no frame to draw")
    columns = _columns(len(frames), frames[0][1].shape)
    rows = math.ceil(len(frames) / columns)
    width, height = size = _panel_size(frames[0][1].shape, area=max(140.0 / len(frames), 9.0))
    counts = [len(points) for _, _, points, _ in frames]
    dot = _dot_size(size, max(counts))
    headline = f"{title}: {counted(sum(counts), 'detection')}"
    if len(frames) > 1:
        headline += f" in {counted(len(frames), 'frame')}"
    figure = new_figure(
        max(columns * width, 7.0) + 0.3,
        rows * (height + 0.3) + 1.3,
        title=headline,
    )
    grid = figure.add_gridspec(rows, columns)
    for number, (name, image, points, labels) in enumerate(frames):
        axes = figure.add_subplot(grid[divmod(number, columns)])
        draw_image(axes, image, inches=max(size))
        caption = f"{name}: {counted(len(points), 'detection')}"
        if labels is not None:
            _check_labels(labels, image)
            # Lines of one width, or they would hide the cells of small panels.
            draw_contours(axes, labels, PREDICTION_COLOR, size=size, thick=len(frames) == 1)
            outlined = len(np.unique(labels[labels > 0]))
            caption += f", {outlined} outlined" if outlined != len(points) else ""
        axes.set_title(caption, fontsize=10, loc="left")
        # An outline shows its cell, which a large dot would hide.
        axes.add_line(_dots(points, DETECTED, size=dot if labels is None else max(0.5 * dot, 1.5)))
        draw_scale_bar(axes, image.shape, pixel_size_um)
    handles: list[Artist] = [_key(DETECTED, "centre of a detected cell")]
    if any(labels is not None for *_, labels in frames):
        handles.append(Line2D([], [], color=PREDICTION_COLOR, linewidth=2.4, label="predicted outline"))
    legend_below(
        figure,
        handles,
        hint="Good: one dot in every cell that you see, outlines along the edges of cells.\n"
        "Bad: cells without a dot, two dots in one cell, dots on debris, outlines that hold two cells.",
    )
    save_figure(figure, out)


def _panel_size(shape: tuple[int, ...], *, area: float) -> tuple[float, float]:
    """Width and height in inches of a panel that suits an image, of about ``area`` square inches."""
    scale = min(math.sqrt(area / (shape[0] * shape[1])), 13.0 / max(shape[:2]))
    # At least 2 inches, for images that are hardly more than a line.
    return max(shape[1] * scale, 2.0), max(shape[0] * scale, 2.0)


def _dot_size(size: tuple[float, float], count: int) -> float:
    """Diameter in points of a dot, small beside the distance from cell to cell."""
    spacing = 72 * math.sqrt(size[0] * size[1] / max(count, 1))
    return min(max(0.13 * spacing, 2.0), 7.0)


def _dots(points: Real[np.ndarray, "point 2"], style: _Style, *, size: float) -> Line2D:
    """Points (y, x) as they lie over an image; one on its edge is drawn whole."""
    line = Line2D(points[:, 1], points[:, 0], linestyle="", color=style.color, clip_on=False)
    # Out of the layout, which reckons an artist without points to be in the corner of the figure.
    line.set(marker=style.marker, markersize=size * style.scale, in_layout=False)
    if style.filled:
        line.set(markeredgecolor="black", markeredgewidth=0.5)
    else:
        line.set(markerfacecolor="none", markeredgewidth=1.5)
        line.set_path_effects([withStroke(linewidth=3.0, foreground="black")])
    return line


def _key(style: _Style, label: str) -> Line2D:
    """Legend entry of a point style, of one size in all pictures."""
    line = _dots(np.zeros((0, 2)), style, size=6.0)
    line.set_label(label)
    return line


def _draw_map_with_bar(axes: Axes, values: Float[np.ndarray, "..."], shape: tuple[int, ...]) -> None:
    mappable = draw_map(axes, values, shape)
    # Inset, so that the map stays as large as the image beside it.
    bar = axes.inset_axes((0, -0.1, 1, 0.05))
    mappable.figure.colorbar(mappable, cax=bar, orientation="horizontal", ticks=[0, 0.5, 1])
    bar.tick_params(labelsize=7, length=2, pad=1)
    # The numbers at the ends stay within the panel, clear of those of its neighbours.
    for tick, align in zip(bar.get_xticklabels(), ("left", "center", "right")):
        tick.set_horizontalalignment(align)


def _columns(panels: int, shape: tuple[int, ...]) -> int:
    """Panels beside one another: all of three or fewer, unless they are wide."""
    if panels <= 3:
        return 1 if shape[1] > 1.5 * shape[0] else panels
    return math.ceil(math.sqrt(panels))


def _check_matches(matches: PointMatches, points: int, markers: int) -> None:
    """Raises ValueError for matches that do not belong to the given points."""
    for name, count, parts in (
        ("points", points, (matches.detection, matches.false_detection)),
        ("markers", markers, (matches.marker, matches.missed_marker)),
    ):
        if not np.array_equal(np.sort(np.concatenate(parts)), np.arange(count)):
            raise ValueError(f"matches must name each of the {count} {name} once; they are of other {name}")


def _check_labels(labels: Integer[np.ndarray, "..."], image: Shaped[np.ndarray, "..."]) -> None:
    if labels.shape != image.shape[:2]:
        raise ValueError(f"a label image has shape {labels.shape}, but its image has {image.shape}")
