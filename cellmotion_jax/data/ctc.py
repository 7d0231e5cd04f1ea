"""Reading and writing of Cell Tracking Challenge (CTC) folders; all rules of the format are checked."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import re
from collections.abc import Collection
from typing import SupportsIndex

import numpy as np
from jaxtyping import Integer
from tqdm import tqdm

from cellmotion_jax.data.centroids import Centroids, frame_centroids
from cellmotion_jax.data.ctc_masks import write_masks
from cellmotion_jax.data.frame_files import list_tiffs
from cellmotion_jax.data.label_images import open_labels
from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.data.tiff import read_header, read_plane, whole_labels
from cellmotion_jax.data.track_table import TrackTable, check_track_table, read_man_track
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import require_folder

__all__ = [
    "PIXEL_SIZE_UM",
    "Centroids",
    "CtcSequence",
    "TrackTable",
    "open_dataset",
    "read_man_track",
    "write_ctc",
]

# CTC files carry no calibration; these are the challenge's own figures, by the name of the folder.
PIXEL_SIZE_UM = {
    "DIC-C2DH-HeLa": 0.19,
    "Fluo-N2DH-SIM+": 0.125,
    "Fluo-N2DL-HeLa": 0.645,
    "PhC-C2DH-U373": 0.65,
    "PhC-C2DL-PSC": 1.6,
}


@dataclasses.dataclass(frozen=True, eq=False)
class CtcSequence:
    """One annotated movie of a dataset, as `open_dataset` finds it; pixels are read on demand.

    Attributes:
        root: The dataset's folder.
        name: The sequence within it, e.g. ``01``.
        movie: The frames.
        tracking_masks: The masks of ``01_GT/TRA``, one per frame.
        tracks: The table of ``01_GT/TRA/man_track.txt``.
    """

    root: pathlib.Path
    name: str
    movie: Movie
    tracking_masks: Movie
    tracks: TrackTable

    @property
    def full_name(self) -> str:
        """Dataset and sequence, e.g. ``PhC-C2DH-U373/01``."""
        return f"{self.root.name}/{self.name}"

    @property
    def pixel_size_um(self) -> float | None:
        """Side of a pixel in micrometres: from the tags of the frames, or the known value of the dataset."""
        return self.movie.pixel_size_um or PIXEL_SIZE_UM.get(self.root.name)

    def tracking_mask(self, frame: SupportsIndex) -> Integer[np.ndarray, "y x"]:
        """Track ids of the pixels, 0 for background; the masks are often only markers, not whole cells."""
        return self.tracking_masks[frame]

    def segmentation_mask(self, frame: SupportsIndex) -> Integer[np.ndarray, "y x"] | None:
        """Gold segmentation (``01_GT/SEG``), whose ids need not be track ids; None where none was drawn."""
        return self._mask("GT", frame)

    def silver_mask(self, frame: SupportsIndex) -> Integer[np.ndarray, "y x"] | None:
        """Silver segmentation (``01_ST/SEG``), fused from challenge entries; None if absent."""
        return self._mask("ST", frame)

    def centroids(self) -> Centroids:
        """Area centroids of all tracking masks; every mask is read once, and the result is cached.

        Returns:
            The table.

        Raises:
            InputError: If a label is absent from a frame of its span or present outside of it.
        """
        return self._centroids

    @functools.cached_property
    def _centroids(self) -> Centroids:
        masks, rows = self.tracking_masks, []
        for frame in tqdm(range(len(masks)), desc=f"masks of {self.name}", disable=None, leave=False):
            source = str(masks.path / masks.frame_names[frame])
            rows.append(frame_centroids(frame, masks[frame], self.tracks, source=source))
        return Centroids(*map(np.concatenate, zip(*rows)))

    def _mask(self, origin: str, frame: SupportsIndex) -> Integer[np.ndarray, "y x"] | None:
        number = self.movie.frame_names[frame].removeprefix("t")
        path = self.root / f"{self.name}_{origin}" / "SEG" / f"man_seg{number}"
        if not path.exists():
            return None
        header = read_header(path)
        if header.planes > 1:
            raise InputError(f"{path} holds {header.planes} planes; it should be the mask of one frame.")
        mask = whole_labels(read_plane(header), str(path))
        if mask.shape != self.movie.shape:
            raise InputError(f"{path} has the size {mask.shape}; its frame has {self.movie.shape}.")
        return mask


def open_dataset(root: str | os.PathLike[str]) -> tuple[CtcSequence, ...]:
    """Opens every sequence of a CTC dataset that is annotated with tracks, or one of them.

    Frames are ``01/t000.tif``, ... from 0 on, with three or four digits; ``01_GT/TRA`` holds one mask
    ``man_track000.tif`` per frame, with the same digits, and ``man_track.txt``. All headers and the table
    are checked at once; that labels and table agree is checked by `CtcSequence.centroids`.

    Args:
        root: A dataset, e.g. ``PhC-C2DH-U373``, or one sequence, e.g. ``PhC-C2DH-U373/01``.

    Returns:
        The sequences in the order of their names, at least one.

    Raises:
        InputError: If there are no frames, no annotation, a mask is missing or has no frame, sizes differ,
            a file is damaged or three-dimensional, or the table breaks a rule.
    """
    # Not resolved: a sequence that is a symbolic link has its annotation beside the link.
    root = pathlib.Path(os.path.abspath(os.path.expanduser(root)))
    require_folder(root, what="a CTC dataset, which holds 01/t000.tif and 01_GT/TRA")
    if list_tiffs(root):
        return (_open_sequence(root.parent, root.name),)
    names = sorted(child.name for child in root.iterdir() if child.is_dir() and child.name.isdecimal())
    if not names:
        raise InputError(f"{root} holds no frames; a CTC dataset has folders 01, 02, ... with t000.tif, ...")
    return tuple(_open_sequence(root, name) for name in names)


def write_ctc(
    folder: str | os.PathLike[str], masks: Collection[Integer[np.ndarray, "y x"]], tracks: TrackTable
) -> None:
    """Writes tracking masks and their table as a ``TRA`` folder: ``man_trackT.tif`` and ``man_track.txt``.

    The frame numbers have three digits, or four beyond 999; for the rest see
    :func:`~cellmotion_jax.data.ctc_masks.write_masks`.

    Args:
        folder: The folder to make, e.g. ``DATASET/01_GT/TRA``. It may exist if it is empty.
        masks: One label image per frame, 0 for background, of equal sizes.
        tracks: Span and parent of every label.

    Raises:
        InputError: If the table breaks a rule of the format, a label is absent from a frame of its span or
            present outside of it, a label exceeds 32767 (above it the reference tools misread uint16 masks),
            or the folder is not empty.
    """
    write_masks(folder, masks, tracks, frames=len(masks), digits=3, prefix="man_track", table="man_track.txt")


def _open_sequence(root: pathlib.Path, name: str) -> CtcSequence:
    """Opens one sequence and checks that its frames and masks agree."""
    movie = open_movie(root / name)
    folder = root / f"{name}_GT" / "TRA"
    if not os.path.isdir(folder):
        raise InputError(
            f"{folder} is absent; it should hold man_track.txt and one mask per frame of {name}."
        )
    for frame, frame_name in enumerate(movie.frame_names):
        number = re.fullmatch(r"t(\d{3,})\.tif", frame_name)
        if number is None or int(number[1]) != frame:
            raise InputError(
                f"{movie.path / frame_name} is frame {frame} but not named so; "
                f"CTC frames are t000.tif, t001.tif, ... from 0 on."
            )
    masks = open_labels(folder, movie, prefix="man_track")
    table = folder / "man_track.txt"
    tracks = read_man_track(table)
    check_track_table(tracks, frames=len(movie), source=str(table))
    return CtcSequence(root, name, movie, masks, tracks)
