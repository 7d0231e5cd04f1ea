"""Start positions of tracks: the cells of a label image, the new cells of a movie, or given points."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float32, Int, Integer, Real
from numpy.typing import ArrayLike

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology.fragments import without_fragments
from cellmotion_jax.ops.labels import areas_and_centroids, number_cells, tight_boxes
from cellmotion_jax.settings import Positive, check_argument

LARGEST_ID = np.iinfo(np.int32).max


@dataclasses.dataclass(frozen=True, eq=False)
class Seeds:
    """Cells to track, ordered by frame.

    Attributes:
        frame: Frame in which each cell is first seen, counted from 0.
        ids: Labels of the cells, at least 1, all different.
        points: Centre (y, x) of each cell in that frame, in pixels; pixel centres are whole numbers.
        diameters: Equivalent diameter of each mask, sqrt(4 area / pi); NaN if there is no mask.
        boxes: Bounding box of each mask (y0, x0, y1, x1), half-open; NaN if there is no mask.
    """

    frame: Int[np.ndarray, " cell"]
    ids: Int[np.ndarray, " cell"]
    points: Float32[np.ndarray, "cell 2"]
    diameters: Float32[np.ndarray, " cell"]
    boxes: Float32[np.ndarray, "cell 4"]

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, cells: Integer[np.ndarray, " chosen"]) -> Seeds:
        """A subset of the cells, by their indices."""
        return Seeds(*(getattr(self, field.name)[cells] for field in dataclasses.fields(self)))


def seeds_from_labels(labels: Integer[np.ndarray, "..."], *, frame: int = 0) -> Seeds:
    """One seed per label of an image.

    Args:
        labels: Label image [y, x], 0 for background. A label in several pieces is one cell; pieces of a few
            pixels beside a large one count nowhere (`morphology.fragments.without_fragments`).
        frame: Number of the image in its movie.

    Returns:
        The cells in the order of their labels; none where there is no label.

    Raises:
        ValueError: If it is not an image of one channel, or has no pixels.
        InputError: If a label is negative or above 2147483647.

    >>> seeds = seeds_from_labels(np.array([[0, 7, 7], [0, 0, 0]]))
    >>> seeds.ids.tolist(), seeds.points.tolist(), seeds.boxes.tolist()
    ([7], [[0.0, 1.5]], [[0.0, 1.0, 1.0, 3.0]])
    """
    cells = number_cells(labels)
    cells = cells._replace(number=without_fragments(cells.number))
    ids = cells.labels[1:]
    if ids.size and ids[-1] > LARGEST_ID:
        raise InputError(f"labels hold label {ids[-1]}; labels up to {LARGEST_ID} can be followed.")
    area, centroids = areas_and_centroids(cells)
    return Seeds(
        frame=np.full(len(ids), frame),
        ids=ids.astype(np.int64),
        points=centroids.astype(np.float32),
        diameters=np.sqrt(4 * area / np.pi).astype(np.float32),
        boxes=tight_boxes(cells.number, np.arange(1, len(ids) + 1)),
    )


def seeds_of_first_cells(masks: Iterable[Integer[np.ndarray, "y x"] | None]) -> Seeds:
    """One seed per label of the first label image that holds any; images are read one at a time.

    Args:
        masks: Label images of the frames from 0 on; None for a frame whose labels are not used.

    Returns:
        The cells in the order of their labels; none if there is no label in any image.

    Raises:
        InputError: If a label is negative or too large.
    """
    for frame, mask in enumerate(masks):
        if mask is not None and mask.any():
            return seeds_from_labels(mask, frame=frame)
    return seeds_at_points(())


def seeds_at_births(masks: Iterable[Integer[np.ndarray, "y x"]]) -> Seeds:
    """One seed per label of a movie, in the first frame with this label; masks are read one at a time.

    Args:
        masks: Label images of all frames, in which a label names the same cell throughout.

    Returns:
        The cells by frame, those of one frame by label.

    Raises:
        InputError: If no frame holds a label, or a label is negative or too large.
    """
    known: set[int] = set()
    parts = []
    for frame, mask in enumerate(masks):
        seeds = seeds_from_labels(mask, frame=frame)
        born = [position for position, label in enumerate(seeds.ids.tolist()) if label not in known]
        known.update(seeds.ids.tolist())
        parts.append(seeds.select(np.asarray(born, np.intp)))
    if not known:
        raise InputError(f"masks hold no label in any of {len(parts)} frames; there is no cell to follow.")
    columns = ([getattr(part, field.name) for part in parts] for field in dataclasses.fields(Seeds))
    return Seeds(*(np.concatenate(column) for column in columns))


def seeds_at_points(points: Sequence[tuple[float, float]]) -> Seeds:
    """Seeds in frame 0 at given points (y, x), with the ids 1, 2, ..."""
    return seeds_without_masks([0] * len(points), range(1, len(points) + 1), points)


def seeds_without_masks(
    frame: ArrayLike, ids: ArrayLike, points: Sequence[Sequence[float]] | Real[np.ndarray, "cell 2"]
) -> Seeds:
    """Seeds of which only the positions are known; their diameters and boxes are NaN.

    Args:
        frame: Frame in which each cell is first seen.
        ids: Its label.
        points: Its centre (y, x) there, in pixels.

    Returns:
        The cells, in the same order.
    """
    points = np.asarray(points, np.float32).reshape(-1, 2)
    return Seeds(
        frame=np.asarray(frame, np.int64),
        ids=np.asarray(ids, np.int64),
        points=points,
        diameters=np.full(len(points), np.nan, np.float32),
        boxes=np.full((len(points), 4), np.nan, np.float32),
    )


def choose_seeds(
    seeds: Seeds,
    *,
    ids: Sequence[int],
    at: Sequence[tuple[float, float]],
    reach: float,
) -> Seeds:
    """Selects seeds by their ids or by points near them; all if neither is given.

    Args:
        seeds: All cells.
        ids: Labels.
        at: Points (y, x) in pixels; for each point the nearest seed is taken.
        reach: Largest distance of that seed, in pixels.

    Returns:
        The chosen cells in the order of ``seeds``.

    Raises:
        InputError: If there is no such label, or no seed near a point.
    """
    if unknown := sorted(set(ids) - set(seeds.ids.tolist())):
        known = ", ".join(map(str, seeds.ids[:20].tolist())) + (", ..." if len(seeds) > 20 else "")
        raise InputError(f"ids has {unknown[0]}, but the cells to follow are {known}.")
    chosen = set(np.flatnonzero(np.isin(seeds.ids, list(ids))).tolist())
    for y, x in at:
        apart = np.linalg.norm(seeds.points - np.array([y, x]), axis=-1)
        nearest = int(np.argmin(apart))
        if not apart[nearest] <= reach:
            raise InputError(
                f"at has (y, x) = ({y:g}, {x:g}), but the nearest cell, {seeds.ids[nearest]}, begins "
                f"{apart[nearest]:.1f} pixels from there; at most {reach:.1f} are right."
            )
        chosen.add(nearest)
    return seeds.select(np.array(sorted(chosen))) if ids or at else seeds


def typical_diameter(seeds: Seeds, given: float | None) -> float:
    """Diameter of a typical cell in pixels: the user's value, or the median over the masks of the seeds.

    Args:
        seeds: The cells.
        given: Value given by the user, or None.

    Raises:
        InputError: If neither is known, or the given value is not positive.
    """
    if given is not None:
        check_argument("cell-diameter", given, Positive)
        return given
    known = seeds.diameters[np.isfinite(seeds.diameters)]
    if not len(known):
        raise InputError("cell-diameter is needed, as the cells to follow are given by places without masks.")
    return float(np.median(known))
