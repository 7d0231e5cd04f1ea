"""Tracking of all cells of a movie on disk, with a few frames in memory at a time.

movie = open_movie("Fluo-N2DL-HeLa/01")
seeds = read_seed_file("first_frame_labels.tif", shape=movie.shape)
result = track_movie(movie, seeds, Tracker(exclusion=Exclusion()), diameter=20.0)
write_track_table("tracks.csv", result.tracks)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tqdm
from jaxtyping import Array, Bool, Float, Float32, Num

from cellmotion_jax.data.blank_frames import BlankFrame, FrameTest, all_blank, every_frame
from cellmotion_jax.data.movie import Movie, read_finite
from cellmotion_jax.errors import InputError
from cellmotion_jax.memory import require_memory
from cellmotion_jax.methods.celltrack.filters_file import LearnedFilters, learned_filters
from cellmotion_jax.methods.celltrack.grid import (
    CELL_DIAMETER,
    grid_frame,
    grid_shape,
    grid_zoom,
    points_to_grid,
    to_grid,
)
from cellmotion_jax.methods.celltrack.live import FilterView, empty_filter_view, filter_view
from cellmotion_jax.methods.celltrack.recorder import TrackRecorder
from cellmotion_jax.methods.celltrack.seeds import Seeds, seeds_without_masks
from cellmotion_jax.methods.celltrack.tracks import Tracks
from cellmotion_jax.tracking import (
    Births,
    Exclusion,
    Observation,
    Tracker,
    TrackState,
    empty_state,
    skip,
    step,
)

FEWEST_SLOTS = 8

Detect = Callable[[int, Num[np.ndarray, "y x"]], Float[np.ndarray, "cell 2"]]
"""Function of the number and the image of a frame that returns the positions (y, x) of its cells, in image
pixels."""


class TrackedMovie(NamedTuple):
    """Result of tracking a movie."""

    tracks: Tracks
    """The tracks, in image pixels."""
    zoom: float
    """Grid pixels per image pixel."""
    filters: LearnedFilters
    """Filters of the cells that are followed at the end."""
    filter_views: tuple[FilterView, ...]
    """Window and response of the watched cell in every frame; empty if none was watched."""
    blank: tuple[BlankFrame, ...] = ()
    """Frames without information."""


class _Born(NamedTuple):
    """Cells that begin in one frame, with positions (y, x) in grid pixels."""

    identity: np.ndarray
    position: np.ndarray


def track_movie(
    movie: Movie,
    seeds: Seeds,
    tracker: Tracker,
    *,
    diameter: float,
    grid_diameter: float = CELL_DIAMETER,
    detect: Detect | None = None,
    watch: int | None = None,
    test: FrameTest = every_frame,
    chunk: int = 8,
) -> TrackedMovie:
    """Tracks cells through a movie.

    Frames are resized to a grid on which cells are 16 pixels across and, where the features want it,
    compressed (`grid.grid_frame`); the lengths of the tracker's settings are grid pixels. They are sent to
    the device in chunks, and all cells are tracked in one program, which is compiled once for each number of
    slots and size of frames: the number of slots is a power of two and doubles when cells are born and none
    is free, whereupon the chunk is repeated. Except for the table of tracks, memory does not grow with the
    length of the movie.

    With a detector, tracks also begin at cells that are not in ``seeds``: after the tracking of a frame, each
    detection whose distance to all tracks in this frame is larger than the radius of the tracker's exclusion
    (or that of `Exclusion()`) is a new cell, and the frame is tracked again with it from the state before. A
    new track therefore also begins at a cell that its track has left for another cell, and at every false
    detection, which `ConfidenceSettings.patience` may end.

    Args:
        movie: Grey frames.
        seeds: Cells to track and the frames in which they begin; it may be empty if there is a detector.
        tracker: The configuration.
        diameter: Diameter of a typical cell in pixels of the image.
        grid_diameter: Diameter of a typical cell in grid pixels; learned features need the value of their
            training.
        detect: Detector of the cells of a frame; None tracks only ``seeds``.
        watch: Id of a seed whose window and response are recorded; this keeps 20 kB per frame for a window of
            48.
        test: Test of the frames for information, usually `data.blank_frames.frame_test` of the movie; by
            default all frames are used.
        chunk: Frames per call of the compiled program; with a detector or a cell to watch it is 1.

    Returns:
        Tracks, filters, recorded views, and the frames without information.

    Raises:
        InputError: If no frame has information, there is nothing to track, a seed is outside the image or
            after the end of the movie, the watched cell is none of the seeds, the diameter is not positive,
            or a frame has pixels that are not finite.
    """
    zoom = grid_zoom(diameter, wanted=grid_diameter)
    prepare = grid_frame if tracker.features.compressed else to_grid
    _check(movie, seeds, detect, watch)
    shape = grid_shape(movie.shape, zoom)
    recorder = TrackRecorder(shape=movie.shape, zoom=zoom, diameter=diameter)
    recorder.begin(seeds)
    planned = points_to_grid(seeds.points, shape=movie.shape, zoom=zoom)
    state = empty_state(tracker, slots=FEWEST_SLOTS, shape=shape)
    length = chunk if detect is None and watch is None else 1
    newest = int(seeds.ids.max(initial=0))
    filter_views: list[FilterView] = []
    blank: list[BlankFrame] = []
    waiting = _Born(np.zeros(0, np.int64), np.zeros((0, 2), np.float32))
    with tqdm.tqdm(total=len(movie), unit="frame", dynamic_ncols=True, disable=None) as progress:
        for first in range(0, len(movie), length):
            numbers = range(first, min(first + length, len(movie)))
            images = [read_finite(movie, number) for number in numbers]
            reasons = [test(image) for image in images]
            frames = np.zeros((len(images), *shape), np.float32)
            born: list[_Born] = []
            for at, (number, reason) in enumerate(zip(numbers, reasons)):
                starts = seeds.frame == number
                waiting = _both(waiting, _Born(seeds.ids[starts], planned[starts]))
                if reason is None:
                    frames[at] = prepare(images[at], zoom)
                    born.append(waiting)
                    waiting = _Born(waiting.identity[:0], waiting.position[:0])
                else:
                    blank.append(BlankFrame(number, movie.frame_names[number], reason))
                    born.append(_Born(waiting.identity[:0], waiting.position[:0]))
                    recorder.wait(number, waiting.identity, waiting.position)
            empty = np.array([reason is not None for reason in reasons])
            before = state
            state, seen = _advance(tracker, before, frames, born, empty, length=length)
            if detect is not None and not empty[0]:
                found = np.asarray(detect(first, images[0]), np.float32).reshape(-1, 2)
                places = points_to_grid(found, shape=movie.shape, zoom=zoom)
                new = _far_from_tracks(places, seen, tracker.exclusion or Exclusion())
                if new.any():
                    ids = newest + 1 + np.arange(new.sum())
                    newest = int(ids[-1])
                    recorder.begin(seeds_without_masks([first] * len(ids), ids, found[new]))
                    born = [_both(born[0], _Born(ids, places[new]))]
                    state, seen = _advance(tracker, before, frames, born, empty, length=length)
            if not _are_finite(state.filters):
                raise InputError(
                    f"{movie.path}: the filters learned in frames {first} to {numbers[-1]} are NaN or "
                    "infinite; the pixels of these frames, or the weights of the model, are too large."
                )
            recorder.add(first, seen)
            if watch is not None:
                last = filter_views[-1].centre if filter_views else planned[seeds.ids == watch][0]
                filter_views.append(_watch(tracker, (before, state), frames[0], watch, last))
            progress.update(len(numbers))
    if len(blank) == len(movie):
        raise InputError(all_blank(movie, blank[0].reason))
    if not newest:
        raise InputError(f"{movie.path} has {len(movie)} frames in which no cell was found to follow.")
    return TrackedMovie(
        recorder.tracks(len(movie)), zoom, learned_filters(state), tuple(filter_views), tuple(blank)
    )


def _both(first: _Born, second: _Born) -> _Born:
    return _Born(*map(np.concatenate, zip(first, second)))


def _check(movie: Movie, seeds: Seeds, detect: Detect | None, watch: int | None) -> None:
    if not len(seeds) and detect is None:
        raise InputError(f"seeds hold no cell to follow in {movie.path}; give at least one, or a detector.")
    inside = (seeds.points >= -0.5) & (seeds.points < np.array(movie.shape) - 0.5)
    for cell in np.flatnonzero(~inside.all(axis=-1))[:1]:
        y, x = seeds.points[cell]
        raise InputError(
            f"cell {seeds.ids[cell]} seeds at (y, x) = ({y:g}, {x:g}), which is outside the image of "
            f"{movie.shape[0]} x {movie.shape[1]} pixels."
        )
    for cell in np.flatnonzero((seeds.frame < 0) | (seeds.frame >= len(movie)))[:1]:
        raise InputError(
            f"cell {seeds.ids[cell]} seeds in frame {seeds.frame[cell]}, but {movie.path} has the frames "
            f"0 to {len(movie) - 1}."
        )
    if watch is not None and watch not in seeds.ids:
        raise InputError(
            f"cell {watch} is to be watched, but it is none of the {len(seeds)} cells to follow."
        )


@jax.jit
def _are_finite(tree: Any) -> Bool[Array, ""]:
    """Whether all leaves are; without that, cells would be reported lost that were never searched."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()


