"""Reading of the label images of a movie, with or without a table of tracks."""

from __future__ import annotations

import os
import pathlib
from typing import NamedTuple

import numpy as np
from skimage import measure

from cellmotion_jax.data.frame_files import list_tiffs
from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.data.track_table import TrackTable, check_track_table, read_man_track
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import require_folder

TABLES = ("res_track.txt", "man_track.txt")
# Of what is no label image there are at least so many pieces, of at most so many pixels on average.
_MANY_PIECES, _FEW_PIXELS = 500, 8
_PIECES_PER_CELL = 20
# Side of the part of an image that is looked at.
_LARGEST_LOOK = 2048


class TrackedMasks(NamedTuple):
    """Label images in which a label is the same track in all frames."""

    masks: Movie
    """One label image per frame; read on demand."""
    tracks: TrackTable
    """Span and parent of every label."""


def open_labels(
    path: str | os.PathLike[str], movie: Movie | None = None, *, prefix: str | None = None
) -> Movie:
    """Opens the label images of a movie, one per frame.

    Args:
        path: Folder of TIFF files, or a stack.
        movie: The movie to which the label images belong, if available.
        prefix: Beginning of the files' names if they carry the numbers of the frames, e.g. ``mask`` for
            mask000.tif of t000.tif; None for any names.

    Returns:
        The label images.

    Raises:
        InputError: If they are not whole numbers, not as many, of the same size or of the numbers of the
            frames, or if they are no labels but a micrograph (see `check_is_labels`).
    """
    path = pathlib.Path(path)
    if movie is not None and prefix is not None:
        _check_names(path, movie, prefix)
    labels = open_movie(path, labels=True)
    if labels.dtype.kind not in "ui":
        raise InputError(f"{path} holds images of {labels.dtype}; labels are whole numbers (uint16).")
    if movie is not None and (len(labels), labels.shape) != (len(movie), movie.shape):
        raise InputError(
            f"{path} holds {len(labels)} label images of {labels.shape[0]} x {labels.shape[1]} pixels, but "
            f"{movie.path} {len(movie)} frames of {movie.shape[0]} x {movie.shape[1]}."
        )
    check_is_labels(labels)
    return labels


def _check_names(folder: pathlib.Path, movie: Movie, prefix: str) -> None:
    """Raises InputError unless the images of a folder have the numbers of the frames."""
    expected = [f"{prefix}{name.removeprefix('t')}" for name in movie.frame_names]
    found = {file.name for file in list_tiffs(folder)}
    for name in expected:
        if name not in found:
            raise InputError(f"{folder / name} is missing; every frame of {movie.path} has a label image.")
    for name in sorted(found.difference(expected)):
        raise InputError(f"{folder / name} belongs to no frame; {movie.path} has {len(movie)} frames.")


def check_is_labels(labels: Movie) -> None:
    """Checks that images are labels of cells and no micrographs, by the first and the middle one.

    Cells are connected regions of many pixels, most of them in one piece, on a background of 0. The pixels
    of a micrograph differ from their neighbours: they fall into pieces of a few pixels, of which many have
    the same value or which cover the image. Single pixels that mark cells are fine, and so are cells in some
    pieces.

    Args:
        labels: Whole numbers.

    Raises:
        InputError: If they are no labels.
    """
    for frame in sorted({0, len(labels) // 2}):
        image = labels[frame][:_LARGEST_LOOK, :_LARGEST_LOOK]
        covered = np.count_nonzero(image)
        pieces = int(np.asarray(measure.label(image, connectivity=2, background=0)).max())
        if pieces < _MANY_PIECES or covered > _FEW_PIXELS * pieces:
            continue
        cells = len(np.unique(image[image != 0]))
        if 2 * covered > image.size or pieces > _PIECES_PER_CELL * cells:
            raise InputError(
                f"{labels.path}, {labels.frame_names[frame]} is no label image: its pixels have {cells} "
                "values in "
                f"{pieces} separate pieces; right are images in which a cell is a region of one number, and "
                "the "
                "background is 0."
            )


def open_tracked_masks(folder: pathlib.Path, movie: Movie | None = None) -> TrackedMasks:
    """Opens a result or an annotation in the format of the Cell Tracking Challenge.

    Args:
        folder: Holds maskT.tif and res_track.txt, or man_trackT.tif and man_track.txt.
        movie: The movie to which it belongs, if available.

    Returns:
        The masks, which are read on demand, and the table, checked against their number.

    Raises:
        InputError: If the folder, the masks or the table are absent, damaged or do not fit each other or the
            movie, or the table breaks a rule of the format.
    """
    require_folder(folder, what="a tracked result, which is a folder of masks with res_track.txt")
    tables = [folder / name for name in TABLES if (folder / name).exists()]
    if not tables:
        raise InputError(
            f"{folder} has neither res_track.txt nor man_track.txt; label images that are not tracked yet "
            "are linked by `cellmotion track MOVIE --by linking --segmentation FOLDER`."
        )
    masks = open_labels(folder, movie)
    tracks = read_man_track(tables[0])
    check_track_table(tracks, frames=len(masks), source=str(tables[0]))
    return TrackedMasks(masks, tracks)
