"""Picture of tracked cells over several frames: outlines, boxes and ids."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32, Num
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from skimage.measure import find_contours

from cellmotion_jax.report.figures import label_axes, new_figure, save_figure
from cellmotion_jax.report.images import draw_image
from cellmotion_jax.report.scale_bar import draw_scale_bar
from cellmotion_jax.report.summary import counted

MOST_IDS = 60
"""Ids are written if a frame has at most this many cells in view."""
MOST_BOXES = 150
"""Boxes are drawn up to this many cells."""
_GOLDEN = (math.sqrt(5) - 1) / 2
_INCHES = 5.0


class TrackedView(NamedTuple):
    """A frame with its cells."""

    name: str
    image: Num[np.ndarray, "y x"]
    labels: Int32[np.ndarray, "y x"]
    """Number of the cell of every pixel, 0 for background."""
    boxes: Float[np.ndarray, "cell 4"]
    """``(y0, x0, y1, x1)`` in the order of the numbers."""
    tracks: Int[np.ndarray, " cell"]
    """Track of every cell."""


def plot_tracked_cells(frames: Sequence[TrackedView], out: pathlib.Path, *, title: str) -> None:
    """Draws frames side by side with the outlines and boxes of their cells, coloured by track.

    Args:
        frames: At least one.
        out: The picture.
        title: Headline.
    """
    height, width = frames[0].image.shape
    tall = _INCHES * min(1.6, max(0.5, height / width))
    figure = new_figure(
        max(9.0, _INCHES * len(frames)),
        tall + 0.9,
        title=title,
        hint="Outlines, boxes and ids of the cells that were found; one colour and id per track. "
        "Good: a cell keeps its colour and id, and the outline its edge.",
    )
    for axes, frame in zip(figure.subplots(1, len(frames), squeeze=False)[0], frames):
        draw_image(axes, frame.image, inches=_INCHES)
        label_axes(axes, title=f"{frame.name}: {counted(len(frame.tracks), 'cell')}")
        axes.grid(visible=False)
        _draw_cells(axes, frame)
        draw_scale_bar(axes, frame.image.shape, None)
    save_figure(figure, out)


def track_colour(track: int) -> tuple[float, float, float]:
    """A colour that neighbouring ids do not share, light enough for a dark image."""
    red, green, blue = (0.3 + 0.7 * share for share in colormaps["hsv"](track * _GOLDEN % 1)[:3])
    return red, green, blue


def _draw_cells(axes: Axes, frame: TrackedView) -> None:
    lines, colours = [], []
    for number, (box, track) in enumerate(zip(frame.boxes, frame.tracks.tolist()), start=1):
        colour = track_colour(track)
        top, left = np.maximum(np.floor(box[:2]).astype(int) - 1, 0)
        bottom, right = np.ceil(box[2:]).astype(int) + 1
        inside = np.pad(frame.labels[top:bottom, left:right] == number, 1)
        for contour in find_contours(inside.astype(float), 0.5):
            lines.append(contour[:, ::-1] + np.array([left - 1, top - 1]))
            colours.append(colour)
        y0, x0, y1, x1 = box - 0.5
        if len(frame.tracks) <= MOST_BOXES:
            axes.add_patch(
                Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=0.5, alpha=0.7)
            )
        if len(frame.tracks) <= MOST_IDS:
            axes.text(
                x0,
                y0,
                str(track),
                color=colour,
                fontsize=6,
                ha="left",
                va="bottom",
                clip_on=True,
                path_effects=[withStroke(linewidth=1.2, foreground="black")],
            )
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=1.0))
