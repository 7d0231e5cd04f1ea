"""Writing of label images and their table of tracks in the format of the Cell Tracking Challenge (CTC)."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterable

import numpy as np
import tifffile
from jaxtyping import Int32, Integer

from cellmotion_jax.data.centroids import frame_centroids
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.track_table import TrackTable, check_track_table
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import output_folder

MAX_WRITTEN_LABEL = 32767
"""Largest label of a track; above it the reference tools misread uint16 masks."""


def write_masks(
    folder: str | os.PathLike[str],
    masks: Iterable[Integer[np.ndarray, "y x"]],
    tracks: TrackTable,
    *,
    frames: int,
    digits: int,
    prefix: str,
    table: str,
    source: str = "masks",
) -> None:
    """Writes one mask per frame and the table into a new folder, and checks every mask against the table.

    Masks are uint16 and deflate-compressed, made and written one at a time. The folder is written beside its
    final place and renamed, so that it is either complete or absent.

    Args:
        folder: The folder to make. It may exist if it is empty.
        masks: A label image of every frame, 0 for background.
        tracks: Span and parent of every label.
        frames: Number of frames.
        digits: Smallest number of digits of the frame numbers.
        prefix: Beginning of the masks' file names, before the frame number.
        table: File name of the table.
        source: Name of the masks in error messages.

    Raises:
        InputError: If the table breaks a rule of the format, there are more or fewer masks than frames, a
            label is absent from a frame of its span or present outside of it, a label exceeds 32767 (above
            it the reference tools misread uint16 masks), or the folder is not empty.
    """
    folder = pathlib.Path(folder)
    check_track_table(tracks, frames=frames, source="tracks")
    if tracks.label.max() > MAX_WRITTEN_LABEL:
        raise InputError(
            f"tracks hold label {tracks.label.max()}; labels up to {MAX_WRITTEN_LABEL} can be written."
        )
    digits = max(digits, len(str(frames - 1)))
    with output_folder(folder) as written:
        frame = -1
        for frame, mask in enumerate(masks):
            if frame == frames:
                break
            frame_centroids(frame, mask, tracks, source=f"{source}[{frame}]")
            name = written / f"{prefix}{frame:0{digits}d}.tif"
            tifffile.imwrite(name, mask.astype(np.uint16), compression="zlib")
        if frame != frames - 1:
            raise InputError(
                f"{source} hold {'more' if frame == frames else frame + 1} label images, but the tracks have "
                f"{frames} frames; there is one image per frame."
            )
        (written / table).write_text(tracks.text(), encoding="utf-8")


def frame_digits(movie: Movie) -> int:
    """Number of digits of frame numbers: as in the movie if it has the CTC layout, else as many as needed."""
    named = re.fullmatch(r"t(\d{3,})\.tif", movie.frame_names[-1])
    return len(named[1]) if named else 3 if len(movie) <= 1000 else 4


def write_result(
    folder: str | os.PathLike[str],
    masks: Iterable[Int32[np.ndarray, "y x"]],
    table: TrackTable,
    *,
    frames: int,
    digits: int,
) -> None:
    """Writes a result, ``maskT.tif`` and ``res_track.txt``, by the rules of `write_masks`.

    Args:
        folder: The folder to make, e.g. ``DATASET/01_RES``.
        masks: A label image of every frame, 0 for background.
        table: Span and parent of every label.
        frames: Number of frames.
        digits: Smallest number of digits of the frame numbers.

    Raises:
        InputError: As `write_masks`.
    """
    write_masks(
        folder,
        masks,
        table,
        frames=frames,
        digits=digits,
        prefix="mask",
        table="res_track.txt",
        source="segmentations",
    )
