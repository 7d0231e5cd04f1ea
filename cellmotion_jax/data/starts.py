"""Where tracks begin: the cells of a label image, those that are born in a movie, or a list of positions."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float32, Int, Integer

from cellmotion_jax.data.tiff import read_header, read_plane
from cellmotion_jax.data.trajectories import tight_boxes
from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.labels import areas_and_centroids, number_cells

LARGEST_ID = np.iinfo(np.int32).max


@dataclasses.dataclass(frozen=True, eq=False)
class Starts:
    """Cells to follow, ordered by frame.

    Attributes:
        frame: Frame in which each cell is first seen, counted from 0.
        ids: Its label, at least 1, each once.
        points: Its centre (y, x) there, in pixels; pixel centres are whole numbers.
        diameters: Of the circle with the area of its mask, sqrt(4 area / pi); NaN where there was no mask.
        boxes: Tight box of its mask (y0, x0, y1, x1), half-open; NaN where there was no mask.
    """

    frame: Int[np.ndarray, " cell"]
    ids: Int[np.ndarray, " cell"]
    points: Float32[np.ndarray, "cell 2"]
    diameters: Float32[np.ndarray, " cell"]
    boxes: Float32[np.ndarray, "cell 4"]

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, cells: Integer[np.ndarray, " chosen"]) -> Starts:
        """Some of the cells, by their positions."""
        return Starts(*(getattr(self, field.name)[cells] for field in dataclasses.fields(self)))


def starts_from_labels(labels: Integer[np.ndarray, "..."], *, frame: int = 0) -> Starts:
    """One start per label of an image.

    Args:
        labels: Label image [y, x], 0 for background. A label in several pieces is one cell.
        frame: Number of the image in its movie.

    Returns:
        The cells in the order of their labels; none where there is no label.

    Raises:
        ValueError: If it is not an image of one channel, or has no pixels.
        InputError: If a label is negative or above 2147483647.

    >>> starts = starts_from_labels(np.array([[0, 7, 7], [0, 0, 0]]))
    >>> starts.ids.tolist(), starts.points.tolist(), starts.boxes.tolist()
    ([7], [[0.0, 1.5]], [[0.0, 1.0, 1.0, 3.0]])
    """
    cells = number_cells(labels)
    ids = cells.labels[1:]
    if ids.size and ids[-1] > LARGEST_ID:
        raise InputError(f"labels hold label {ids[-1]}; labels up to {LARGEST_ID} can be followed.")
    area, centroids = areas_and_centroids(cells)
    return Starts(
        frame=np.full(len(ids), frame),
        ids=ids.astype(np.int64),
        points=centroids.astype(np.float32),
        diameters=np.sqrt(4 * area / np.pi).astype(np.float32),
        boxes=tight_boxes(cells.number, np.arange(1, len(ids) + 1)),
    )


def starts_at_births(masks: Iterable[Integer[np.ndarray, "y x"]]) -> Starts:
    """Every label of a movie in the first frame that holds it; masks are taken one at a time.

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
        starts = starts_from_labels(mask, frame=frame)
        born = [position for position, label in enumerate(starts.ids.tolist()) if label not in known]
        known.update(starts.ids.tolist())
        parts.append(starts.select(np.asarray(born, np.intp)))
    if not known:
        raise InputError(f"masks hold no label in any of {len(parts)} frames; there is no cell to follow.")
    columns = ([getattr(part, field.name) for part in parts] for field in dataclasses.fields(Starts))
    return Starts(*(np.concatenate(column) for column in columns))


def read_starts(path: str | os.PathLike[str], *, shape: tuple[int, int]) -> Starts:
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
    starts = _read_table(path, shape) if kind == ".csv" else _read_image(path, shape)
    if not len(starts):
        raise InputError(f"{path} holds no cell; give at least one to follow.")
    return starts


def _read_image(path: pathlib.Path, shape: tuple[int, int]) -> Starts:
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
        return starts_from_labels(read_plane(header))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_table(path: pathlib.Path, shape: tuple[int, int]) -> Starts:
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
    return Starts(
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
