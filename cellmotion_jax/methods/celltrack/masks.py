"""Drawing of tracks as label images: as discs, or as segments of a given segmentation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Int32, Integer, Real

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.relabel import relabel


def draw_tracks(
    points: Real[np.ndarray, "track 2"],
    ids: Integer[np.ndarray, " track"],
    diameters: Float[np.ndarray, " track"],
    *,
    shape: tuple[int, int],
    segments: Integer[np.ndarray, "..."] | None = None,
    reach: float = 0.0,
) -> Int32[np.ndarray, "y x"]:
    """Draws the tracks of one frame as a label image in which every track has at least one pixel.

    A track is drawn as its segment (`methods.celltrack.relabel`), or, without one, as a disc around its
    point. A pixel in several discs belongs to the nearest centre; discs do not cover segments that have a
    track. A track without any pixel left, because it lies outside the image or on another one, gets the
    free pixel nearest to its point, as the Cell Tracking Challenge wants every label in every frame of its
    span.

    Args:
        points: Finite points (y, x), also outside the image.
        ids: Labels of the tracks, at least 1, all different.
        diameters: Diameters of the discs in pixels, positive.
        shape: Size (y, x) of the image.
        segments: Label image of this size, or None.
        reach: Largest distance of a point to its segment, in pixels.

    Returns:
        The label image.

    Raises:
        ValueError: If a point is not finite, a diameter not positive, or ``segments`` of another size.
        InputError: If there are more tracks than pixels, or as ``relabel``.
    """
    if not np.isfinite(points).all() or not (np.isfinite(diameters) & (diameters > 0)).all():
        raise ValueError("points must be finite and diameters positive for all tracks that are drawn")
    if segments is not None and segments.shape != shape:
        raise ValueError(f"segments has shape {segments.shape}, but the image has {shape}")
    if len(ids) > shape[0] * shape[1]:
        raise InputError(
            f"{len(ids)} tracks cannot each have a pixel of an image of {shape[0]} x {shape[1]}."
        )
    image = np.zeros(shape, np.int32)
    seated = np.zeros(0, np.int64)
    if segments is not None:
        image, seated, _ = relabel(segments, points, ids, reach=reach)
    on_disc = np.setdiff1d(np.arange(len(ids)), seated)
    pixels, owner = _discs(points[on_disc], diameters[on_disc] / 2, shape)
    free = image.flat[pixels] == 0
    image.flat[pixels[free]] = ids[on_disc][owner[free]]
    _give_every_track_a_pixel(image, points, ids)
    return image


def _discs(
    points: Real[np.ndarray, "track 2"], radii: Float[np.ndarray, " track"], shape: tuple[int, int]
) -> tuple[Int[np.ndarray, " pixel"], Int[np.ndarray, " pixel"]]:
    """Flat indices of all pixels in discs, without repetition, and the nearest track of each."""
    places, owners, distances = [], [], []
    for track, (point, radius) in enumerate(zip(points, radii)):
        first = np.maximum(np.ceil(point - radius), 0).astype(np.int64)
        last = np.minimum(np.floor(point + radius), np.array(shape) - 1).astype(np.int64)
        rows, columns = (np.arange(a, b + 1) for a, b in zip(first, last))
        squared = (rows[:, None] - point[0]) ** 2 + (columns[None] - point[1]) ** 2
        within = squared <= radius**2
        places.append((rows[:, None] * shape[1] + columns[None])[within])
        distances.append(squared[within])
        owners.append(np.full(len(places[-1]), track))
    if not places:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place, owner, distance = (np.concatenate(parts) for parts in (places, owners, distances))
    order = np.lexsort((owner, distance, place))
    nearest = order[np.unique(place[order], return_index=True)[1]]
    return place[nearest], owner[nearest]


def _give_every_track_a_pixel(
    image: Int32[np.ndarray, "y x"], points: Real[np.ndarray, "track 2"], ids: Integer[np.ndarray, " track"]
) -> None:
    """Gives pixels of the background, or of labels with several pixels, to labels without; in place."""
    hidden = np.flatnonzero(~np.isin(ids, image[image > 0]))
    if not len(hidden):
        return
    labels, number, area = np.unique(image, return_inverse=True, return_counts=True)
    # All of the background may go, but the last pixel of a label may not.
    left = np.concatenate([np.where(labels == 0, image.size + 1, area), np.ones(len(hidden), np.int64)])
    rows, columns = np.indices(image.shape)
    for taker, track in enumerate(hidden, start=len(labels)):
        squared = (rows - points[track, 0]) ** 2 + (columns - points[track, 1]) ** 2
        pixel = np.unravel_index(np.argmin(np.where(left[number] > 1, squared, np.inf)), image.shape)
        left[number[pixel]] -= 1
        number[pixel], image[pixel] = taker, ids[track]
