"""The live view of a tracker as an animated picture: Figure 1 of Jackson-Smith, *Cell Tracking*, 2016."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageDraw
from jaxtyping import Bool, Float, Int, Integer, Shaped
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from cellmotion_jax.errors import InputError
from cellmotion_jax.report.animation import (
    GREYS,
    TEXT_HEIGHT,
    grey_picture,
    letters_width,
    palette_of,
    write_gif,
    write_letters,
)
from cellmotion_jax.report.figures import ORANGE, SKY, VERMILLION
from cellmotion_jax.report.images import NOTHING_SEEN, Contrast, contrast_of

RESPONSE_COLORS = 96
_GAP = 6
_SCALE_HEIGHT = 11
_TRACKED, _CHOSEN, _LOST = range(GREYS + RESPONSE_COLORS, GREYS + RESPONSE_COLORS + 3)


class LiveFrame(NamedTuple):
    """Data of one frame of the live view."""

    image: Shaped[np.ndarray, "y x"]
    """The frame."""
    boxes: Float[np.ndarray, "track 4"]
    """Boxes of all cells (y0, x0, y1, x1) in pixels; NaN for those that are not followed in this frame."""
    ids: Integer[np.ndarray, " track"]
    """Labels of the cells."""
    lost: Bool[np.ndarray, " track"]
    """Whether each track is reported lost."""
    chosen: int
    """Position in ``boxes`` of the cell whose window is shown."""
    window: Float[np.ndarray, "h w"]
    """Window of that cell."""
    response: Float[np.ndarray, "rows columns"]
    """Response of its filter, with zero displacement in the middle; the peak is about 1 if the filter
    recognises the cell."""
    psr: float
    """Peak-to-sidelobe ratio of the response; NaN where there is none."""
    window_centre: tuple[float, float] | None = None
    """Centre (y, x) of the window in the frame, to draw its outline; None draws none."""


def write_live_view(
    live_frames: Iterable[LiveFrame], out: pathlib.Path, *, side: int = 560, frames_per_s: float = 8.0
) -> int:
    """Writes an animated GIF: the whole frame with boxes, the window of one cell, and its filter's response.

    Every cell has a box, blue where the tracker is sure and red where it is lost; that of the chosen one is
    thick and orange while it is sure, and orange is the outline of its window if its place is known. Right of
    it are the window above and the response below, in colours from 0 (dark) to 1 (bright), with a cross on
    its peak. What the colours mean is written in the picture. Black and white are the percentiles 1 and 99.8
    of the first frame that is not constant, from there on, and those of the window are from the first window
    that is not; what is constant before it is grey. Dark frames are brightened. Frames are written as they
    come; memory does not grow with the movie.

    Args:
        live_frames: One per frame, at least one, of frames of one size.
        out: The picture, which ends in ``.gif``.
        side: Longest side of the view of the whole frame in pixels of the picture.
        frames_per_s: Frames per second, 1 to 50.

    Returns:
        The number of frames.

    Raises:
        ValueError: If frames differ in size or an array of a live_frame does not fit the others.
        InputError: If there is no frame, ``out`` does not end in ``.gif``, ``side`` is below 120 or the speed
            out of its range.
    """
    if side < 120:
        raise InputError(f"side is {side}; at least 120 pixels are right.")
    return write_gif(_pictures(live_frames, side), out, frames_per_s=frames_per_s)


def _pictures(live_frames: Iterable[LiveFrame], side: int) -> Iterator[PIL.Image.Image]:
    first, of_image, of_window = None, NOTHING_SEEN, NOTHING_SEEN
    for frame, live_frame in enumerate(live_frames):
        if first is None:
            first = live_frame
        if live_frame.image.shape != first.image.shape:
            raise ValueError(
                f"image {frame} has shape {live_frame.image.shape}, but the first has {first.image.shape}"
            )
        if of_image.is_constant:
            of_image = contrast_of(live_frame.image)
        if of_window.is_constant:
            of_window = contrast_of(live_frame.window)
        yield _compose(live_frame, frame, (of_image, of_window), side)


def _compose(
    live_frame: LiveFrame, frame: int, contrasts: tuple[Contrast, Contrast], side: int
) -> PIL.Image.Image:
    """One picture in the numbers of the palette; the contrasts are those of the frame and of the window."""
    _check(live_frame)
    scale = side / max(live_frame.image.shape)
    height, width = (max(1, round(axis * scale)) for axis in live_frame.image.shape)
    panel = max(height - _GAP - TEXT_HEIGHT, 2 * 100) // 2
    total = max(height, 2 * panel + _GAP + TEXT_HEIGHT)
    canvas = PIL.Image.new("P", (width + _GAP + panel, 2 * TEXT_HEIGHT + total))
    canvas.putpalette(_palette())

    view = grey_picture(live_frame.image, (height, width), contrasts[0])
    canvas.paste(PIL.Image.fromarray(view), (0, TEXT_HEIGHT))
    _draw_boxes(canvas, live_frame, scale)
    left, above, below = width + _GAP, TEXT_HEIGHT, 2 * TEXT_HEIGHT + _GAP + panel
    window = grey_picture(live_frame.window, (panel, panel), contrasts[1])
    canvas.paste(PIL.Image.fromarray(window), (left, above))
    response = np.clip(np.nan_to_num(live_frame.response), 0, 1)
    colors = (GREYS + np.round(response * (RESPONSE_COLORS - 1))).astype(np.uint8)
    canvas.paste(
        PIL.Image.fromarray(colors).resize((panel, panel), PIL.Image.Resampling.NEAREST), (left, below)
    )
    peak = np.unravel_index(np.argmax(response), response.shape)
    for corner in (above, below):
        y, x = (round((at + 0.5) * panel / size) for at, size in zip(peak, response.shape))
        _cross(canvas, (left + x, corner + y))

    state = f"PSR {live_frame.psr:.1f}" if np.isfinite(live_frame.psr) else "not followed"
    lost = "   LOST" if live_frame.lost[live_frame.chosen] else ""
    write_letters(canvas, (2, 3), f"frame {frame}   cell {live_frame.ids[live_frame.chosen]}   {state}{lost}")
    write_letters(canvas, (left, 3), "search window")
    _write_scale(canvas, (left, below - TEXT_HEIGHT + 3))
    write_letters(
        canvas, (2, TEXT_HEIGHT + total + 3), "blue: followed   orange: the cell and its window   red: lost"
    )
    return canvas


def _write_scale(canvas: PIL.Image.Image, place: tuple[int, int]) -> None:
    """The headline of the response: its colours from 0 to 1."""
    write_letters(canvas, place, "response  0")
    left = place[0] + letters_width("response  0") + 4
    colors = np.tile(np.arange(GREYS, GREYS + RESPONSE_COLORS, dtype=np.uint8), (_SCALE_HEIGHT, 1))
    canvas.paste(PIL.Image.fromarray(colors), (left, place[1] + 2))
    write_letters(canvas, (left + RESPONSE_COLORS + 4, place[1]), "1")


def _draw_boxes(canvas: PIL.Image.Image, live_frame: LiveFrame, scale: float) -> None:
    """All boxes over the view of the whole frame, the chosen one last."""
    pen = PIL.ImageDraw.Draw(canvas)

    def rectangle(box: Float[np.ndarray, "4"], color: int, width: int) -> None:
        # A box reaches to the outer edge of its pixels, half a pixel before the first pixel centre.
        y0, x0, y1, x1 = np.round(np.asarray(box) * scale).astype(int).tolist()
        pen.rectangle(
            (x0, y0 + TEXT_HEIGHT, max(x1, x0), max(y1, y0) + TEXT_HEIGHT), outline=color, width=width
        )

    for track in np.flatnonzero(np.isfinite(live_frame.boxes).all(axis=-1)):
        if track != live_frame.chosen:
            rectangle(live_frame.boxes[track], _LOST if live_frame.lost[track] else _TRACKED, 1)
    if live_frame.window_centre is not None:
        half = np.array(live_frame.window.shape) / 2
        middle = np.array(live_frame.window_centre) + 0.5
        rectangle(np.concatenate([middle - half, middle + half]), _CHOSEN, 1)
    if np.isfinite(live_frame.boxes[live_frame.chosen]).all():
        rectangle(
            live_frame.boxes[live_frame.chosen], _LOST if live_frame.lost[live_frame.chosen] else _CHOSEN, 2
        )
    # What sticks out into the line of text and the gap beside the frame is rubbed out.
    width = round(live_frame.image.shape[1] * scale)
    pen.rectangle((0, 0, canvas.width, TEXT_HEIGHT - 1), fill=0)
    pen.rectangle((width, 0, canvas.width, canvas.height), fill=0)
    pen.rectangle(
        (0, TEXT_HEIGHT + round(live_frame.image.shape[0] * scale), canvas.width, canvas.height), fill=0
    )


def _cross(canvas: PIL.Image.Image, place: tuple[int, int]) -> None:
    x, y = place
    pen = PIL.ImageDraw.Draw(canvas)
    pen.line((x - 5, y, x + 5, y), fill=_CHOSEN)
    pen.line((x, y - 5, x, y + 5), fill=_CHOSEN)


def _palette() -> bytes:
    response = colormaps["viridis"](np.linspace(0, 1, RESPONSE_COLORS))[:, :3]
    return palette_of(np.concatenate([response, [to_rgb(color) for color in (SKY, ORANGE, VERMILLION)]]))


def _check(live_frame: LiveFrame) -> None:
    tracks: Int[np.ndarray, " 3"] = np.array(
        [len(live_frame.boxes), len(live_frame.ids), len(live_frame.lost)]
    )
    if len(set(tracks.tolist())) > 1 or not 0 <= live_frame.chosen < tracks[0]:
        raise ValueError(
            f"a live frame has {tracks[0]} boxes, {tracks[1]} ids, {tracks[2]} lost flags and the chosen "
            f"cell {live_frame.chosen}; one of each per track, and chosen is one of them"
        )
