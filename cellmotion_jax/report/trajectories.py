"""Trajectories of tracked cells over an image of the movie."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from cellmotion_jax.report.figures import legend_below, new_figure, save_figure
from cellmotion_jax.report.images import draw_image
from cellmotion_jax.report.scale_bar import draw_scale_bar
from cellmotion_jax.report.summary import counted

MOST_IDS_DRAWN = 100
"""Largest number of ids that are written next to the dots; more would not be readable."""
_GOLDEN = (math.sqrt(5) - 1) / 2


class _Stretch(NamedTuple):
    """A part of a track that is reported lost, or not lost, throughout."""

    track: int
    path: Float[np.ndarray, "point 2"]
    lost: bool


def plot_trajectories(
    image: Shaped[np.ndarray, "..."],
    points: Float[np.ndarray, "frame track 2"],
    lost: Bool[np.ndarray, "..."] | None,
    out: pathlib.Path,
    *,
    ids: Integer[np.ndarray, "..."] | None = None,
    mothers: Integer[np.ndarray, "..."] | None = None,
    tail: int | None = None,
    pixel_size_um: float | None = None,
    below: str = "the last frame",
    title: str = "Trajectories",
) -> None:
    """Draws the path of every track over the first or the last frame of the movie, or any other image.

    A dot is the last position of a track, its line the path before; parts on which the track is reported lost
    are dashed, and the dot is open if the track ends lost. A dotted white line leads from the end of a track
    to the beginning of those that continue it or were born from it. Colours only distinguish neighbours.

    Args:
        image: [y, x], [y, x, 1] or [y, x, 3] of any real type; its contrast is stretched.
        points: Positions of the tracks (y, x), in pixels of the image; NaN where they are absent.
        lost: Whether the tracker reports the cell lost [frame, track]; None if it cannot.
        out: The picture.
        ids: Written beside the dots; None writes nothing, which suits more than about a hundred tracks.
        mothers: Number of the track, from 0 in the order of ``points``, that each one continues or was born
            from, -1 for none.
        tail: Draw only this many of the last frames of the movie; None draws all.
        pixel_size_um: Side of a pixel in micrometres, for the scale bar; None makes it one in pixels.
        below: What the image is, for the legend.
        title: Headline; the number of tracks is added.

    Raises:
        ValueError: If the shapes of tracks do not fit.
        InputError: If the suffix of ``out`` is no picture format.
    """
    can_be_lost = lost is not None
    lost = np.zeros(points.shape[:2], bool) if lost is None else lost
    if lost.shape != points.shape[:2] or (ids is not None and ids.shape != points.shape[1:2]):
        raise ValueError(
            f"points of shape {points.shape}, lost of {lost.shape}"
            + (f" and ids of {ids.shape}" if ids is not None else "")
            + " are not about the same tracks"
        )
    if tail is not None:
        points, lost = points[-tail - 1 :], lost[-tail - 1 :]
    scale = min(math.sqrt(90.0 / (image.shape[0] * image.shape[1])), 13.0 / max(image.shape[:2]))
    height, width = (max(side * scale, 2.0) for side in image.shape[:2])
    seen = ~np.isnan(points[..., 0])
    count, share = int(seen.any(axis=0).sum()), lost[seen].mean() if seen.any() else 0.0
    figure = new_figure(max(width, 7.5) + 0.3, height + 1.6, title=f"{title}: {counted(count, 'track')}")
    axes = figure.add_subplot()
    draw_image(axes, image, inches=max(width, height))
    colors = _colors(points.shape[1])
    stroke = [withStroke(linewidth=2.6, foreground="black", alpha=0.6)]
    stretches = list(_stretches(points, lost))
    for gone in (False, True):
        chosen = [stretch for stretch in stretches if stretch.lost == gone]
        lines = LineCollection(
            [stretch.path[:, ::-1] for stretch in chosen],
            colors=colors[[stretch.track for stretch in chosen]],
            linewidths=1.4,
            linestyles=(0, (2.5, 1.8)) if gone else "solid",
        )
        lines.set(path_effects=None if gone else stroke, in_layout=False)
        axes.add_collection(lines, autolim=False)
    _draw_ends(axes, points, lost, colors, ids)
    born = [] if mothers is None else list(_births(points, mothers))
    if born:
        threads = LineCollection(born, colors="white", linewidths=1.1, linestyles="dotted")
        threads.set(in_layout=False)
        axes.add_collection(threads, autolim=False)
    draw_scale_bar(axes, image.shape, pixel_size_um)
    dashed = Line2D([], [], color="0.3", linewidth=1.6, linestyle=(0, (2.5, 1.8)), label=f"lost: {share:.1%}")
    born_from = Line2D([], [], color="0.3", linewidth=1.1, linestyle="dotted", label="born or continued")
    handles = [
        Line2D([], [], color="0.3", linewidth=1.6, label="path of a track"),
        *([dashed] if can_be_lost else []),
        *([born_from] if born else []),
        Line2D([], [], color="0.3", linestyle="", marker="o", markersize=5, label="last seen (with its id)"),
    ]
    legend_below(
        figure,
        handles,
        hint=f"The image is {below} of {len(points)}.\n"
        "Good: short smooth lines, each from cell to cell. Bad: many lines that drift the same way\n"
        "(a biased tracker), long straight jumps (onto another cell), dots beside cells.",
    )
    save_figure(figure, out)


def _stretches(
    points: Float[np.ndarray, "frame track 2"], lost: Bool[np.ndarray, "frame track"]
) -> Iterator[_Stretch]:
    """Unbroken pieces of tracks; the step into a frame belongs to what is said of that frame."""
    seen = ~np.isnan(points[..., 0])
    for track in range(points.shape[1]):
        steps = np.flatnonzero(seen[1:, track] & seen[:-1, track])
        if not steps.size:
            continue
        said = lost[steps + 1, track]
        breaks = np.flatnonzero((np.diff(steps) > 1) | (said[1:] != said[:-1])) + 1
        for piece in np.split(steps, breaks):
            path = points[piece[0] : piece[-1] + 2, track]
            yield _Stretch(track, path, bool(lost[piece[0] + 1, track]))


def _births(
    points: Float[np.ndarray, "frame track 2"], mothers: Integer[np.ndarray, " track"]
) -> Iterator[Float[np.ndarray, "2 2"]]:
    """Lines (x, y) from the last place of a mother to the first of her daughter."""
    seen = ~np.isnan(points[..., 0])
    for track in np.flatnonzero((mothers >= 0) & seen.any(axis=0)):
        before = np.flatnonzero(seen[:, mothers[track]])
        if len(before):
            ends = points[before[-1], mothers[track]], points[seen[:, track].argmax(), track]
            yield np.stack(ends)[:, ::-1]


def _draw_ends(
    axes: Axes,
    points: Float[np.ndarray, "frame track 2"],
    lost: Bool[np.ndarray, "frame track"],
    colors: Float[np.ndarray, "track 4"],
    ids: Integer[np.ndarray, " track"] | None,
) -> None:
    seen = ~np.isnan(points[..., 0])
    tracks = np.flatnonzero(seen.any(axis=0))
    last = len(points) - 1 - np.argmax(seen[::-1, tracks], axis=0)
    ends, gone = points[last, tracks], lost[last, tracks]
    size = 14.0 if len(tracks) < 150 else 7.0
    clear, black = [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]
    dots = axes.scatter(ends[:, 1], ends[:, 0], s=size, linewidths=0.8, zorder=3)
    dots.set(
        facecolor=np.where(gone[:, None], clear, colors[tracks]),
        edgecolor=np.where(gone[:, None], colors[tracks], black),
        in_layout=False,
    )
    if ids is not None:
        for (y, x), track in zip(ends, tracks):
            axes.annotate(
                str(ids[track]),
                (float(x), float(y)),
                xytext=(3, 2),
                textcoords="offset points",
                fontsize=6.5,
                color=colors[track],
                path_effects=[withStroke(linewidth=1.6, foreground="black")],
                clip_on=True,
            )


def _colors(count: int) -> Float[np.ndarray, "track 4"]:
    """Bright colours, far apart for tracks whose numbers are near: in hue, and in how pale they are."""
    turns: Int[np.ndarray, " track"] = np.arange(count)
    pale = np.array([0.15, 0.45, 0.65])[turns % 3, None]
    colors = colormaps["hsv"]((turns * _GOLDEN) % 1)
    colors[:, :3] = colors[:, :3] * (1 - pale) + pale
    return colors
