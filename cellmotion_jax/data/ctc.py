"""Cell Tracking Challenge folders: frames, tracking masks and lineage, read and written with every rule checked."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Collection

import numpy as np
import tifffile
from jaxtyping import Integer

from cellmotion_jax.data.track_table import TrackTable, check_track_table, read_man_track
from cellmotion_jax.errors import InputError

__all__ = ["TrackTable", "read_man_track", "write_ctc"]

MAX_WRITTEN_LABEL = 32767


def write_ctc(
    folder: str | os.PathLike[str], masks: Collection[Integer[np.ndarray, "y x"]], tracks: TrackTable
) -> None:
    """Writes tracking masks and their table as a ``TRA`` folder: ``man_trackT.tif`` and ``man_track.txt``.

    Masks are uint16 and deflate-compressed, three digits to the frame number or four beyond 999. The
    folder is written beside its final place and renamed, so that it is either complete or absent.

    Args:
        folder: The folder to make, e.g. ``DATASET/01_GT/TRA``. It may exist if it is empty.
        masks: One label image per frame, 0 for background, of equal sizes.
        tracks: Span and parent of every label.

    Raises:
        InputError: If the table breaks a rule of the format, a label is absent from a frame of its span or
            present outside of it, a label exceeds 32767 (above it the reference tools misread uint16
            masks), or the folder holds something already.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; give a folder that can be made.")
    check_track_table(tracks, frames=len(masks), source="tracks")
    if tracks.label.size and tracks.label.max() > MAX_WRITTEN_LABEL:
        raise InputError(
            f"tracks hold label {tracks.label.max()}; labels up to {MAX_WRITTEN_LABEL} can be written."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    partial.mkdir()
    try:
        digits = 3 if len(masks) <= 1000 else 4
        for frame, mask in enumerate(masks):
            _check_presence(frame, np.unique(mask[mask != 0]), tracks, source=f"masks[{frame}]")
            name = partial / f"man_track{frame:0{digits}d}.tif"
            tifffile.imwrite(name, mask.astype(np.uint16), compression="zlib")
        (partial / "man_track.txt").write_text(tracks.text(), encoding="utf-8")
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _check_presence(
    frame: int, labels: Integer[np.ndarray, " label"], tracks: TrackTable, *, source: str
) -> None:
    """Refuses a frame whose labels are not exactly those of the tracks that span it."""
    expected = tracks.alive(frame)
    for label in np.setdiff1d(expected, labels):
        row = np.flatnonzero(tracks.label == label)[0]
        raise InputError(
            f"{source} (frame {frame}) lacks label {label}, "
            f"which the track table lets last from frame {tracks.begin[row]} to {tracks.end[row]}."
        )
    for label in np.setdiff1d(labels, expected):
        row = np.flatnonzero(tracks.label == label)
        span = f"from frame {tracks.begin[row[0]]} to {tracks.end[row[0]]} only" if row.size else "not at all"
        raise InputError(f"{source} (frame {frame}) holds label {label}, which the track table lists {span}.")
