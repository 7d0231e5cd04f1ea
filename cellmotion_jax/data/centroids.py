"""Area centroids of tracked cells from label images, checked against the table of tracks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Integer

from cellmotion_jax.data.track_table import MAX_LABEL, TrackTable
from cellmotion_jax.errors import InputError


class Centroids(NamedTuple):
    """Centroid of every track in every frame of its span, ordered by frame, then by label.

    Attributes:
        frame: Frame, counted from 0.
        label: Track id.
        y: Row of the area centroid of the tracking mask, in pixels; a pixel's centre is a whole number.
        x: Column of the centroid, in pixels.
        area: Number of pixels.
    """

    frame: Int[np.ndarray, " point"]
    label: Int[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]
    x: Float[np.ndarray, " point"]
    area: Int[np.ndarray, " point"]


def frame_centroids(
    frame: int, mask: Integer[np.ndarray, "y x"], tracks: TrackTable, *, source: str
) -> Centroids:
    """Centroids of one frame; its labels must be exactly those of the tracks that span it.

    Args:
        frame: Number of the frame.
        mask: Track ids, 0 for background.
        tracks: Span of every track.
        source: Name of the mask in error messages.

    Returns:
        The columns of `Centroids`.

    Raises:
        InputError: If a label is negative, absent, or of a track that does not span the frame.
    """
    rows, columns = np.nonzero(mask)
    pixels = mask[rows, columns]
    for label in (pixels.min(initial=0), pixels.max(initial=0)):
        if not 0 <= label <= MAX_LABEL:
            raise InputError(f"{source} (frame {frame}) holds label {label}; labels are 1 to {MAX_LABEL}.")
    pixels = pixels.astype(np.intp)
    area = np.bincount(pixels)
    labels = np.flatnonzero(area)
    _check_presence(frame, labels, tracks, source=source)
    area = area[labels]
    y, x = (np.bincount(pixels, weights=axis)[labels] / area for axis in (rows, columns))
    return Centroids(np.full_like(labels, frame), labels, y, x, area)


def _check_presence(
    frame: int, labels: Integer[np.ndarray, " label"], tracks: TrackTable, *, source: str
) -> None:
    """Checks that the labels of a frame are exactly those of the tracks that span it."""
    expected = tracks.alive(frame)
    for label in np.setdiff1d(expected, labels):
        row = np.flatnonzero(tracks.label == label)[0]
        raise InputError(
            f"{source} (frame {frame}) lacks label {label}, "
            f"which the track table lets last from frame {tracks.begin[row]} to {tracks.end[row]}; a track "
            "that is not seen for some frames ends there, and a new label with the old one as its parent "
            "goes on."
        )
    for label in np.setdiff1d(labels, expected):
        row = np.flatnonzero(tracks.label == label)
        span = f"from frame {tracks.begin[row[0]]} to {tracks.end[row[0]]} only" if row.size else "not at all"
        raise InputError(f"{source} (frame {frame}) holds label {label}, which the track table lists {span}.")
