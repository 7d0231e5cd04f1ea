"""Training samples for migration direction: crops of tracked cells and the directions of their motion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Num
from tqdm import tqdm

from cellmotion_jax.data.centroids import Centroids
from cellmotion_jax.data.ctc import CtcSequence
from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.angles import heading
from cellmotion_jax.settings import Positive, check_argument


class DirectionTargets(NamedTuple):
    """Cells whose direction is known, ordered by frame, then by track.

    Attributes:
        track: Track id.
        frame: Frame of the image.
        frames_ahead: Number of frames after which the displacement first exceeds the threshold.
        angle: Direction of that displacement, radians in [0, 2 pi), counter-clockwise from +x, y up.
        displacement_um: Length of that displacement in micrometres.
        threshold_um: The threshold, the same for all.
        corner: First row and column of the crop around the cell.
        side: Rows and columns of every crop, in pixels.
        skipped_at_border: Number of cells left out because their crop would extend beyond the image.
    """

    track: Int[np.ndarray, " sample"]
    frame: Int[np.ndarray, " sample"]
    frames_ahead: Int[np.ndarray, " sample"]
    angle: Float32[np.ndarray, " sample"]
    displacement_um: Float32[np.ndarray, " sample"]
    threshold_um: Float32[np.ndarray, " sample"]
    corner: Int[np.ndarray, "sample 2"]
    side: int
    skipped_at_border: int


def direction_targets(
    sequence: CtcSequence, *, threshold_um: float, pixel_size_um: float, crop_um: float
) -> DirectionTargets:
    """Computes the direction of every tracked cell in every frame, where its track determines it.

    For a cell at frame t the direction is that of its net displacement, from the centroid at t, the first
    time that this displacement exceeds the threshold; a cell that does not get so far before its track ends,
    for example by division, has none. A cell is left out in frames in which the square crop around its
    centroid extends beyond the image.

    Args:
        sequence: An annotated movie.
        threshold_um: Displacement to exceed, in micrometres: 5 in Bruns et al., 18 in Nishimoto et al. 2019.
        pixel_size_um: Side of a pixel in micrometres.
        crop_um: Side of the crop in micrometres, rounded to whole pixels: 110.5 (170 pixels of 0.65) there.

    Returns:
        The targets, at least one.

    Raises:
        InputError: If no target is left, a length is not positive, or masks and tracks disagree.

    References:
        Bruns et al., Single Image Estimation of Cell Migration Direction by Deep Circular Regression,
        2024, Section 3; Nishimoto et al., Predicting the future direction of cell movement with
        convolutional neural networks, PLoS ONE 2019.
    """
    for name, length in (
        ("threshold_um", threshold_um),
        ("pixel_size_um", pixel_size_um),
        ("crop_um", crop_um),
    ):
        check_argument(name, length, Positive)
    side = max(1, round(crop_um / pixel_size_um))
    points = sequence.centroids()
    by_track = np.lexsort((points.frame, points.label))
    points = Centroids(*(column[by_track] for column in points))
    ahead, farthest_px = _first_beyond(points, threshold_um / pixel_size_um)
    found = np.flatnonzero(ahead)
    if not found.size:
        raise InputError(
            f"No cell of {sequence.movie.path} moves more than threshold_um = {threshold_um:g} um; the "
            f"largest displacement is {farthest_px * pixel_size_um:.2f} um, so choose a smaller threshold."
        )
    start = np.stack([points.y, points.x], axis=1)
    corner = np.floor(start[found] - (side - 1) / 2 + 0.5).astype(np.int64)
    inside = np.all((corner >= 0) & (corner + side <= sequence.movie.shape), axis=1)
    if not inside.any():
        raise InputError(
            f"Every crop of {side} pixels (crop_um = {crop_um:g}) leaves the frames of "
            f"{sequence.movie.path}, which have {' x '.join(map(str, sequence.movie.shape))}; "
            "choose a smaller crop."
        )
    skipped = int(np.sum(~inside))
    found, corner = found[inside], corner[inside]
    by_frame = np.lexsort((points.label[found], points.frame[found]))
    found, corner = found[by_frame], corner[by_frame]
    displacement = start[found + ahead[found]] - start[found]
    return DirectionTargets(
        track=points.label[found],
        frame=points.frame[found],
        frames_ahead=ahead[found],
        angle=np.asarray(heading(displacement.astype(np.float32))),
        displacement_um=(np.linalg.norm(displacement, axis=1) * pixel_size_um).astype(np.float32),
        threshold_um=np.full(len(found), threshold_um, np.float32),
        corner=corner,
        side=side,
        skipped_at_border=skipped,
    )


def direction_crops(
    sequence: CtcSequence, targets: DirectionTargets, *, image_size: int
) -> Iterator[Float32[np.ndarray, "y x"]]:
    """Reads the crops of all targets, in their order, one frame of the movie at a time.

    Args:
        sequence: The movie to which the targets belong.
        targets: Targets with the positions of the crops.
        image_size: Rows and columns of the result, to which the crops are resized by `area_resize`.

    Yields:
        One crop per target, in the movie's own intensities.

    Raises:
        InputError: If a frame cannot be read, or the image size is not positive.
    """
    if image_size < 1:
        raise InputError(f"image_size is {image_size}; an image has at least one pixel.")
    frames, first = np.unique(targets.frame, return_index=True)
    groups = np.split(targets.corner, first[1:])
    progress = tqdm(zip(frames, groups), f"crops of {sequence.name}", len(frames), leave=False, disable=None)
    for frame, corners in progress:
        image = sequence.movie[frame]
        windows = np.lib.stride_tricks.sliding_window_view(image, (targets.side, targets.side))
        yield from area_resize(windows[corners[:, 0], corners[:, 1]], (image_size, image_size))


def area_resize(
    images: Num[np.ndarray, "*batch y x"], shape: tuple[int, int]
) -> Float32[np.ndarray, "*batch new_y new_x"]:
    """Resizes images so that every new pixel is the mean of the area that it covers.

    The mean is exact: pixels that are covered partly are weighted by the covered share, for smaller and for
    larger sizes, so that the mean of the image is preserved. Both directions are a product with a matrix of
    overlaps.

    Args:
        images: Images along the last two axes, of any real type.
        shape: New number of rows and columns.

    Returns:
        The resized images.

    >>> area_resize(np.array([[0, 3, 6]]), (1, 2)).round(3).tolist()
    [[1.0, 5.0]]
    """
    rows, columns = (_overlaps(old, new) for old, new in zip(images.shape[-2:], shape))
    return rows @ images.astype(np.float32) @ columns.T


def _overlaps(old: int, new: int) -> Float32[np.ndarray, "new old"]:
    """The share of every old pixel in the mean of every new one; each row sums to 1."""
    edges = np.arange(new + 1)[:, None] * (old / new)
    left, right = edges[:-1], edges[1:]
    pixel = np.arange(old)
    covered = np.minimum(right, pixel + 1) - np.maximum(left, pixel)
    return (np.maximum(covered, 0) * (new / old)).astype(np.float32)


def _first_beyond(points: Centroids, distance_px: float) -> tuple[Int[np.ndarray, " point"], float]:
    """Number of frames after which each point's track is first farther away than a distance; 0 for never.

    The points are ordered by track, then by frame, and a track has no gap, so that k frames ahead is k rows
    ahead. The second result is the largest distance met on the way.
    """
    ahead = np.zeros(len(points.label), np.int64)
    pending = np.arange(len(ahead))
    farthest, step = 0.0, 0
    while pending.size:
        step += 1
        pending = pending[pending + step < len(ahead)]
        pending = pending[points.label[pending + step] == points.label[pending]]
        dy, dx = (axis[pending + step] - axis[pending] for axis in (points.y, points.x))
        distance = np.hypot(dy, dx)
        farthest = max(farthest, float(distance.max(initial=0.0)))
        beyond = distance > distance_px
        ahead[pending[beyond]] = step
        pending = pending[~beyond]
    return ahead, farthest
