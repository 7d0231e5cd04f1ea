"""Assignment of track identities to the segments of a label image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32, Integer, Real
from scipy.spatial import KDTree

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics.matching import cheapest_largest_matching
from cellmotion_jax.ops.labels import number_cells


class Relabelled(NamedTuple):
    """A label image whose segments have the ids of tracks."""

    labels: Int32[np.ndarray, "y x"]
    """The same segments under new labels."""
    seated: Int[np.ndarray, " seated"]
    """Indices of the tracks that have a segment, ascending."""
    new: Int[np.ndarray, " new"]
    """Labels given to segments without a track, ascending."""


def relabel(
    labels: Integer[np.ndarray, "..."],
    points: Real[np.ndarray, "track 2"],
    ids: Integer[np.ndarray, " _"],
    *,
    reach: float = 0.0,
    first_new: int | None = None,
) -> Relabelled:
    """Assigns track ids to the segments of a label image, one to one.

    A track gets the segment in which its point lies; if several points lie in one segment, the point nearest
    to the segment's centroid gets it. The remaining tracks and segments are paired if the point is at most
    ``reach`` pixels from the nearest pixel of the segment: as many pairs as possible, and among these
    solutions the one with the smallest sum of distances. A track whose point lies in a segment is therefore
    never moved to a neighbouring segment because of another track.

    Args:
        labels: Label image [y, x], 0 for background; label a binary mask by its connected components before.
        points: Points (y, x) of the tracks; NaN for an absent track.
        ids: Ids of the tracks, at least 1, all different.
        reach: Pixels, at least 0.
        first_new: First label for segments without a track, which are numbered in the order of their old
            labels; it must be larger than all ids. If None, these segments become background.

    Returns:
        The new image, and the tracks that have a segment.

    Raises:
        ValueError: If ``labels`` is not an image or there is not one id per point.
        InputError: If a label is negative, an id below 1 or there twice, ``first_new`` not above all ids, or
            ``reach`` negative.

    >>> relabel(np.array([[5, 5, 0, 9]]), np.array([[0.0, 0.4]]), np.array([3]), first_new=10).labels.tolist()
    [[3, 3, 0, 10]]
    """
    _check(points, ids, reach, first_new)
    segments = number_cells(labels)
    count = len(segments.labels) - 1
    track, segment = _inside(segments.number, points, count)
    if reach > 0:
        far_track, far_segment = _within_reach(segments.number, points, track, segment, reach)
        track, segment = np.concatenate([track, far_track]), np.concatenate([segment, far_segment])
    table = np.zeros(count + 1, np.int32)
    table[segment] = ids[track]
    rest = np.setdiff1d(np.arange(1, count + 1), segment)
    new = np.zeros(0, np.int64)
    if first_new is not None:
        new = first_new + np.arange(len(rest))
        table[rest] = new
    return Relabelled(table[segments.number], np.sort(track), new)


def _inside(
    number: Int[np.ndarray, "y x"], points: Real[np.ndarray, "track 2"], count: int
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Tracks whose point lies in a segment, one per segment, and the numbers of these segments."""
    pixels = np.rint(np.nan_to_num(points, nan=-1)).astype(np.int64)
    on_image = ((pixels >= 0) & (pixels < number.shape)).all(axis=-1)
    track = np.flatnonzero(on_image)
    segment = number[tuple(pixels[track].T)]
    track, segment = track[segment > 0], segment[segment > 0]
    rows, columns = np.nonzero(number)
    of_pixel = number[rows, columns]
    area = np.maximum(np.bincount(of_pixel, minlength=count + 1), 1)
    centroids = np.stack([np.bincount(of_pixel, axis, count + 1) / area for axis in (rows, columns)], axis=-1)
    distance = np.linalg.norm(points[track] - centroids[segment], axis=-1)
    order = np.lexsort((distance, segment))
    first = order[np.unique(segment[order], return_index=True)[1]]
    return track[first], segment[first]


def _within_reach(
    number: Int[np.ndarray, "y x"],
    points: Real[np.ndarray, "track 2"],
    taken_track: Int[np.ndarray, " pair"],
    taken_segment: Int[np.ndarray, " pair"],
    reach: float,
) -> tuple[Int[np.ndarray, " more"], Int[np.ndarray, " more"]]:
    """Optimal one-to-one pairs of the remaining tracks and segments within the reach."""
    track = np.setdiff1d(np.flatnonzero(np.isfinite(points).all(axis=-1)), taken_track)
    pixels = np.argwhere((number > 0) & ~np.isin(number, taken_segment))
    if not len(track) or not len(pixels):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    near = KDTree(points[track]).sparse_distance_matrix(KDTree(pixels), reach, output_type="ndarray")
    first, second = near["i"], number[tuple(pixels[near["j"]].T)]
    order = np.lexsort((near["v"], second, first))
    pairs = np.stack([first[order], second[order]])
    nearest = order[np.unique(pairs, axis=1, return_index=True)[1]]
    first, second, distance = first[nearest], second[nearest], near["v"][nearest]
    chosen = cheapest_largest_matching(first.astype(np.int64), second.astype(np.int64), distance)
    return track[first[chosen]], second[chosen]


def _check(
    points: Float[np.ndarray, "..."], ids: Integer[np.ndarray, "..."], reach: float, first_new: int | None
) -> None:
    if len(points) != len(ids):
        raise ValueError(
            f"points has shape {points.shape}, but ids has {ids.shape}; there is one id per point"
        )
    if len(ids) and (ids.min() < 1 or len(np.unique(ids)) < len(ids)):
        raise InputError("ids must be at least 1, and each is there once.")
    if first_new is not None and first_new <= ids.max(initial=0):
        raise InputError(
            f"first_new is {first_new}; it must be above all ids, the largest being {ids.max()}."
        )
    if not reach >= 0:
        raise InputError(f"reach must not be negative, got {reach:g}")
