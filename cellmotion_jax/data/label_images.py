"""Reading of the label images of a movie, with or without a table of tracks."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.data.track_table import TrackTable, check_track_table, read_man_track
from cellmotion_jax.errors import InputError

TABLES = ("res_track.txt", "man_track.txt")


class TrackedMasks(NamedTuple):
    """Label images in which a label is the same track in all frames."""

    masks: Movie
    """One label image per frame; read on demand."""
    tracks: TrackTable
    """Span and parent of every label."""


def open_labels(path: pathlib.Path, movie: Movie | None = None) -> Movie:
    """Opens the label images of a movie, one per frame.

    Args:
        path: Folder of TIFF files, or a stack.
        movie: The movie to which the label images belong, if available.

    Returns:
        The label images.

    Raises:
        InputError: If they are not whole numbers, or not as many or of the same size as the frames.
    """
    labels = open_movie(path)
    if labels.dtype.kind not in "ui":
        raise InputError(f"{path} holds images of {labels.dtype}; labels are whole numbers (uint16).")
    if movie is not None and (len(labels), labels.shape) != (len(movie), movie.shape):
        raise InputError(
            f"{path} holds {len(labels)} label images of {labels.shape[0]} x {labels.shape[1]} pixels, but "
            f"{movie.path} {len(movie)} frames of {movie.shape[0]} x {movie.shape[1]}."
        )
    return labels


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
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; a tracked result is a folder of masks with res_track.txt.")
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
