"""Every frame of a movie to label images and a table of cells on disk, one frame in memory at a time."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tifffile
import tqdm
from jaxtyping import Float, Int32, Num

from cellmotion_jax.data.ctc_masks import LARGEST_LABEL, frame_digits
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import DEFAULT_TILING, Tiling
from cellmotion_jax.methods.deep_distance.cells import Cells, find_cells
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel


class Shown(NamedTuple):
    """A frame for the picture of the results."""

    name: str
    image: Num[np.ndarray, "y x"]
    points: Float[np.ndarray, "cell 2"]
    labels: Int32[np.ndarray, "y x"] | None


class Prediction(NamedTuple):
    """What became of a movie."""

    frames: int
    cells: int
    """Detections in all frames together."""
    shown: tuple[Shown, ...]
    """The first, the middle and the last frame."""


def predict_movie(
    movie: Movie, model: DeepDistanceModel, folder: pathlib.Path, *, tiling: Tiling = DEFAULT_TILING
) -> Prediction:
    """Finds the cells of every frame and writes them to a folder.

    ``maskT.tif``, where the network can outline cells: one label image per frame, uint16, compressed by
    deflate, 0 for background. Frames are counted from 0 in three digits, or in as many as frames named
    ``tT.tif`` have, or in four from 1001 frames on. A label is the number of the cell within its frame and
    says nothing about the same number in another frame.

    ``detections.csv``: a row per cell, the most certain of a frame first. ``frame`` from 0; ``label`` as in
    the mask; ``y``, ``x`` in pixels, pixel centres at whole numbers; ``score``, the height of the peak;
    ``area`` in pixels, 0 for a cell that was detected but has no outline, empty where there are no masks.
    If the pixel size is known, ``y_um``, ``x_um`` and ``area_um2`` follow.

    Args:
        movie: Grey frames.
        model: The network.
        folder: An empty folder to write to.
        tiling: Tiles in downsampled pixels.

    Returns:
        Counts, and frames to be drawn.

    Raises:
        InputError: If a frame cannot be read or used; it is named.
    """
    digits = frame_digits(movie)
    middle_and_ends = {0, len(movie) // 2, len(movie) - 1}
    shown, cells_in_all = [], 0
    with (folder / "detections.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        in_um = ("y_um", "x_um", "area_um2") if movie.pixel_size_um else ()
        table.writerow(("frame", "label", "y", "x", "score", "area", *in_um))
        for frame, name in enumerate(tqdm.tqdm(movie.frame_names, unit="frame", dynamic_ncols=True)):
            image = movie[frame]
            try:
                cells = find_cells(model, image[..., None], segment=model.can_segment, tiling=tiling)
            except InputError as error:
                raise InputError(f"{movie.path}, {name}: {error}") from error
            if len(cells.points) > LARGEST_LABEL:
                raise InputError(
                    f"{movie.path}, {name}: {len(cells.points)} cells were found, more than a mask can "
                    f"number ({LARGEST_LABEL}); raise detection.h."
                )
            if cells.labels is not None:
                mask = cells.labels.astype(np.uint16)
                tifffile.imwrite(folder / f"mask{frame:0{digits}d}.tif", mask, compression="zlib")
            table.writerows(_rows(frame, cells, movie.pixel_size_um))
            cells_in_all += len(cells.points)
            if frame in middle_and_ends:
                shown.append(Shown(name, image, cells.points, cells.labels))
    return Prediction(len(movie), cells_in_all, tuple(shown))


def _rows(frame: int, cells: Cells, pixel_size_um: float | None) -> Iterator[tuple[int | str, ...]]:
    areas: list[int | str] = [""] * len(cells.points)
    if cells.labels is not None:
        areas = np.bincount(cells.labels.ravel(), minlength=len(areas) + 1)[1:].tolist()
    for label, ((y, x), score, area) in enumerate(zip(cells.points, cells.values, areas), start=1):
        row = (frame, label, f"{y:.6g}", f"{x:.6g}", f"{score:.6g}", area)
        if pixel_size_um is not None:
            area_um2 = f"{area * pixel_size_um**2:.6g}" if isinstance(area, int) else ""
            row += (f"{y * pixel_size_um:.6g}", f"{x * pixel_size_um:.6g}", area_um2)
        yield row