def _far_from_tracks(
    places: Float32[np.ndarray, "cell 2"], seen: Observation, exclusion: Exclusion
) -> Bool[np.ndarray, " cell"]:
    """Whether a point is far from all tracks of a frame."""
    tracks = seen.position[0][seen.identity[0] > 0]
    apart = np.linalg.norm(places[:, None] - tracks[None], axis=-1)
    return (apart >= exclusion.radius).all(axis=1)


def _advance(
    tracker: Tracker,
    state: TrackState,
    frames: Float32[np.ndarray, "time y x"],
    born: Sequence[_Born],
    empty: Bool[np.ndarray, " time"],
    *,
    length: int,
) -> tuple[TrackState, Observation]:
    """Tracks through a chunk with as many slots as needed; the observation is NumPy, without the padding."""
    shape, count = frames.shape[1:], len(frames)
    real = np.arange(length) < count
    frames = np.pad(frames, ((0, length - count), (0, 0), (0, 0)), mode="edge")
    empty = np.pad(empty, (0, length - count), constant_values=True)
    slots = len(state.identity)
    while True:
        while slots < max(len(cells.identity) for cells in born):
            slots *= 2
        known = state if slots == len(state.identity) else _with_slots(tracker, state, slots, shape)
        # As many places for births as slots: one compiled program for all of a movie.
        identity, position = np.zeros((length, slots), np.int32), np.zeros((length, slots, 2), np.float32)
        for number, cells in enumerate(born):
            identity[number, : len(cells.identity)] = cells.identity
            position[number, : len(cells.identity)] = cells.position
        births = Births(jnp.asarray(identity), jnp.asarray(position))
        moved, seen = _follow(
            tracker, known, jnp.asarray(frames), births, jnp.asarray(empty), jnp.asarray(real)
        )
        seen = Observation(*(column[:count] for column in jax.device_get(seen)))
        if not seen.dropped.any():
            return moved, seen
        slots *= 2


