"""A movie with the outlines, tracks and protrusion tips of its cells, as an animated picture."""

from __future__ import annotations

import math
import pathlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageDraw
from jaxtyping import Bool, Float, Integer, Shaped, UInt8
from matplotlib.colors import to_rgb

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.labels import areas_and_centroids, number_cells
from cellmotion_jax.report.animation import (
    GREYS,
    TEXT_HEIGHT,
    grey_picture,
    letters_width,
    palette_of,
    write_gif,
    write_letters,
    write_number,
)
from cellmotion_jax.report.images import NOTHING_SEEN, contrast_of
from cellmotion_jax.report.scale_bar import ScaleBar, scale_bar
from cellmotion_jax.report.summary import counted

TRACK_COLORS = (
    "#FF6B6B",
    "#3FC8FF",
    "#FFD93D",
    "#5BE37D",
    "#FF7BE5",
    "#FF9F40",
    "#8E9BFF",
    "#C6F432",
    "#28E0C8",
)
"""Bright, since the picture below is grey, and as far apart as nine can be."""
MOST_IDS = 100
"""Largest number of cells of a frame whose ids are written; more would hide the cells."""
LONGEST_SIDE = 800
_SMALLEST_SIDE = 320
_STEADY = 2
"""Greys by which a pixel may waver without being drawn anew: the noise of a camera, most of a file."""
_TIP_RADIUS = 3
_BAR_HEIGHT = 4
_BLACK, _WHITE = 0, GREYS - 1


class VideoFrame(NamedTuple):
    """One frame with what was found in it."""

    image: Shaped[np.ndarray, "y x"]
    """Grey values of any type."""
    labels: Integer[np.ndarray, "y x"]
    """Track of every pixel, 0 for background."""
    tips: Float[np.ndarray, "tip 2"] | None
    """Tips of protrusions (y, x) in pixels of the image; None where they are not measured."""


def write_video(
    frames: Iterable[VideoFrame],
    out: pathlib.Path,
    *,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    tail: int = 10,
    frames_per_s: float = 8.0,
) -> int:
    """Writes an animated GIF: every frame with the outlines and ids of its cells, their ways and their tips.

    A track keeps its colour; a new one takes the colour whose nearest bearer is furthest away, so that
    neighbours differ. Its id is written at its centre in frames of at most 100 cells, its way is a thin line
    through its centres. Tips are white dots. What the marks mean is written below, the numbers of the frame
    above, and a scale bar lies at the lower right. Frames longer than 800
    pixels are averaged down, those below 320 are enlarged by a whole factor. Black and white are the
    percentiles 1 and 99.8 of the first frame that is not constant, from there on; constant frames before it
    are grey. Dark frames are brightened, and a grey that changes by no more than 2 of 48 is not drawn anew,
    which makes the file three times smaller. All cells are counted, also those too small to be drawn. Frames
    are written as they come; memory does not grow with the movie, but for a colour per track.

    Good: outlines hug the cells, colours stay, dots sit on the ends of protrusions. Bad: outlines that
    flicker or join neighbours (threshold, splitting), a cell that changes its colour (linking), dots that
    come and go (the shortest length of a protrusion is near the length of these).

    Args:
        frames: At least one, all of one size.
        out: The picture, which ends in ``.gif``.
        pixel_size_um: For a scale bar in micrometres; None makes it one in pixels.
        frame_interval_s: Shows the time.
        tail: Frames for which the way of a cell is shown; 0 shows none.
        frames_per_s: Frames per second, 1 to 50.

    Returns:
        The number of frames.

    Raises:
        ValueError: If frames differ in size, or labels from their image.
        InputError: If there is no frame, ``out`` does not end in ``.gif``, or a number is out of its range.
    """
    for name, value in (("pixel_size_um", pixel_size_um), ("frame_interval_s", frame_interval_s)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name} is {value:g}; a positive number is right.")
    if tail < 0:
        raise InputError(f"tail is {tail}; a number of frames from 0 on is right.")
    pictures = _pictures(frames, pixel_size_um, frame_interval_s, tail)
    return write_gif(pictures, out, frames_per_s=frames_per_s)


