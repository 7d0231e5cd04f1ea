"""Writing of tracks from correlation filters as a result folder of the Cell Tracking Challenge (CTC)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32, Integer

from cellmotion_jax.data.ctc_masks import write_result
from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.methods.celltrack.masks import draw_tracks
from cellmotion_jax.methods.celltrack.tracks import Tracks


class Spans(NamedTuple):
    """Tracks split at their gaps, since CTC allows no gap within a label."""

    table: TrackTable
    """One row per uninterrupted span; the label of a track's first span is the id of the track."""
    track: Int[np.ndarray, " span"]
    """Index of the track of each span."""


def track_spans(tracks: Tracks) -> Spans:
    """The rows ``L B E P`` of a result.

    After a gap a track continues under a new label whose parent is the span before, as the challenge encodes
    a gap. A daughter's parent is the last span of its parent track that ends before the daughter begins; if
    the parent track has no such span, the relation cannot be written, and the parent is 0. A track that is
    present in no frame has no row.

    Args:
        tracks: The tracks of a movie.

    Returns:
        The spans, sorted by track, then by time.
    """
    new_label = itertools.count(int(tracks.ids.max(initial=0)) + 1)
    rows: list[tuple[int, int, int, int]] = []
    owners: list[int] = []
    rows_of: dict[int, list[int]] = {}
    for track, label in enumerate(tracks.ids.tolist()):
        steps = np.diff(np.pad(tracks.present[:, track].astype(np.int8), 1))
        for begin, end in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1):
            before = rows_of.setdefault(label, [])
            name, parent = (next(new_label), rows[before[-1]][0]) if before else (label, 0)
            before.append(len(rows))
            rows.append((name, int(begin), int(end), parent))
            owners.append(track)
    table = np.array(rows, np.int64).reshape(-1, 4)
    for label, parent in zip(tracks.ids.tolist(), tracks.parents.tolist()):
        if parent and label in rows_of:
            first = rows_of[label][0]
            ended = [row for row in rows_of.get(parent, []) if table[row, 2] < table[first, 1]]
            table[first, 3] = table[ended[-1], 0] if ended else 0
    return Spans(TrackTable(*table.T), np.array(owners, np.int64))


def write_ctc_result(
    folder: str | os.PathLike[str],
    tracks: Tracks,
    diameters: Float[np.ndarray, " track"],
    *,
    shape: tuple[int, int],
    digits: int = 3,
    segmentations: Iterable[Integer[np.ndarray, "y x"]] | None = None,
    reach: float = 0.0,
) -> None:
    """Writes ``maskT.tif`` and ``res_track.txt``, a ``01_RES`` folder of the challenge.

    Every track is drawn in every frame in which it is followed, lost or not, as its segment or as a disc
    (`masks.draw_tracks`), under its id; spans after a gap have new labels (:func:`track_spans`). One mask is
    in memory at a time; the rules are those of :func:`~cellmotion_jax.data.ctc_masks.write_masks`.

    Args:
        folder: The folder to make, e.g. ``DATASET/01_RES``. It may exist if it is empty.
        tracks: The tracks of a movie.
        diameters: Diameters of the discs in pixels, one per track.
        shape: Size (y, x) of the frames.
        digits: Number of digits of the frame numbers, as in the movie; more if the number of frames needs
            them.
        segmentations: A label image of every frame, or None.
        reach: Largest distance of a point to its segment, in pixels.

    Raises:
        ValueError: If there is not one diameter per track, one is not positive, or an image has another size.
        InputError: If no track is present in any frame, a label would exceed 32767 (above it the reference
            tools misread uint16 masks), there are fewer segmentations than frames, or the folder is not
            empty.
    """
    if len(diameters) != len(tracks):
        raise ValueError(f"diameters has shape {diameters.shape}, but there are {len(tracks)} tracks")
    spans, frames = track_spans(tracks), len(tracks.points)
    given = itertools.repeat(None) if segmentations is None else segmentations

    def masks() -> Iterator[Int32[np.ndarray, "y x"]]:
        for frame, segments in zip(range(frames), given):
            alive = (spans.table.begin <= frame) & (frame <= spans.table.end)
            track = spans.track[alive]
            yield draw_tracks(
                tracks.points[frame, track],
                spans.table.label[alive],
                diameters[track],
                shape=shape,
                segments=segments,
                reach=reach,
            )

    write_result(folder, masks(), spans.table, frames=frames, digits=digits)
