"""Which cells ``cellmotion track`` follows, and from where on."""

from __future__ import annotations

import csv
import math
import os
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Integer

from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.data.tiff import read_header, read_plane
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.seeds import LARGEST_ID, Seeds, seeds_at_births, seeds_from_labels


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


def read_seeds(start: pathlib.Path, movie: Movie, *, every_birth: bool) -> Seeds:
    """Reads the cells to follow from a label image, a table, or the label images of the whole movie.

    Args:
        start: A file as `methods.celltrack.seeds_file.read_seed_file` takes it, or a folder of label images.
        movie: The movie.
        every_birth: Of a folder, take every label where it first occurs, not only those of the first image.

    Returns:
        At least one cell.

    Raises:
        InputError: If the file or folder does not hold that.
    """
    if not start.is_dir():
        return read_seed_file(start, shape=movie.shape)
    labels = open_labels(start, movie)
    try:
        seeds = seeds_at_births(read_all(labels)) if every_birth else seeds_from_labels(labels[0])
    except InputError as error:
        raise InputError(f"{start}: {error}") from error
    if not len(seeds):
        raise InputError(f"{start / labels.frame_names[0]} holds no cell; give at least one to follow.")
    return seeds


def read_seed_file(path: str | os.PathLike[str], *, shape: tuple[int, int]) -> Seeds:
    """Reads the cells to follow from a label image or a table of positions.

    A TIFF label image holds the cells of frame 0. A CSV table has the columns ``y`` and ``x`` in pixels, and
    if it likes ``id``, a whole number from 1 on that is there once (without it rows count from 1), and
    ``frame``, the frame in which to begin (0 without it). Other columns are passed over.

    Args:
        path: A file that ends in ``.tif``, ``.tiff`` or ``.csv``.
        shape: Size (y, x) of the frames of the movie. It covers positions from -0.5 to below size - 0.5.

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
    if header.planes > 1 or header.dtype.kind not in "ui":
        raise InputError(
            f"{path} holds {header.planes} planes of {header.dtype.name}; the cells to follow are one label "
            "image of whole numbers."
        )
    if header.shape != shape:
        raise InputError(
            f"{path} has {header.shape[0]} x {header.shape[1]} pixels, but the frames of the movie have "
            f"{shape[0]} x {shape[1]}."
        )
    try:
        return seeds_from_labels(read_plane(header))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_table(path: pathlib.Path, shape: tuple[int, int]) -> Seeds:
    try:
        # Spreadsheets put a byte order mark before the first name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, skipinitialspace=True)
            if not {"y", "x"} <= set(table.fieldnames or ()):
                names = ",".join(table.fieldnames or ())
                raise InputError(
                    f"{path} has the columns {names!r}; expected y,x and if you like id and frame, "
                    "separated by commas."
                )
            cells, lines = [], {}
            for number, row in enumerate(table, start=1):
                line = f"{path} line {table.line_num}"
                frame, label, y, x = _parse(row, number, line, shape)
                if label in lines:
                    raise InputError(f"{line} has the id {label} again (first: {lines[label]}).")
                lines[label] = line
                cells.append((frame, label, y, x))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); it should list positions.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV table ({error}); it should list positions as y,x.") from error
    cells.sort(key=lambda cell: cell[0])
    return Seeds(
        frame=np.array([frame for frame, *_ in cells], np.int64),
        ids=np.array([label for _, label, *_ in cells], np.int64),
        points=np.array([point for *_, y, x in cells for point in (y, x)], np.float32).reshape(-1, 2),
        diameters=np.full(len(cells), np.nan, np.float32),
        boxes=np.full((len(cells), 4), np.nan, np.float32),
    )


def _parse(
    row: Mapping[str, str | None], number: int, line: str, shape: tuple[int, int]
) -> tuple[int, int, float, float]:
    """Frame, id and position of one row; ``number`` is its id if it has none."""
    try:
        y, x = (float(row[name] or "") for name in ("y", "x"))
    except ValueError as error:
        raise InputError(f"{line} has y {row['y']!r} and x {row['x']!r}; both are numbers.") from error
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
    try:
        value = int(row[name] or "")
    except ValueError:
        value = -1
    if not smallest <= value <= LARGEST_ID:
        raise InputError(f"{line} has the {name} {row[name]!r}; it is a whole number from {smallest} on.")
    return value
