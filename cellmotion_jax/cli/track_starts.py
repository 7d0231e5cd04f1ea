"""Which cells ``cellmotion track`` follows, and from where on."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Integer

from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.data.starts import Starts, read_starts, starts_at_births, starts_from_labels
from cellmotion_jax.errors import InputError


def open_labels(folder: pathlib.Path, movie: Movie) -> Movie:
    """Opens the label images of a movie, one per frame.

    Args:
        folder: Folder of TIFF files, or a stack.
        movie: The movie they are of.

    Returns:
        The label images.

    Raises:
        InputError: If they are not whole numbers, or not as many or of the same size as the frames.
    """
    labels = open_movie(folder)
    if labels.dtype.kind not in "ui":
        raise InputError(f"{folder} holds images of {labels.dtype}; labels are whole numbers (uint16).")
    if (len(labels), labels.shape) != (len(movie), movie.shape):
        raise InputError(
            f"{folder} holds {len(labels)} label images of {labels.shape[0]} x {labels.shape[1]} pixels, but "
            f"{movie.path} {len(movie)} frames of {movie.shape[0]} x {movie.shape[1]}."
        )
    return labels


def read_all(movie: Movie) -> Iterator[Integer[np.ndarray, "y x"]]:
    """The frames one after the other."""
    return (movie[frame] for frame in range(len(movie)))


def find_starts(start: pathlib.Path, movie: Movie, *, every_birth: bool) -> Starts:
    """Reads the cells to follow from a label image, a table, or the label images of the whole movie.

    Args:
        start: A file as `data.starts.read_starts` takes it, or a folder of label images.
        movie: The movie.
        every_birth: Of a folder, take every label where it first occurs, not only those of the first image.

    Returns:
        At least one cell.

    Raises:
        InputError: If the file or folder does not hold that.
    """
    if not start.is_dir():
        return read_starts(start, shape=movie.shape)
    labels = open_labels(start, movie)
    try:
        starts = starts_at_births(read_all(labels)) if every_birth else starts_from_labels(labels[0])
    except InputError as error:
        raise InputError(f"{start}: {error}") from error
    if not len(starts):
        raise InputError(f"{start / labels.frame_names[0]} holds no cell; give at least one to follow.")
    return starts


def starts_at_points(points: Sequence[tuple[float, float]]) -> Starts:
    """Cells that begin in frame 0 at given places (y, x), with the ids 1, 2, ..."""
    count = len(points)
    return Starts(
        frame=np.zeros(count, np.int64),
        ids=np.arange(1, count + 1),
        points=np.array(points, np.float32).reshape(-1, 2),
        diameters=np.full(count, np.nan, np.float32),
        boxes=np.full((count, 4), np.nan, np.float32),
    )


def choose_starts(
    starts: Starts,
    *,
    ids: Sequence[int],
    at: Sequence[tuple[float, float]],
    reach: float,
) -> Starts:
    """Some of the cells, by their ids or by places at which one begins; all if neither is given.

    Args:
        starts: All cells.
        ids: Labels.
        at: Places (y, x) in pixels; of each the cell that begins nearest to it is taken.
        reach: How far that cell's centre may be, in pixels.

    Returns:
        The chosen cells in the order of ``starts``.

    Raises:
        InputError: If there is no such label, or no cell near a place.
    """
    if unknown := sorted(set(ids) - set(starts.ids.tolist())):
        known = ", ".join(map(str, starts.ids[:20].tolist())) + (", ..." if len(starts) > 20 else "")
        raise InputError(f"ids has {unknown[0]}, but the cells to follow are {known}.")
    chosen = set(np.flatnonzero(np.isin(starts.ids, list(ids))).tolist())
    for y, x in at:
        apart = np.linalg.norm(starts.points - np.array([y, x]), axis=-1)
        nearest = int(np.argmin(apart))
        if not apart[nearest] <= reach:
            raise InputError(
                f"at has (y, x) = ({y:g}, {x:g}), but the nearest cell, {starts.ids[nearest]}, begins "
                f"{apart[nearest]:.1f} pixels from there; at most {reach:.1f} are right."
            )
        chosen.add(nearest)
    return starts.select(np.array(sorted(chosen))) if ids or at else starts


def typical_diameter(starts: Starts, given: float | None) -> float:
    """Pixels across a typical cell: what the user says, or the median of the masks where cells begin.

    Args:
        starts: The cells.
        given: By the user.

    Raises:
        InputError: If neither is known, or what is given is not positive.
    """
    if given is not None:
        if not 0 < given < float("inf"):
            raise InputError(f"cell-diameter is {given}; it is a positive number of pixels.")
        return given
    known = starts.diameters[np.isfinite(starts.diameters)]
    if not len(known):
        raise InputError("cell-diameter is needed, as the cells to follow are given by places without masks.")
    return float(np.median(known))
