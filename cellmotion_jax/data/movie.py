"""Movies as lazy sequences of two-dimensional frames, from TIFF files, TIFF stacks and OME-Zarr."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from jaxtyping import Num

from cellmotion_jax.data.axes import AxesChoice
from cellmotion_jax.data.frame_files import list_tiffs, order_frames
from cellmotion_jax.data.ome_files import OmeSet, is_companion, open_ome_set, read_ome_set
from cellmotion_jax.data.ome_zarr import is_zarr, open_ome_zarr
from cellmotion_jax.data.tiff import TiffHeader, read_header, whole_labels
from cellmotion_jax.errors import InputError
from cellmotion_jax.settings import MicronsPerPixel, check_argument


@runtime_checkable
class FrameSource(Protocol):
    """A file or folder that holds frames of a movie."""

    @property
    def path(self) -> pathlib.Path:
        """The file or folder."""
        ...

    @property
    def channels(self) -> int:
        """1 for frames of grey values, 3 for red, green and blue."""
        ...

    def read(self, index: int) -> Num[np.ndarray, "y x *channel"]:
        """Reads a frame by its index in this source."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Movie:
    """Frames of one field of view; ``len(movie)``, ``movie[t]`` and iteration read from the disk as needed.

    Nothing is cached: memory does not grow with the movie's length, and every frame costs the same.

    Attributes:
        path: The folder or file that was opened.
        shape: Size of every frame, (y, x), in pixels.
        dtype: Type of every frame.
        frame_names: One name per frame for messages, e.g. ``t017.tif`` or ``stack.tif page 17``.
        pixel_size_um: Side of a pixel in micrometres, None where neither the caller nor the file says.
        planes: File of each frame, and index of the frame in it.
        frame_interval_s: Seconds from frame to frame, None where the files do not say.
        labels: Frames are label images: whole numbers, also where they are stored as floats.
    """

    path: pathlib.Path
    shape: tuple[int, int]
    dtype: np.dtype
    frame_names: tuple[str, ...]
    pixel_size_um: float | None
    planes: tuple[tuple[FrameSource, int], ...]
    frame_interval_s: float | None = dataclasses.field(default=None, kw_only=True)
    labels: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def channels(self) -> int:
        """1 for frames [y x] of grey values, 3 for frames [y x 3] of red, green and blue."""
        return self.planes[0][0].channels

    def __len__(self) -> int:
        return len(self.planes)

    def __getitem__(self, frame: SupportsIndex) -> Num[np.ndarray, "y x *channel"]:
        source, index = self.planes[frame]
        image = source.read(index)
        return whole_labels(image, f"{self.path}, {self.frame_names[frame]}") if self.labels else image


