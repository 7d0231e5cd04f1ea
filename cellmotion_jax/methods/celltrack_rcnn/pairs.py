"""Pairs of adjacent annotated frames with the identities of their cells."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.data.picture import read_picture
from cellmotion_jax.data.resizing import resize_labels, resized_shape
from cellmotion_jax.data.track_table import TrackTable, read_man_track
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.frames import network_frame
from cellmotion_jax.ops.labels import number_cells, tight_boxes

UNKNOWN = 255
"""Number of a pixel of which it is not known whether it belongs to a cell."""


class AnnotatedPair(NamedTuple):
    """Two adjacent frames of one movie."""

    earlier: AnnotatedImage
    later: AnnotatedImage


@dataclasses.dataclass(frozen=True, eq=False)
class TrackedFrame:
    """An annotated frame at the scale of the network.

    Attributes:
        image: Compressed intensities.
        number: Number of the cell of every pixel, 1, 2, ... without gaps; 0 for background.
        known: False where it is not known whether there is a cell.
        track: Track of every cell, in the order of the numbers.
        centre: Middle (y, x) of the box around each cell, in pixels.
    """

    image: Float32[np.ndarray, "y x"]
    number: Int32[np.ndarray, "y x"]
    known: Bool[np.ndarray, "y x"]
    track: Int[np.ndarray, " cell"]
    centre: Float32[np.ndarray, "cell 2"]


def adjacent_pairs(images: Sequence[AnnotatedImage]) -> tuple[AnnotatedPair, ...]:
    """The pairs of adjacent frames among annotated images.

    Args:
        images: In the order of their movies.

    Returns:
        Pairs, both of whose frames are annotated.

    Raises:
        InputError: If there is none, or an image has no tracks.
    """
    for image in images:
        if image.markers_file is None:
            raise InputError(
                f"{image.image_file} belongs to no movie with tracks; give a Cell Tracking Challenge folder "
                "(01/t000.tif, ..., 01_GT/TRA and 01_ST or 01_GT/SEG)."
            )
    pairs = [
        AnnotatedPair(before, here)
        for before, here in itertools.pairwise(images)
        if here.movie_files and here.window_files(2)[0] == before.image_file and before is not here
    ]
    if not pairs:
        raise InputError(
            f"No two adjacent frames are annotated among {len(images)} from {images[0].name} on; tracking is "
            "learned from such pairs."
        )
    return tuple(pairs)


def read_markers(annotated: AnnotatedImage) -> Int[np.ndarray, "y x"]:
    """Markers of the tracks of a frame of a movie with tracks."""
    if annotated.markers_file is None:
        raise ValueError(f"{annotated.name} has no markers of tracks")
    return read_picture(annotated.markers_file)[..., 0].astype(np.int64)


def evenly_spread(count: int, *, most: int) -> Int[np.ndarray, " chosen"]:
    """Indices of at most so many of some things, evenly spread, with the first and the last.

    >>> evenly_spread(9, most=3).tolist(), evenly_spread(2, most=3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def tracked_frame(annotated: AnnotatedImage, *, scale: float) -> TrackedFrame:
    """Reads a frame with its cells and their tracks, and resizes it.

    The track of a cell is the marker of ``01_GT/TRA`` with which it shares most pixels. Of a cell that shares
    none, which the tracking does not know, it is not known whether it is a cell.

    Args:
        annotated: A frame of a movie with tracks.
        scale: Pixels of the result per pixel of the frame.

    Returns:
        The frame. A cell that vanishes when it is resized is left out.
    """
    markers = read_markers(annotated)
    labels, known = annotated.annotation()
    cells = number_cells(labels)
    tracks = _most_shared(cells.number, markers, count=len(cells.labels) - 1)
    unknown = np.concatenate([[False], tracks == 0])[cells.number]

    size = resized_shape(labels.shape, scale=scale)
    whole = resize_labels(np.where(unknown, 0, cells.number), size)
    left = number_cells(whole)
    present = left.labels[1:].astype(np.int64)
    boxes = tight_boxes(left.number, np.arange(1, len(left.labels)))
    return TrackedFrame(
        image=network_frame(annotated.image().mean(axis=-1), scale=scale).image,
        number=left.number,
        known=resize_labels(known & ~unknown, size),
        track=tracks[present - 1],
        centre=(boxes[:, :2] + boxes[:, 2:]) / 2,
    )


def sources(
    earlier: Int[np.ndarray, " earlier"], later: Int[np.ndarray, " later"], tracks: TrackTable
) -> Int[np.ndarray, " later"]:
    """The cell of the earlier frame that every cell of the later one comes from.

    Args:
        earlier: Track of every cell of frame t - 1, 0 for none.
        later: Track of every cell of frame t.
        tracks: Table of the movie.

    Returns:
        For every cell of the later frame the number of the same cell, or of its mother, in the earlier one; 0
        if there is none.
    """
    parent = dict(zip(tracks.label.tolist(), tracks.parent.tolist()))
    number = {track: index for index, track in enumerate(earlier.tolist(), start=1) if track}
    return np.array(
        [number.get(track, number.get(parent.get(track, 0), 0)) for track in later.tolist()], np.int64
    )


def track_table(image: AnnotatedImage) -> TrackTable:
    """The table of the tracks of the movie of a frame."""
    if image.markers_file is None:
        raise ValueError(f"{image.name} has no markers of tracks")
    file = image.markers_file.parent / "man_track.txt"
    state = file.stat() if file.exists() else None
    return _read_table(file, state and (state.st_mtime_ns, state.st_size))


def read_pairs(
    pairs: Sequence[AnnotatedPair], *, scale: float
) -> Iterator[tuple[TrackedFrame, TrackedFrame, Int[np.ndarray, " cell"]]]:
    """Reads pairs one after another; a frame of two pairs is read once.

    Args:
        pairs: In the order of their movies.
        scale: Pixels of the result per pixel of a frame.

    Yields:
        Both frames of a pair, and the sources of the cells of the later one.
    """
    last: tuple[AnnotatedImage, TrackedFrame] | None = None
    for pair in pairs:
        known = last is not None and last[0] is pair.earlier
        earlier = last[1] if last is not None and known else tracked_frame(pair.earlier, scale=scale)
        later = tracked_frame(pair.later, scale=scale)
        last = pair.later, later
        yield earlier, later, sources(earlier.track, later.track, track_table(pair.later))


@functools.lru_cache(maxsize=16)
def _read_table(file: pathlib.Path, state: tuple[int, int] | None) -> TrackTable:
    """Reads a table once for all pairs of frames of its movie, and anew when the file has changed."""
    del state
    return read_man_track(file)


def _most_shared(
    number: Int32[np.ndarray, "y x"], markers: Int[np.ndarray, "y x"], *, count: int
) -> Int[np.ndarray, " cell"]:
    """The marker with which each cell shares most pixels, 0 for none."""
    both = (number > 0) & (markers > 0)
    pairs, pixels = np.unique(np.stack([number[both], markers[both]]), axis=1, return_counts=True)
    tracks: Int[np.ndarray, " cell"] = np.zeros(count, np.int64)
    order = np.argsort(pixels, kind="stable")
    tracks[pairs[0, order] - 1] = pairs[1, order]  # The last one written is the largest.
    return tracks
