"""Reading of a TIFF file: planes, completeness check, pixel size and frame interval."""

from __future__ import annotations

import math
import pathlib
from typing import NamedTuple

import numpy as np
import tifffile
from jaxtyping import Integer, Num

from cellmotion_jax.data.axes import AxesChoice, Frames, find_frames
from cellmotion_jax.data.tiff_chain import PageChain, read_chain
from cellmotion_jax.data.tiff_file import WHAT, PagePlace, open_tiff, read_page
from cellmotion_jax.data.tiff_notes import Notes, check_notes, read_notes
from cellmotion_jax.data.tiff_pages import check_data, check_layout, has_palette
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import refusal, require_regular_file


class TiffHeader(NamedTuple):
    """Contents of a TIFF file, without its pixels.

    Attributes:
        path: The file.
        frames: Which planes are read, their size and samples.
        dtype: Type of the pixels, in the byte order of the file.
        notes: Size of a pixel and frame interval.
        pixels_at: Offset in the file of the bytes of all planes, if they are contiguous; else None.
        pages: Place of every page; none if the planes are contiguous.
        stored: Shape of a decoded page, which may hold several planes; without meaning if they are
            contiguous.
        colour: Whether images are red, green and blue.
        palette: Whether the pixels are numbers of colours that are no scale from dark to bright.
    """

    path: pathlib.Path
    frames: Frames
    dtype: np.dtype
    notes: Notes
    pixels_at: int | None
    pages: tuple[PagePlace, ...]
    stored: tuple[int, ...]
    colour: bool
    palette: bool

    @property
    def planes(self) -> int:
        """Number of images that are read."""
        return len(self.frames.planes)

    @property
    def shape(self) -> tuple[int, int]:
        """Size of every image, (y, x)."""
        return self.frames.shape

    @property
    def channels(self) -> int:
        """1 for grey, 3 for red, green and blue."""
        return 3 if self.colour else 1

    @property
    def pixel_size_um(self) -> float | None:
        """Side of a pixel in micrometres, None where the file does not say."""
        return self.notes.pixel_size_um

    @property
    def frame_interval_s(self) -> float | None:
        """Seconds from frame to frame, None where the file does not say."""
        return self.notes.frame_interval_s

    def plane_name(self, index: int) -> str:
        """Name of an image for messages."""
        return f"{self.path.name} page {self.frames.planes[index]}"

    def read(self, index: int) -> Num[np.ndarray, "y x *channel"]:
        """Reads one image, as `read_plane`."""
        return read_plane(self, index)


def read_header(
    path: pathlib.Path,
    *,
    colour: bool = False,
    choice: AxesChoice | None = None,
    single_file: bool = True,
) -> TiffHeader:
    """Reads the tags of a TIFF file and checks that the file is complete.

    Args:
        path: A file with one two-dimensional grey image, or with a stack of equal ones along time.
        colour: Images are red, green and blue, interleaved, instead of grey.
        choice: What the user says of axes and channels. None where there are no such options: then slices,
            channels and colours are refused. Otherwise colours that are equal in the first image are grey.
        single_file: The notes of OME describe this file. False for a part of an OME-TIFF in several files,
            whose pages are read in their order, without these notes.

    Returns:
        The header.

    Raises:
        InputError: If the file is absent, truncated or no TIFF, if its images differ in size, if they have
            slices, channels or other colours, or if they are neither integers nor real numbers.
    """
    require_regular_file(path, what=WHAT)
    chain = read_chain(path)
    with open_tiff(path) as file:
        check_layout(path, file.pages.first)
        if single_file:
            check_notes(path, file, pages=chain.pages)
        else:
            file.is_ome = False
        if _written_one_by_one(file):
            file.is_shaped = False  # type: ignore[attr-defined]
        notes = read_notes(file) if single_file else Notes()
        series = file.series[0]
        if len(file.series) > 1:
            sizes = " and ".join(" x ".join(map(str, part.shape)) for part in file.series[:2])
            raise InputError(f"{path} holds several series of images ({sizes}); a movie is one series.")
        if series.is_multifile:
            raise InputError(f"{path} is one part of a movie in several files; save it as one file.")
        frames = find_frames(
            path, series.axes, series.shape, choice=choice, names=notes.channels, colour=colour
        )
        if series.dtype is None or series.dtype.kind not in "uif":
            raise InputError(f"{path} holds {series.dtype} pixels; integers or real numbers are right.")
        unit = math.prod(frames.shape) * frames.samples
        if math.prod(file.pages.first.shape) % unit:
            raise InputError(f"{path} has pages that are no whole images of the axes {series.axes}.")
        per_page = math.prod(file.pages.first.shape) // unit
        planes = math.prod(series.shape) // unit
        header = TiffHeader(
            path=path,
            frames=frames,
            dtype=series.dtype.newbyteorder(file.byteorder),
            notes=notes,
            pixels_at=series.dataoffset,
            pages=_check_whole(path, file, series, planes, per_page, chain),
            stored=file.pages.first.shape,
            colour=colour,
            palette=has_palette(file.pages.first) and not file.is_imagej,
        )
    if frames.samples > 1 and frames.sample is None and not colour:
        header.read(0)  # Colours that differ are refused before work begins.
    return header


