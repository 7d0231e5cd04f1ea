"""Segmentation of a movie with any method that finds cells; writes label images and a table of cells."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tifffile
import tqdm
from jaxtyping import Float, Int32, Num

from cellmotion_jax.data.ctc_masks import frame_digits
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.movie_options import MovieOptions
from cellmotion_jax.data.track_table import MAX_LABEL
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.segmenter import FrameCells, Segmenter

COLUMNS = ("frame", "label", "y", "x", "score", "area_px2")
"""Columns of ``detections.csv``."""
COLUMNS_IN_UM = ("y_um", "x_um", "area_um2")
"""Those that follow where the size of a pixel is known."""


class Shown(NamedTuple):
    """A frame that is drawn in the picture of the results."""

    name: str
    image: Num[np.ndarray, "y x *channel"]
    points: Float[np.ndarray, "cell 2"]
    labels: Int32[np.ndarray, "y x"] | None


class SegmentedMovie(NamedTuple):
    """Result of segmenting a movie."""

    frames: int
    detections: int
    """Number of cells in all frames together; a cell counts in every frame in which it is found."""
    shown: tuple[Shown, ...]
    """The first, the middle and the last frame."""


def open_movie_for(segmenter: Segmenter, path: pathlib.Path, options: MovieOptions) -> Movie:
    """Opens a movie as grey or RGB, as the model was trained on.

    Args:
        segmenter: The model.
        path: Folder of frames or stack.
        options: What the user says of it.

    Returns:
        The movie.

    Raises:
        InputError: As in `data.movie.open_movie`.
    """
    if segmenter.channels == 1:
        return options.open(path)
    try:
        return options.open(path, colour=True)
    except InputError:
        options.open(path)  # A movie that is none at all is refused as such.
        raise InputError(
            f"the model was trained on images of 3 channels, red, green and blue, and {path} is grey."
        ) from None


def cells_of_movie(
    movie: Movie, segmenter: Segmenter
) -> Iterator[tuple[Num[np.ndarray, "y x *channel"], FrameCells]]:
    """Finds the cells of every frame, with a progress bar; one frame is in memory at a time.

    Args:
        movie: Frames of the model's channels.
        segmenter: The model.

    Yields:
        Each frame with its cells, in order.

    Raises:
        InputError: If a frame cannot be read or used, or has more cells than a mask can number; it is named.
    """
    taken: list[Num[np.ndarray, "y x *channel"]] = []

    def frames() -> Iterator[Num[np.ndarray, "y x channel"]]:
        for frame in range(len(movie)):
            image = movie[frame]
            taken.append(image)
            yield image if image.ndim == 3 else image[..., None]

    found = segmenter.segment(frames())
    for name in tqdm.tqdm(movie.frame_names, unit="frame", dynamic_ncols=True):
        try:
            cells = next(found)
        except InputError as error:
            raise InputError(f"{movie.path}, {name}: {error}") from error
        if len(cells.points) > MAX_LABEL:
            raise InputError(
                f"{movie.path}, {name}: {len(cells.points)} cells were found, more than a mask can number "
                f"({MAX_LABEL}); raise {segmenter.stricter}."
            )
        yield taken.pop(), cells


def segment_movie(movie: Movie, segmenter: Segmenter, folder: pathlib.Path) -> SegmentedMovie:
    """Finds the cells of every frame and writes them to a folder.

    ``maskT.tif``, where the network can outline cells: one label image per frame, uint16, compressed by
    deflate, 0 for background. Frames are counted from 0 in three digits, or in as many as frames named
    ``tT.tif`` have, or in four from 1001 frames on. A label is the number of the cell within its frame and
    says nothing about the same number in another frame.

    ``detections.csv``: a row per cell, in the order of the labels. ``frame`` from 0; ``label`` as in the
    mask; ``y``, ``x`` in pixels, pixel centres at whole numbers; ``score``, how sure the method is, see the
    segmenter of each; ``area_px2``, 0 for a cell that was detected but has no outline, empty where
    there are no masks. If the pixel size is known, ``y_um``, ``x_um`` and ``area_um2`` follow.

    Args:
        movie: Frames of the model's channels.
        segmenter: The model.
        folder: An empty folder to write to.

    Returns:
        Counts, and frames to be drawn.

    Raises:
        InputError: If a frame cannot be read or used, which is named, or no frame has a cell.
    """
    digits = frame_digits(movie)
    middle_and_ends = {0, len(movie) // 2, len(movie) - 1}
    shown, detections = [], 0
    with (folder / "detections.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        in_um = COLUMNS_IN_UM if movie.pixel_size_um else ()
        table.writerow((*COLUMNS, *in_um))
        for frame, (image, cells) in enumerate(cells_of_movie(movie, segmenter)):
            if cells.labels is not None:
                mask = cells.labels.astype(np.uint16)
                tifffile.imwrite(folder / f"mask{frame:0{digits}d}.tif", mask, compression="zlib")
            table.writerows(_rows(frame, cells, movie.pixel_size_um))
            detections += len(cells.points)
            if frame in middle_and_ends:
                shown.append(Shown(movie.frame_names[frame], image, cells.points, cells.labels))
    if not detections:
        raise InputError(no_cell_found(movie))
    return SegmentedMovie(len(movie), detections, tuple(shown))


def no_cell_found(movie: Movie) -> str:
    """The message for a movie in which a network found no cell."""
    return (
        f"{movie.path}: no cell was found in any of {len(movie)} frames; is it a movie like those that the "
        "network was trained on, of cells of the same size in pixels?"
    )


def _rows(frame: int, cells: FrameCells, pixel_size_um: float | None) -> Iterator[tuple[int | str, ...]]:
    areas: list[int | str] = [""] * len(cells.points)
    if cells.labels is not None:
        areas = np.bincount(cells.labels.ravel(), minlength=len(areas) + 1)[1:].tolist()
    for label, ((y, x), score, area) in enumerate(zip(cells.points, cells.scores, areas), start=1):
        row = (frame, label, f"{y:.6g}", f"{x:.6g}", f"{score:.6g}", area)
        if pixel_size_um is not None:
            area_um2 = f"{area * pixel_size_um**2:.6g}" if isinstance(area, int) else ""
            row += (f"{y * pixel_size_um:.6g}", f"{x * pixel_size_um:.6g}", area_um2)
        yield row
