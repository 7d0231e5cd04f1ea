"""Movies as lazy sequences of two-dimensional frames, from a folder of TIFF files or one TIFF stack."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
import re
from typing import SupportsIndex

import numpy as np
from jaxtyping import Num

from cellmotion_jax.data.tiff import TiffHeader, read_header, read_plane, whole_labels
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import require_folder
from cellmotion_jax.settings import MicronsPerPixel, check_argument


@dataclasses.dataclass(frozen=True, eq=False)
class Movie:
    """Frames of one field of view; ``len(movie)``, ``movie[t]`` and iteration read from the disk as needed.

    Nothing is cached: memory does not grow with the movie's length.

    Attributes:
        path: The folder or file that was opened.
        shape: Size of every frame, (y, x), in pixels.
        dtype: Type of every frame.
        frame_names: One name per frame for messages, e.g. ``t017.tif`` or ``stack.tif page 17``.
        pixel_size_um: Side of a pixel in micrometres, None where neither the caller nor the file says.
        planes: Header of the file and index of the plane of each frame.
        labels: Frames are label images: whole numbers, also where they are stored as floats.
    """

    path: pathlib.Path
    shape: tuple[int, int]
    dtype: np.dtype
    frame_names: tuple[str, ...]
    pixel_size_um: float | None
    planes: tuple[tuple[TiffHeader, int], ...]
    labels: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def channels(self) -> int:
        """1 for frames [y x] of grey values, 3 for frames [y x 3] of red, green and blue."""
        return self.planes[0][0].channels

    def __len__(self) -> int:
        return len(self.planes)

    def __getitem__(self, frame: SupportsIndex) -> Num[np.ndarray, "y x *channel"]:
        header, plane = self.planes[frame]
        image = read_plane(header, plane)
        return whole_labels(image, f"{self.path}, {self.frame_names[frame]}") if self.labels else image


def open_movie(
    path: str | os.PathLike[str],
    *,
    pixel_size_um: float | None = None,
    colour: bool = False,
    labels: bool = False,
) -> Movie:
    """Opens a folder of TIFF frames or one TIFF stack; pixels are read when a frame is indexed.

    In a folder every file is one frame. The names differ only in one running number, with or without leading
    zeros, which orders the frames; it may start anywhere but may not have gaps. In a stack, planes without a
    declared axis are taken as time; declared slices, channels or colours raise an error. Every
    header is read at once, so that a bad frame is found before work begins.

    Args:
        path: Folder or file.
        pixel_size_um: Side of a pixel in micrometres; overrides the file's own tags (OME, ImageJ, or TIFF
            centimetres), which count only if the pixels are square and smaller than 50 um.
        colour: Frames are red, green and blue, instead of grey.
        labels: Frames are label images, whose colours, if they have a palette, are of no importance.

    Returns:
        The movie, of at least one frame.

    Raises:
        InputError: If there are no frames, a number is missing or twice, a frame differs in size or type, a
            file is truncated, three-dimensional or not of the colours that are asked for, or the pixel size
            is none.
    """
    path = pathlib.Path(path)
    if pixel_size_um is not None:
        check_argument("pixel_size_um", pixel_size_um, MicronsPerPixel)
    if os.path.isdir(path):
        headers = [read_header(file, colour=colour) for file in _ordered(path, list_tiffs(path))]
        for header in headers:
            _check_frame(header, headers[0])
        names = tuple(header.path.name for header in headers)
        planes = tuple((header, 0) for header in headers)
    else:
        header = read_header(path, colour=colour)
        names = tuple(f"{path.name} page {plane}" for plane in range(header.planes))
        planes = tuple((header, plane) for plane in range(header.planes))
    first, _ = planes[0]
    if first.palette and not labels:
        raise InputError(f"{first.path} has a palette of colours; save it as grey.")
    dtype = np.dtype(np.int64) if labels and first.dtype.kind == "f" else first.dtype.newbyteorder("=")
    return Movie(path, first.shape, dtype, names, pixel_size_um or first.pixel_size_um, planes, labels=labels)


def read_finite(movie: Movie, frame: int) -> Num[np.ndarray, "y x *channel"]:
    """A frame whose pixels are all finite.

    Args:
        movie: The movie.
        frame: Number of the frame, from 0.

    Returns:
        The pixels.

    Raises:
        InputError: If the frame cannot be read or has pixels that are NaN or infinite; it is named.
    """
    image = movie[frame]
    if not np.isfinite(image).all():
        raise InputError(f"{movie.path}, {movie.frame_names[frame]} has pixels that are NaN or infinite.")
    return image


def list_tiffs(folder: pathlib.Path) -> list[pathlib.Path]:
    """TIFF files in a folder, sorted by name; hidden files, such as those of macOS, are ignored."""
    require_folder(folder, what="a folder of TIFF files")
    files = (file for file in folder.iterdir() if file.suffix.lower() in (".tif", ".tiff"))
    return sorted(file for file in files if not file.name.startswith("."))


def _ordered(folder: pathlib.Path, files: list[pathlib.Path]) -> list[pathlib.Path]:
    """The frames in the order of the running number in their names."""
    if not files:
        raise InputError(
            f"{folder} holds no frames; a movie is a folder of TIFF files (t000.tif, t001.tif, ...) "
            "or one TIFF stack."
        )
    parts = [re.split(r"(\d+)", file.stem) for file in files]
    for file, part in zip(files, parts):
        if part[::2] != parts[0][::2]:
            raise InputError(
                f"{folder} holds both {files[0].name} and {file.name}; "
                "the frames of a movie are named alike but for a running number."
            )
    numbers = np.asarray([[int(digits) for digits in part[1::2]] for part in parts], np.object_)
    counting = [column for column in range(numbers.shape[1]) if len(set(numbers[:, column])) > 1]
    if len(counting) > 1:
        raise InputError(
            f"{folder} holds frames whose names differ in {len(counting)} numbers "
            f"({files[0].name}, ..., {files[-1].name}); only one may run."
        )
    frames = numbers[:, counting[0]] if counting else np.zeros(len(files), np.object_)
    ordered = sorted(zip(frames.tolist(), files))
    for (number, file), (following, next_file) in itertools.pairwise(ordered):
        if following == number:
            raise InputError(f"{folder} holds {file.name} and {next_file.name}, which have the same number.")
        if following != number + 1:
            raise InputError(
                f"{folder} lacks frame {number + 1}: {next_file.name} follows {file.name}; "
                "frames are numbered without a gap."
            )
    return [file for _, file in ordered]


def _check_frame(header: TiffHeader, first: TiffHeader) -> None:
    """Checks that a frame of a folder is one plane with the size and type of the first frame."""
    if header.planes > 1:
        raise InputError(
            f"{header.path} holds {header.planes} planes, as a 3-D stack does; each file of a folder is one "
            "two-dimensional frame (a stack along time is opened by the path of the file itself)."
        )
    for what, here, there in (
        ("size", " x ".join(map(str, header.shape)), " x ".join(map(str, first.shape))),
        ("type", header.dtype.name, first.dtype.name),
    ):
        if here != there:
            raise InputError(
                f"{header.path} has the {what} {here}, but {first.path.name} has {there}; "
                "all frames must agree."
            )