def read_plane(header: TiffHeader, index: int = 0) -> Num[np.ndarray, "y x *channel"]:
    """Reads one image of a file, at a cost that does not depend on its place.

    Args:
        header: Header from `read_header`.
        index: Index of the image, counted from 0.

    Returns:
        The pixels as they are stored, in the machine's byte order; [y x], or [y x 3] of a colour image.

    Raises:
        InputError: If the pixels cannot be decoded, or a grey image is stored as colours that differ.
    """
    frames = header.frames
    plane = frames.planes[index]
    shape = frames.shape if frames.samples == 1 else (*frames.shape, frames.samples)
    if header.pixels_at is None:
        per_page = math.prod(header.stored) // math.prod(shape)
        with open_tiff(header.path) as file:
            place = header.pages[plane // per_page]
            page = read_page(header.path, file, place, header.stored, header.dtype)
        pixels = page.reshape(per_page, *shape)[plane % per_page]
    else:
        pixels = _read_contiguous(header, header.pixels_at, plane, shape)
    if frames.samples == 1 or header.colour:
        return pixels
    if frames.sample is not None:
        return np.ascontiguousarray(pixels[..., frames.sample])
    return _grey(pixels, header, index)


def _read_contiguous(
    header: TiffHeader, pixels_at: int, plane: int, shape: tuple[int, ...]
) -> Num[np.ndarray, "y x *channel"]:
    # Found by arithmetic, since ImageJ may give only the first of many planes a page.
    count = math.prod(shape)
    try:
        with header.path.open("rb", buffering=0) as file:
            pixels = np.fromfile(
                file, header.dtype, count, offset=pixels_at + plane * count * header.dtype.itemsize
            )
    except OSError as error:
        raise refusal(header.path, error, what=WHAT) from error
    if len(pixels) < count:
        raise InputError(f"{header.path} is truncated: it was longer when it was opened.")
    return pixels.astype(header.dtype.newbyteorder("="), copy=False).reshape(shape)


def _grey(pixels: Num[np.ndarray, "y x sample"], header: TiffHeader, index: int) -> Num[np.ndarray, "y x"]:
    """The grey image of equal colours; a fourth sample is opacity."""
    grey = pixels[..., 0]
    if not all(np.array_equal(grey, pixels[..., colour], equal_nan=True) for colour in (1, 2)):
        raise InputError(
            f"{header.path} has colours or channels, and red, green and blue differ in "
            f"{header.plane_name(index)}; choose one by --channel: 0 (red), 1 (green), 2 (blue)."
        )
    return np.ascontiguousarray(grey)


def whole_labels(image: Num[np.ndarray, "y x"], source: str) -> Integer[np.ndarray, "y x"]:
    """Labels as whole numbers; programs such as Fiji and ilastik store them as floats.

    Args:
        image: A label image.
        source: Name of the image, for messages.

    Returns:
        The same values, as integers.

    Raises:
        InputError: If a value is no whole number.
    """
    if image.dtype.kind in "ui":
        return image
    # Of a complex or Boolean image none is one.
    real = image.astype(np.float64) if image.dtype.kind == "f" else np.full(image.shape, np.nan)
    whole = (real == np.floor(real)) & (np.abs(real) < 2**53)
    if not whole.all():
        raise InputError(
            f"{source} holds {image[~whole][0]} ({image.dtype}); labels are whole numbers (uint16)."
        )
    return real.astype(np.int64)


def _written_one_by_one(file: tifffile.TiffFile) -> bool:
    """Whether the metadata that tifffile wrote on the first page describes a single plane.

    A program that appends frame after frame leaves one such note per page, and tifffile would then take
    every frame for a series of its own; without the notes they are one series, along time.
    """
    note = file.pages.first.shaped_description
    return note is not None and len(tifffile.tifffile.shaped_description_metadata(note)["shape"]) == 2


def _check_whole(
    path: pathlib.Path,
    file: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    planes: int,
    per_page: int,
    chain: PageChain,
) -> tuple[PagePlace, ...]:
    """Raises InputError for a file that ends before its last pixel or within its list of pages.

    Returns:
        Place of every page; none if the planes are contiguous.
    """
    size, places = file.filehandle.size, ()
    if series.dataoffset is not None:
        needed = series.dataoffset + series.nbytes
        if not isinstance(needed, int):
            raise InputError(f"{path} is damaged: its pixels begin at {repr(series.dataoffset)[:30]}.")
        if needed > size:
            raise InputError(f"{path} is truncated: it has {size} bytes of at least {needed}; copy it again.")
    else:
        pages = [page for page in series if page is not None]
        for page in pages:
            check_data(path, page, size)
        places = tuple(PagePlace(int(page.index), int(page.offset)) for page in pages)
    # ImageJ may list one page only and say in words how many planes follow it.
    announced = max(planes, (file.imagej_metadata or {}).get("images", planes))
    found = planes if series.dataoffset is not None else len(places) * per_page
    if not chain.whole or announced > found:
        raise InputError(f"{path} is truncated: its planes break off after the first {min(found, planes)}.")
    return places