def _pictures(
    frames: Iterable[VideoFrame], pixel_size_um: float | None, frame_interval_s: float | None, tail: int
) -> Iterator[PIL.Image.Image]:
    colors: dict[int, int] = {}
    ways: deque[dict[int, tuple[float, float]]] = deque(maxlen=tail + 1)
    greys: UInt8[np.ndarray, "row column"] | None = None
    contrast, shape = NOTHING_SEEN, (0, 0)
    for number, frame in enumerate(frames):
        if greys is None:
            shape = frame.image.shape
        if contrast.is_constant:
            contrast = contrast_of(frame.image)
        if frame.image.shape != shape or frame.labels.shape != shape:
            raise ValueError(
                f"frame {number} has an image of shape {frame.image.shape} and labels of "
                f"{frame.labels.shape}, but the first image has {shape}"
            )
        scale = _scale(shape)
        size = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
        fresh = grey_picture(frame.image, size, contrast)
        wavers = np.zeros(size, bool) if greys is None else np.abs(fresh.astype(int) - greys) <= _STEADY
        greys = fresh if greys is None else np.where(wavers, greys, fresh)

        rows, columns = (np.arange(to) * of // to for to, of in zip(size, shape))
        shown = frame.labels[np.ix_(rows, columns)]
        centres = _centres(shown)
        _give_colors(colors, centres)
        ways.append(centres)

        legend = _legend(size[1], tail=tail, tips=frame.tips is not None)
        canvas = PIL.Image.new("P", (size[1], size[0] + (1 + len(legend)) * TEXT_HEIGHT))
        canvas.putpalette(palette_of(np.array([to_rgb(color) for color in TRACK_COLORS])))
        canvas.paste(PIL.Image.fromarray(_outlined(greys, shown, colors)), (0, TEXT_HEIGHT))
        pen = PIL.ImageDraw.Draw(canvas)
        _draw_ways(pen, ways, colors)
        if len(centres) <= MOST_IDS:
            for track, (y, x) in centres.items():
                write_number(canvas, (round(x), round(y) + TEXT_HEIGHT), track, colors=(_WHITE, _BLACK))
        for y, x in [] if frame.tips is None else (frame.tips + 0.5) * scale - 0.5:
            _draw_tip(pen, (float(x), float(y) + TEXT_HEIGHT))
        _draw_bar(canvas, scale_bar(shape[1], pixel_size_um), scale, bottom=TEXT_HEIGHT + size[0] - 10)
        # A tip or a way near the upper or the lower border would reach into the lines of text.
        pen.rectangle((0, 0, size[1], TEXT_HEIGHT - 1), fill=_BLACK)
        pen.rectangle((0, TEXT_HEIGHT + size[0], *canvas.size), fill=_BLACK)
        for line, words in enumerate(legend):
            write_letters(canvas, (4, TEXT_HEIGHT * (1 + line) + size[0] + 3), words)
        time = "" if frame_interval_s is None else f"   {_time(number * frame_interval_s)}"
        found = counted(int(np.count_nonzero(np.unique(frame.labels))), "cell")
        if frame.tips is not None:
            found += f"   {counted(len(frame.tips), 'tip')}"
        write_letters(canvas, (4, 3), f"frame {number}{time}   {found}")
        yield canvas


def _scale(shape: tuple[int, ...]) -> float:
    longest = max(shape)
    return LONGEST_SIDE / longest if longest > LONGEST_SIDE else float(math.ceil(_SMALLEST_SIDE / longest))


def _centres(shown: Integer[np.ndarray, "row column"]) -> dict[int, tuple[float, float]]:
    """Centres (y, x) of the cells in pixels of the picture, by track."""
    cells = number_cells(shown)
    points = areas_and_centroids(cells).centroid
    return {int(track): (float(y), float(x)) for track, (y, x) in zip(cells.labels[1:], points)}


def _give_colors(colors: dict[int, int], centres: dict[int, tuple[float, float]]) -> None:
    """Gives each new track the colour whose nearest bearer in the frame is furthest away."""
    for track, (y, x) in centres.items():
        if track in colors:
            continue
        nearest = [math.inf] * len(TRACK_COLORS)
        for other, (other_y, other_x) in centres.items():
            if other in colors:
                apart = math.hypot(y - other_y, x - other_x)
                nearest[colors[other]] = min(nearest[colors[other]], apart)
        # Of those that nobody bears each track begins at another, lest a sparse movie be all in one colour.
        order = [(track + turn) % len(TRACK_COLORS) for turn in range(len(TRACK_COLORS))]
        colors[track] = max(order, key=lambda color: nearest[color])


def _outlined(
    greys: UInt8[np.ndarray, "row column"],
    shown: Integer[np.ndarray, "row column"],
    colors: dict[int, int],
) -> UInt8[np.ndarray, "row column"]:
    """The picture with the two outermost pixels of every cell in its colour; the border is no outline."""
    padded = np.pad(shown, 2, mode="edge")
    height, width = shown.shape
    same: Bool[np.ndarray, "row column"] = np.ones(shown.shape, bool)
    for y, x in ((0, 2), (2, 0), (4, 2), (2, 4), (1, 1), (1, 3), (3, 1), (3, 3)):
        same &= padded[y : y + height, x : x + width] == shown
    edge = (shown > 0) & ~same
    tracks, cell = np.unique(shown[edge], return_inverse=True)
    drawn = greys.copy()
    drawn[edge] = np.array([GREYS + colors[track] for track in tracks.tolist()], np.uint8)[cell]
    return drawn


def _draw_ways(
    pen: PIL.ImageDraw.ImageDraw, ways: deque[dict[int, tuple[float, float]]], colors: dict[int, int]
) -> None:
    for track in ways[-1]:
        places = [way[track] for way in ways if track in way]
        if len(places) > 1:
            pen.line([(x, y + TEXT_HEIGHT) for y, x in places], fill=GREYS + colors[track], width=1)


def _draw_tip(pen: PIL.ImageDraw.ImageDraw, place: tuple[float, float]) -> None:
    """A white dot with a black rim, which is seen on halos as well as on dark cells."""
    x, y = place
    for radius, fill in ((_TIP_RADIUS + 1, _BLACK), (_TIP_RADIUS, _WHITE)):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _legend(width: int, *, tail: int, tips: bool) -> list[str]:
    """What the marks mean, in as many lines as it takes."""
    entries = ["number, colour: track"]
    if tail:
        entries.append(f"thin line: its way in {counted(tail, 'frame')}")
    if tips:
        entries.append("white dot: tip of a protrusion")
    lines = [entries[0]]
    for entry in entries[1:]:
        longer = f"{lines[-1]}   {entry}"
        if letters_width(longer) <= width - 8:
            lines[-1] = longer
        else:
            lines.append(entry)
    return lines


def _draw_bar(canvas: PIL.Image.Image, bar: ScaleBar, scale: float, *, bottom: int) -> None:
    """A scale bar at the right; a pixel of the image is ``scale`` pixels of the picture."""
    right = canvas.width - 10
    left = right - round(bar.pixels * scale)
    pen = PIL.ImageDraw.Draw(canvas)
    pen.rectangle((left - 4, bottom - _BAR_HEIGHT - 22, right + 4, bottom + 4), fill=_BLACK)
    pen.rectangle((left, bottom - _BAR_HEIGHT + 1, right, bottom), fill=_WHITE)
    write_letters(canvas, (left, bottom - _BAR_HEIGHT - 20), bar.label)


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