def open_movie(
    path: str | os.PathLike[str],
    *,
    pixel_size_um: float | None = None,
    axes: str | None = None,
    channel: str | int | None = None,
    pattern: str | None = None,
    colour: bool = False,
    labels: bool = False,
) -> Movie:
    """Opens a folder of TIFF frames, a TIFF stack, an OME-TIFF in several files, or an OME-Zarr.

    Pixels are read when a frame is indexed. In a folder every file is one frame. The names differ only in one
    running number, with or without leading zeros, which orders the frames; it may start anywhere but may not
    have gaps; or in a time such as ``00d00h15m``, in equal steps. In a stack, planes without a declared axis
    are taken as time; slices are none unless ``axes`` says so, and of several channels one is to be chosen.
    Colours that are equal are grey. Every header is read at once, so that a bad frame is found before work
    begins.

    Args:
        path: Folder or file.
        pixel_size_um: Side of a pixel in micrometres; overrides the file's own notes (OME, ImageJ, or TIFF
            tags, see `data.tiff_notes.read_notes`), which count only if the pixels are square and from 0.001
            to 50 um.
        axes: What the axes of a file are, a letter for each in the order of the file, where the file does not
            say it or says it wrongly: T, C, Z, Y, X, or S for interleaved samples. With it the files of a
            folder may hold several frames each.
        channel: Number from 0, or name, of the channel to read; needed where there are several.
        pattern: Which files of a folder are frames, ``*`` for any characters.
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
    choice = None if labels else AxesChoice(axes, None if channel is None else str(channel))
    is_folder = os.path.isdir(path)
    if pattern is not None and (not is_folder or is_zarr(path)):
        raise InputError(f"pattern is {pattern!r}, but {path} is no folder of TIFF files; leave it out.")
    if is_folder and is_zarr(path):
        found = _of_zarr(path, choice, colour=colour)
    elif is_folder:
        found = _of_folder(path, choice, pattern, colour=colour)
    elif (not colour or is_companion(path)) and (parts := read_ome_set(path)) is not None:
        found = _of_set(parts, choice, colour=colour)
    else:
        found = _of_stack(path, choice, colour=colour)
    first, _ = found.planes[0]
    if isinstance(first, TiffHeader) and first.palette and not labels:
        raise InputError(f"{first.path} has a palette of colours; save it as grey.")
    dtype = np.dtype(np.int64) if labels and found.dtype.kind == "f" else found.dtype.newbyteorder("=")
    return Movie(
        path,
        found.shape,
        dtype,
        tuple(_frame_name(source, index, in_folder=is_folder) for source, index in found.planes),
        pixel_size_um or found.pixel_size_um,
        found.planes,
        frame_interval_s=found.frame_interval_s,
        labels=labels,
    )


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


class _Found(NamedTuple):
    """Frames, and what their files say of them."""

    planes: tuple[tuple[FrameSource, int], ...]
    dtype: np.dtype
    shape: tuple[int, int]
    pixel_size_um: float | None
    frame_interval_s: float | None


def _of_zarr(path: pathlib.Path, choice: AxesChoice | None, *, colour: bool) -> _Found:
    source = open_ome_zarr(path, choice=choice, colour=colour)
    planes = tuple((source, index) for index in range(len(source.frames.planes)))
    return _Found(planes, source.dtype, source.frames.shape, *source.notes[:2])


def _of_stack(path: pathlib.Path, choice: AxesChoice | None, *, colour: bool) -> _Found:
    header = read_header(path, colour=colour, choice=choice)
    return _Found(_planes([header]), header.dtype, header.shape, *header.notes[:2])


def _of_set(parts: OmeSet, choice: AxesChoice | None, *, colour: bool) -> _Found:
    planes = tuple(open_ome_set(parts, choice=choice, colour=colour))
    headers = {header.path: header for header, _ in planes}.values()
    first, _ = planes[0]
    for header in headers:
        _check_alike(header, first)
    return _Found(planes, first.dtype, first.shape, *parts.notes[:2])


def _of_folder(
    folder: pathlib.Path, choice: AxesChoice | None, pattern: str | None, *, colour: bool
) -> _Found:
    listed = list_tiffs(folder)
    parts = read_ome_set(listed[0]) if listed and not colour else None
    if parts is not None and pattern is None and parts.names == {file.name for file in listed}:
        return _of_set(parts, choice, colour=colour)
    ordered = order_frames(folder, pattern=pattern)
    # Files of a set that were renamed, or of which some are chosen, are read in the order of their names.
    headers = [
        read_header(file, colour=colour, choice=choice, single_file=parts is None) for file in ordered.files
    ]
    for header in headers:
        if choice is None or choice.axes is None:
            _check_single(header, told=choice is not None)
        _check_alike(header, headers[0])
    first = headers[0]
    notes = first.notes if parts is None else parts.notes
    interval = ordered.interval_s or notes.frame_interval_s
    return _Found(_planes(headers), first.dtype, first.shape, notes.pixel_size_um, interval)


def _planes(headers: Sequence[TiffHeader]) -> tuple[tuple[FrameSource, int], ...]:
    return tuple((header, index) for header in headers for index in range(header.planes))


def _frame_name(source: FrameSource, index: int, *, in_folder: bool) -> str:
    if not isinstance(source, TiffHeader):
        return f"{source.path.name} frame {index}"
    return source.path.name if in_folder and source.planes == 1 else source.plane_name(index)


def _check_single(header: TiffHeader, *, told: bool) -> None:
    """Checks that a file of a folder is one plane, unless the user says what its axes are."""
    if header.planes > 1:
        option = "; if each file holds some time points of one movie, give --axes TYX" if told else ""
        raise InputError(
            f"{header.path} holds {header.planes} planes, as a 3-D stack does; each file of a folder is one "
            "two-dimensional frame (a stack along time is opened by the path of the file itself"
            f"{option})."
        )


def _check_alike(header: TiffHeader, first: TiffHeader) -> None:
    """Checks that a file has frames of the size and type of the first file."""
    for what, here, there in (
        ("size", " x ".join(map(str, header.shape)), " x ".join(map(str, first.shape))),
        ("type", header.dtype.name, first.dtype.name),
    ):
        if here != there:
            raise InputError(
                f"{header.path} has the {what} {here}, but {first.path.name} has {there}; "
                "all frames must agree."
            )