def _with_slots(tracker: Tracker, state: TrackState, slots: int, shape: tuple[int, ...]) -> TrackState:
    """The same state with more free slots.

    Raises:
        InputError: If the memory is too small for so many.
    """
    require_memory(
        needed_memory(tracker, state, slots=slots),
        what=f"Tracking of {slots} cells at once",
        instead="follow fewer, chosen with ids or at, or let them not compete for places (--no-compete)",
    )
    empty = empty_state(tracker, slots=slots, shape=(shape[0], shape[1]))
    return jax.tree.map(lambda new, old: new.at[: len(old)].set(old), empty, state)


def needed_memory(tracker: Tracker, state: TrackState, *, slots: int) -> int:
    """An estimate of the bytes that the tracking of a chunk of frames takes.

    The windows of a cell are copied some six times on their way from the frame to the response, in every
    scale that is tried. Where cells compete for places, every place of a cell is compared with every place of
    all others. The factors are those that XLA reports of compiled programs with 64 to 32,768 slots.

    Args:
        tracker: The configuration.
        state: The state with another number of slots.
        slots: Number of cells that are followed at the same time.

    Returns:
        Bytes.
    """
    kept = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) * slots / len(state.identity)
    peaks = 0 if tracker.exclusion is None else tracker.exclusion.peaks
    pairs = (1.5 * peaks**2 + 15 * peaks + 9) * slots**2 if peaks else 0.0
    return int((4 + 2 * len(tracker.scales)) * kept + pairs)


@jax.jit
def _follow(
    tracker: Tracker,
    state: TrackState,
    frames: Float[Array, "time y x"],
    births: Births,
    empty: Bool[Array, " time"],
    real: Bool[Array, " time"],
) -> tuple[TrackState, Observation]:
    """`tracking.follow` over frames of which some are empty, and the last may be padding.

    An empty frame is skipped; padding does not change the state.
    """
    shape = frames.shape[1:]

    def scanned(
        carry: TrackState, inputs: tuple[Array, Births, Array, Array]
    ) -> tuple[TrackState, Observation]:
        frame, born, without, counts = inputs
        moved, seen = jax.lax.cond(
            without,
            lambda: skip(tracker, carry, (shape[0], shape[1])),
            lambda: step(tracker, carry, frame, born),
        )
        return jax.tree.map(lambda new, old: jnp.where(counts, new, old), moved, carry), seen

    return jax.lax.scan(scanned, state, (frames, births, empty, real))


def _watch(
    tracker: Tracker,
    states: tuple[TrackState, TrackState],
    frame: Float32[np.ndarray, "y x"],
    watch: int,
    last: Float32[np.ndarray, " 2"],
) -> FilterView:
    """View of a cell's filter, with the state before the frame or, if the cell is born in it, after it."""
    for state in states:
        slot = np.flatnonzero(np.asarray(state.identity) == watch)
        # A track that ended in this frame is not followed in it.
        if slot.size and watch in np.asarray(states[1].identity):
            return filter_view(tracker, state, frame, int(slot[0]))
    return empty_filter_view(tracker, frame, last)
