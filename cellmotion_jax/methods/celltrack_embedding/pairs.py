"""Pairs of windows that show the same cell in two frames: the samples of a tracking embedding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Real
from tqdm import tqdm

from cellmotion_jax.data.ctc import CtcSequence
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.grid import CELL_DIAMETER, grid_frame, grid_zoom, points_to_grid
from cellmotion_jax.methods.celltrack.seeds import seeds_from_labels
from cellmotion_jax.settings import Count, Positive, Range, Settings

FARTHEST = 12.0
"""Largest distance along each axis from the cell to the centre of the second window, in grid pixels."""
_HELD_OUT = 0.15
"""Share of the tracks of a movie that are held out."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairSettings(Settings):
    """Size and number of the pairs."""

    diameter: Positive = CELL_DIAMETER
    """Diameter of a typical cell in grid pixels."""
    side: Annotated[int, Range(64, 2**12)] = 80
    """Rows and columns of a window, in grid pixels."""
    train: Count = 1500
    """Number of training pairs per source."""
    held_out: Count = 96
    """Number of held-out pairs per source, which show other cells."""
    largest_gap: Annotated[int, Range(1, 10**6)] = 6
    """Largest number of frames between the two windows of a pair; most pairs are closer."""


class CellPair(NamedTuple):
    """Two windows with one cell; positions (y, x) are relative to entry ``side // 2``, in grid pixels."""

    first: Float32[np.ndarray, "side side"]
    """Compressed intensities around the cell in an earlier frame."""
    second: Float32[np.ndarray, "side side"]
    """Window in a later frame, around the position of the cell one frame before, or nearer to the cell if it
    has moved far."""
    place: Float32[np.ndarray, " 2"]
    """Position of the cell in the first window."""
    previous: Float32[np.ndarray, " 2"]
    """Position of the cell one frame before the second window, in that window."""
    true: Float32[np.ndarray, " 2"]
    """Position of the cell in the second window."""
    held_out: bool
    """Whether the cell is held out from training."""


class _Cells(NamedTuple):
    """Positions of the cells of a movie."""

    points: Float32[np.ndarray, "frame cell 2"]
    """Centroids in pixels of the movie; NaN where there is no mask."""
    diameter: float
    """Median over all masks."""


def movie_pairs(
    sequence: CtcSequence, *, settings: PairSettings, rng: np.random.Generator
) -> Iterator[CellPair]:
    """Pairs from an annotated movie, in the order of their second frames.

    The position of a cell is the centroid of its mask, of the silver segmentation where a frame has one,
    since tracking masks may be only markers. The frames of a pair lie 1 + e frames apart, e exponential with
    mean ``largest_gap / 2``, if the cell existed already. A track is used either for training or held out.

    Args:
        sequence: The movie; every mask is read once, and a few frames are held in memory.
        settings: Size and number of the pairs.
        rng: Source of all randomness.

    Yields:
        ``train + held_out`` pairs; if a movie has fewer, some occur more than once.

    Raises:
        InputError: If fewer than two tracks are seen in two successive frames, or a file is damaged.
    """
    cells = _read_cells(sequence)
    draws = _draw(cells, settings, rng, name=sequence.full_name)
    zoom = grid_zoom(cells.diameter, wanted=settings.diameter)
    points = points_to_grid(cells.points, shape=sequence.movie.shape, zoom=zoom)
    recent: dict[int, Float32[np.ndarray, "y x"]] = {}

    def on_grid(frame: int) -> Float32[np.ndarray, "y x"]:
        if frame not in recent:
            recent[frame] = grid_frame(sequence.movie[frame], zoom)
        return recent[frame]

    for earlier, later, cell, held_out in tqdm(
        draws, desc=f"pairs of {sequence.full_name}", disable=None, leave=False
    ):
        for frame in [frame for frame in recent if frame < later - settings.largest_gap]:
            del recent[frame]
        yield cut_pair(
            on_grid(earlier),
            on_grid(later),
            points[earlier, cell],
            points[later - 1, cell],
            points[later, cell],
            side=settings.side,
            held_out=held_out,
        )


def cut_pair(
    first: Real[np.ndarray, "y x"],
    second: Real[np.ndarray, "v u"],
    place: Float[np.ndarray, " 2"],
    previous: Float[np.ndarray, " 2"],
    true: Float[np.ndarray, " 2"],
    *,
    side: int,
    held_out: bool,
) -> CellPair:
    """Cuts both windows around whole pixels; beyond the border the nearest pixel is repeated."""
    centre = np.round(place)
    # Far movers stay within the window, as if the tracker had followed them half the way.
    around = np.clip(np.round(previous), np.round(true) - FARTHEST, np.round(true) + FARTHEST)
    return CellPair(
        first=_window(first, centre.astype(int), side),
        second=_window(second, around.astype(int), side),
        place=(place - centre).astype(np.float32),
        previous=(previous - around).astype(np.float32),
        true=(true - around).astype(np.float32),
        held_out=held_out,
    )


def _window(image: Real[np.ndarray, "y x"], centre: Int[np.ndarray, " 2"], side: int) -> np.ndarray:
    rows, columns = (
        np.clip(middle + np.arange(side) - side // 2, 0, size - 1)
        for middle, size in zip(centre, image.shape)
    )
    return image[rows[:, None], columns[None, :]].astype(np.float32)


def _read_cells(sequence: CtcSequence) -> _Cells:
    """Centroids and diameter of the masks of all frames."""
    frames, tracks = len(sequence.movie), sequence.tracks
    points = np.full((frames, len(tracks), 2), np.nan, np.float32)
    diameters = []
    order = np.argsort(tracks.label)
    for frame in tqdm(range(frames), desc=f"masks of {sequence.full_name}", disable=None, leave=False):
        silver = sequence.silver_mask(frame)
        cells = seeds_from_labels(sequence.tracking_mask(frame) if silver is None else silver)
        known = np.flatnonzero(np.isin(cells.ids, tracks.alive(frame)))
        column = order[np.searchsorted(tracks.label, cells.ids[known], sorter=order)]
        points[frame, column] = cells.points[known]
        diameters.append(cells.diameters[known])
    every = np.concatenate(diameters)
    if not every.size:
        raise InputError(f"{sequence.full_name} has no mask with a cell of its track table.")
    return _Cells(points, float(np.median(every)))


def _draw(
    cells: _Cells, settings: PairSettings, rng: np.random.Generator, *, name: str
) -> Sequence[tuple[int, int, int, bool]]:
    """Earlier frame, later frame, cell, and whether it is held out, in the order of the later frame."""
    seen: Bool[np.ndarray, "frame cell"] = np.isfinite(cells.points[..., 0])
    later, cell = np.nonzero(seen[1:] & seen[:-1])
    later += 1
    followed = rng.permutation(np.unique(cell))
    if len(followed) < 2:
        raise InputError(
            f"{name} has {len(followed)} tracks that are seen in two successive frames; at least 2 are "
            "needed, one to learn from and one to test on."
        )
    aside = np.isin(cell, followed[: max(1, round(_HELD_OUT * len(followed)))])
    draws = []
    for held_out, count in ((False, settings.train), (True, settings.held_out)):
        for index in rng.choice(np.flatnonzero(aside == held_out), count):
            t, c = int(later[index]), int(cell[index])
            gap = min(1 + int(rng.exponential(settings.largest_gap / 2)), settings.largest_gap, t)
            draws.append((t - gap if seen[t - gap, c] else t - 1, t, c, held_out))
    return sorted(draws, key=lambda draw: draw[1])
