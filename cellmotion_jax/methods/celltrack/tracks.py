"""Tracks of a movie and their CSV table."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32, Int

from cellmotion_jax.files import write_csv

COLUMNS = (
    *("track", "frame", "y", "x", "y0", "x0", "y1", "x1"),
    *("psr", "entropy", "peak_response", "confidence", "lost", "parent"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Tracks:
    """Followed cells over all frames of a movie, one column per track, ordered by first frame.

    Attributes:
        ids: Label of each track, at least 1, all different.
        points: Position (y, x) of each track, in pixels; NaN in frames in which it is not followed, e.g.
            before its birth.
        present: Whether a track is followed in a frame.
        lost: Whether the tracker reports the track as lost; False where absent.
        psr: Peak-to-sidelobe ratio of the response; NaN where absent.
        entropy: Entropy of the response; NaN where absent.
        peak_response: Height of the response's peak; NaN where absent.
        confidence: Confidence, which determines the flag ``lost``, see `tracking.ConfidenceSettings`; 1 at
            birth, NaN where absent.
        boxes: Box of the cell (y0, x0, y1, x1), half-open; NaN where absent.
        parents: Id of the track that each one was born from, 0 for none.
    """

    ids: Int[np.ndarray, " track"]
    points: Float32[np.ndarray, "frame track 2"]
    present: Bool[np.ndarray, "frame track"]
    lost: Bool[np.ndarray, "frame track"]
    psr: Float32[np.ndarray, "frame track"]
    entropy: Float32[np.ndarray, "frame track"]
    peak_response: Float32[np.ndarray, "frame track"]
    confidence: Float32[np.ndarray, "frame track"]
    boxes: Float32[np.ndarray, "frame track 4"]
    parents: Int[np.ndarray, " track"]

    def __len__(self) -> int:
        return len(self.ids)


def write_track_table(
    path: str | os.PathLike[str], tracks: Tracks, *, pixel_size_um: float | None = None
) -> None:
    """Writes ``tracks.csv``: one row per track and frame, sorted by track, then by frame.

    ``track`` and ``frame`` (from 0); ``y``, ``x`` in pixels, pixel centres at whole numbers; the corners of
    the box ``y0``, ``x0``, ``y1``, ``x1``; the confidences ``psr``, ``entropy``, ``peak_response`` and
    ``confidence``, empty where there is none; ``lost``, 1 where the track is reported lost, else 0;
    ``parent``, the track that this one was born from, 0 for none. If the pixel size is known, ``y_um`` and
    ``x_um`` follow. This order of rows is that of napari's tracks layer.

    Args:
        path: The table, replaced if it exists; it is either complete or as it was before.
        tracks: The tracks of a movie.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
    """
    in_um = ("y_um", "x_um") if pixel_size_um is not None else ()
    write_csv(path, COLUMNS + in_um, _rows(tracks, pixel_size_um))


def _rows(tracks: Tracks, pixel_size_um: float | None) -> Iterator[tuple[int | str, ...]]:
    for track in np.argsort(tracks.ids):
        for frame in np.flatnonzero(tracks.present[:, track]):
            at = frame, track
            point = tracks.points[at]
            sure = (
                column[at] for column in (tracks.psr, tracks.entropy, tracks.peak_response, tracks.confidence)
            )
            numbers = (*point, *tracks.boxes[at], *sure)
            row = (
                int(tracks.ids[track]),
                int(frame),
                *(_text(float(number)) for number in numbers),
                int(tracks.lost[at]),
                int(tracks.parents[track]),
            )
            yield (
                row
                if pixel_size_um is None
                else (*row, *(_text(float(axis) * pixel_size_um) for axis in point))
            )


def _text(number: float) -> str:
    return "" if np.isnan(number) else f"{number:.6g}"
