"""Reading of the cells to track from label images and tables."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
import pathlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from cellmotion_jax.data.ctc_masks import MAX_WRITTEN_LABEL
from cellmotion_jax.data.label_images import open_labels
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.tiff import read_header, read_plane, whole_labels
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import read_text, whole_number
from cellmotion_jax.methods.celltrack.seeds import (
    LARGEST_ID,
    Seeds,
    choose_seeds,
    seeds_at_births,
    seeds_at_points,
    seeds_from_labels,
    seeds_without_masks,
    typical_diameter,
)
from cellmotion_jax.methods.celltrack.track_movie import Detect
from cellmotion_jax.settings import Positive, Settings

MOST_CELLS = 10**6
"""Rows of a table of positions that are read."""
_COLUMNS = ("y", "x", "id", "frame")
_NUMBER = re.compile(
    r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,4})?|[+-]?(nan|inf)", re.ASCII | re.I
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartSettings(Settings):
    """Settings for the start of tracks: which cells are tracked, and where they begin."""

    start: pathlib.Path | None = None
    """Cells to track: a TIFF label image of frame 0; a CSV table with the columns y, x and, optionally, id
    and frame; or a folder of label images of all frames, in which a label is the same cell in all frames."""
    every_birth: bool = False
    """Also track cells that appear later: with a folder as --start every new label, otherwise every segment
    of --segmentation that has no track."""
    ids: tuple[int, ...] = ()
    """Track only the cells with these labels."""
    at: tuple[tuple[float, float], ...] = ()
    """Track only the cells at these start points, Y X [Y X ...]; without --start and --segmentation, new
    tracks begin at these points."""
    segmentation: pathlib.Path | None = None
    """Folder of label images of all frames that are segmented but not tracked, as `cellmotion segment` writes
    them. The result maskT.tif then holds these segments with the ids of the tracks, instead of discs."""
    cell_diameter: Positive | None = None
    """Diameter of a typical cell in pixels; default is the median over the masks in which tracks begin, which
    is too small if the masks are only markers."""


class Start(NamedTuple):
    """Seeds, cell diameter and segmentation with which the tracking of a movie starts."""

    seeds: Seeds
    """Cells to follow."""
    diameter: float
    """Diameter of a typical cell in pixels."""
    segmentation: Movie | None
    """Label images whose segments get the ids of the tracks."""
    detect: Detect | None
    """Detector that returns the centres of segments, if new cells are taken from them."""


def read_start(settings: StartSettings, movie: Movie) -> Start:
    """Reads the cells to track and where their tracks begin.

    Args:
        settings: Settings of the user.
        movie: The movie.

    Returns:
        At least one cell, or segments from which new cells are taken.

    Raises:
        InputError: If a file or folder cannot be used, no start of tracks is given, there is no cell, an id
            is too large for a result, the cell size is not known, or settings contradict each other.
    """
    if settings.segmentation is not None and settings.segmentation.suffix == ".safetensors":
        raise InputError(
            f"{settings.segmentation} is a model's file, which is no segmentation; give the folder of "
            "label images that `cellmotion segment` makes with it, or link them: --by linking."
        )
    labels = None if settings.segmentation is None else open_labels(settings.segmentation, movie)
    start, at, every_birth = settings.start, settings.at, settings.every_birth
    of_folder = start is not None and os.path.isdir(start)
    if every_birth and labels is None and not of_folder:
        raise InputError(
            "every-birth needs to know of births: give a folder of label images as start or as segmentation."
        )
    if start is not None:
        seeds = read_seeds(start, movie, every_birth=every_birth)
    elif labels is not None:
        seeds = seeds_from_labels(labels[0])
    elif at:
        seeds, at = seeds_at_points(at), ()
    else:
        raise InputError("start is missing; give start, segmentation, or places with at to begin from.")
    if not len(seeds) and not (every_birth and labels is not None):
        raise InputError(
            "there is no cell to follow where cells begin; give an image with at least one label."
        )
    if len(seeds) and seeds.ids.max() > MAX_WRITTEN_LABEL:
        raise InputError(
            f"a cell of {start or 'the segmentation'} has the id {seeds.ids.max()}; a result of the Cell "
            f"Tracking Challenge holds ids up to {MAX_WRITTEN_LABEL}."
        )
    diameter = typical_diameter(seeds, settings.cell_diameter)
    seeds = choose_seeds(seeds, ids=settings.ids, at=at, reach=diameter)
    if labels is None or not every_birth or of_folder:
        return Start(seeds, diameter, labels, None)
    if settings.ids or settings.at:
        raise InputError("every-birth follows all cells of the segmentation; leave out ids and at.")
    return Start(seeds, diameter, labels, lambda frame, image: seeds_from_labels(labels[frame]).points)


def read_seeds(start: pathlib.Path, movie: Movie, *, every_birth: bool) -> Seeds:
    """Reads the cells to track from a label image, a table, or the label images of the whole movie.

    Args:
        start: A file as `read_seed_file` takes it, or a folder of label images.
        movie: The movie.
        every_birth: For a folder: take every label at its first occurrence, not only the labels of the first
            image.

    Returns:
        At least one cell.

    Raises:
        InputError: If the file or folder cannot be used.
    """
    if not os.path.isdir(start):
        seeds = read_seed_file(start, shape=movie.shape)
        if seeds.frame.max() >= len(movie):
            raise InputError(
                f"{start} has a cell in frame {seeds.frame.max()}, but {movie.path} has the frames 0 to "
                f"{len(movie) - 1}."
            )
        return seeds
    labels = open_labels(start, movie)
    try:
        seeds = seeds_at_births(iter(labels)) if every_birth else seeds_from_labels(labels[0])
    except InputError as error:
        raise InputError(f"{start}: {error}") from error
    if not len(seeds):
        raise InputError(f"{start / labels.frame_names[0]} holds no cell; give at least one to follow.")
    return seeds


def read_seed_file(path: str | os.PathLike[str], *, shape: tuple[int, int]) -> Seeds:
    """Reads the cells to track from a label image or a table of positions.

    A TIFF label image holds the cells of frame 0. A CSV table has the columns ``y`` and ``x`` in pixels, and,
    optionally, ``id``, a whole number of at least 1 that occurs once (default: the number of the row, from
    1), and ``frame``, the frame in which the track begins (default 0), in small letters or capitals. Other
    columns are ignored.

    Args:
        path: A file that ends in ``.tif``, ``.tiff`` or ``.csv``.
        shape: Size (y, x) of the frames of the movie. Valid positions are from -0.5 to below size - 0.5.

    Returns:
        The cells, at least one, by frame.

    Raises:
        InputError: If the file is absent, damaged or of another kind, the image has another size than the
            movie, a position is outside the image or no number, or there is no cell.
    """
    path = pathlib.Path(path)
    kind = path.suffix.lower()
    if kind not in (".tif", ".tiff", ".csv"):
        raise InputError(f"{path} is neither a TIFF label image nor a CSV table with the columns y and x.")
    seeds = _read_table(path, shape) if kind == ".csv" else _read_image(path, shape)
    if not len(seeds):
        raise InputError(f"{path} holds no cell; give at least one to follow.")
    return seeds


def _read_image(path: pathlib.Path, shape: tuple[int, int]) -> Seeds:
    header = read_header(path)
    if header.planes > 1:
        raise InputError(f"{path} holds {header.planes} planes; the cells to follow are one label image.")
    if header.shape != shape:
        raise InputError(
            f"{path} has {header.shape[0]} x {header.shape[1]} pixels, but the frames of the movie have "
            f"{shape[0]} x {shape[1]}."
        )
    try:
        return seeds_from_labels(whole_labels(read_plane(header), "the image"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_table(path: pathlib.Path, shape: tuple[int, int]) -> Seeds:
    # Spreadsheets put a byte order mark before the first name.
    text = read_text(path, what="a CSV table of positions with the columns y and x")
    table = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    cells, lines = [], {}
    try:
        table.fieldnames = [name.strip().lower() for name in table.fieldnames or ()]
        if not {"y", "x"} <= set(table.fieldnames or ()):
            names = ",".join(table.fieldnames or ())
            raise InputError(
                f"{path} has the columns {names[:80]!r}; expected y,x and if you like id and frame, "
                "separated by commas."
            )
        for name in _COLUMNS:
            if list(table.fieldnames or ()).count(name) > 1:
                raise InputError(f"{path} has the column {name} twice; keep one of them.")
        for number, row in enumerate(table, start=1):
            line = f"{path} line {table.line_num}"
            if number > MOST_CELLS:
                raise InputError(f"{path} has more than {MOST_CELLS:,} rows, the most that are read.")
            # A comma for the decimal point would move all that follows it to other columns.
            if None in row:
                raise InputError(
                    f"{line} has more values than the {len(table.fieldnames or ())} columns; numbers are "
                    "written "
                    "with a point and separated by commas."
                )
            frame, label, y, x = _parse(row, number, line, shape)
            if label in lines:
                raise InputError(f"{line} has the id {label} again (first: {path} line {lines[label]}).")
            lines[label] = table.line_num
            cells.append((frame, label, (y, x)))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV table ({error}); it should list positions as y,x.") from error
    cells.sort(key=lambda cell: cell[0])
    return seeds_without_masks(
        [frame for frame, *_ in cells], [label for _, label, *_ in cells], [point for *_, point in cells]
    )


def _parse(
    row: Mapping[str, str | None], number: int, line: str, shape: tuple[int, int]
) -> tuple[int, int, float, float]:
    """Frame, id and position of one row; ``number`` is the default id."""
    texts = [row[name] or "" for name in ("y", "x")]
    if not all(_NUMBER.fullmatch(text.strip()) for text in texts):
        y, x = (repr(row[name])[:40] for name in ("y", "x"))
        raise InputError(f"{line} has y {y} and x {x}; both are numbers.")
    y, x = (float(text) for text in texts)
    # An image covers half a pixel on all sides of its pixel centres.
    if not all(math.isfinite(value) and -0.5 <= value < size - 0.5 for value, size in zip((y, x), shape)):
        raise InputError(
            f"{line} has the position (y, x) = ({y:g}, {x:g}), which is outside the image of "
            f"{shape[0]} x {shape[1]} pixels."
        )
    label = _whole(row, "id", number, line, smallest=1)
    return _whole(row, "frame", 0, line, smallest=0), label, y, x


def _whole(row: Mapping[str, str | None], name: str, absent: int, line: str, *, smallest: int) -> int:
    if name not in row:
        return absent
    number = whole_number(row[name] or "")
    if number is None or not smallest <= number <= LARGEST_ID:
        shown = repr(row[name])[:40]
        raise InputError(
            f"{line} has the {name} {shown}; it is a whole number from {smallest} on, up to {LARGEST_ID}."
        )
    return number
