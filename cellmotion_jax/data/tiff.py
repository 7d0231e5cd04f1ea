"""Reading of a TIFF file: planes, completeness check and pixel size."""

from __future__ import annotations

import contextlib
import logging
import math
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tifffile
from jaxtyping import Integer, Num

from cellmotion_jax.data.tiff_chain import PageChain, read_chain
from cellmotion_jax.data.tiff_notes import check_notes, pixel_size_um
from cellmotion_jax.data.tiff_pages import check_data, check_deflated, check_jpeg, check_layout, has_palette
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import refusal, require_regular_file

WHAT = "a TIFF file"


class TiffHeader(NamedTuple):
    """Contents of a TIFF file, without its pixels.

    Attributes:
        path: The file.
        planes: Number of 2-D images.
        shape: Their size, (y, x).
        dtype: Their type, in the byte order of the file.
        pixel_size_um: Side of a pixel in micrometres, None where the file does not say.
        pixels_at: Offset in the file of the bytes of all planes, if they are contiguous; else None.
        pages: Index of the page of each plane; without meaning if the planes are contiguous.
        channels: 1 for grey, 3 for red, green and blue.
        palette: Whether the pixels are numbers of colours that are no scale from dark to bright.
    """

    path: pathlib.Path
    planes: int
    shape: tuple[int, int]
    dtype: np.dtype
    pixel_size_um: float | None
    pixels_at: int | None
    pages: tuple[int, ...]
    channels: int
    palette: bool


def read_header(path: pathlib.Path, *, colour: bool = False) -> TiffHeader:
    """Reads the tags of a TIFF file and checks that the file is complete.

    Args:
        path: A file with one two-dimensional grey image, or with a stack of equal ones along time.
        colour: Images are red, green and blue, interleaved, instead of grey.

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
        check_notes(path, file, pages=chain.pages)
        if _written_one_by_one(file):
            file.is_shaped = False  # type: ignore[attr-defined]
        series = file.series[0]
        if len(file.series) > 1:
            sizes = " and ".join(" x ".join(map(str, part.shape)) for part in file.series[:2])
            raise InputError(f"{path} holds several series of images ({sizes}); a movie is one series.")
        if series.is_multifile:
            raise InputError(f"{path} is one part of a movie in several files; save it as one file.")
        _check_axes(path, series.axes, series.shape, colour=colour)
        if series.dtype is None or series.dtype.kind not in "uif":
            raise InputError(f"{path} holds {series.dtype} pixels; integers or real numbers are right.")
        shape, channels = (series.shape[:-1], 3) if colour else (series.shape, 1)
        planes = shape[0] if len(shape) == 3 else 1
        pages = _check_whole(path, file, series, planes, chain)
        y, x = shape[-2:]
        dtype = series.dtype.newbyteorder(file.byteorder)
        return TiffHeader(
            path=path,
            planes=planes,
            shape=(y, x),
            dtype=dtype,
            pixel_size_um=pixel_size_um(file),
            pixels_at=series.dataoffset,
            pages=pages,
            channels=channels,
            palette=has_palette(file.pages.first) and not file.is_imagej,
        )


def read_plane(header: TiffHeader, index: int = 0) -> Num[np.ndarray, "y x *channel"]:
    """Reads one image of a file.

    Args:
        header: Header from `read_header`.
        index: Index of the plane, counted from 0.

    Returns:
        The pixels as they are stored, in the machine's byte order; [y x], or [y x 3] of a colour image.

    Raises:
        InputError: If the pixels cannot be decoded.
    """
    shape = header.shape if header.channels == 1 else (*header.shape, header.channels)
    if header.pixels_at is None:
        with open_tiff(header.path) as file:
            return read_page(header.path, file, header.pages[index], shape, header.dtype)
    # Found by arithmetic, since ImageJ may give only the first of many planes a page.
    count = math.prod(shape)
    try:
        with header.path.open("rb", buffering=0) as file:
            pixels = np.fromfile(
                file, header.dtype, count, offset=header.pixels_at + index * count * header.dtype.itemsize
            )
    except OSError as error:
        raise refusal(header.path, error, what=WHAT) from error
    if len(pixels) < count:
        raise InputError(f"{header.path} is truncated: it was longer when it was opened.")
    return pixels.astype(header.dtype.newbyteorder("="), copy=False).reshape(shape)


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


def read_page(
    path: pathlib.Path, file: tifffile.TiffFile, index: int, shape: tuple[int, ...], dtype: np.dtype
) -> Num[np.ndarray, "..."]:
    """Decodes one page of an open file, after a check of what it declares.

    Args:
        path: The file.
        file: The open file.
        index: Index of the page.
        shape: Shape that it should have.
        dtype: Type that it should have, in any byte order.

    Returns:
        The pixels, in the machine's byte order.

    Raises:
        InputError: If the page is of another shape or type, too large, or has too few bytes.
    """
    page = file.pages.get(index)
    if not isinstance(page, tifffile.TiffPage):
        raise InputError(f"{path} is damaged: its page {index} cannot be read alone.")
    check_layout(path, page)
    check_data(path, page, file.filehandle.size)
    check_jpeg(path, page, file)
    check_deflated(path, page, file)
    dtype = dtype.newbyteorder("=")
    if page.shape == shape and page.dtype == dtype:
        pixels = page.asarray()
        if pixels.shape == shape and pixels.dtype == dtype:
            return pixels
    raise InputError(f"{path} is damaged: its page {index} is no image like the first, {shape} of {dtype}.")


@contextlib.contextmanager
def open_tiff(path: pathlib.Path) -> Iterator[tifffile.TiffFile]:
    """Opens a TIFF file; any error of tifffile inside the block is raised as an InputError.

    Args:
        path: An ordinary file.

    Yields:
        The file, of which at least the first page can be read.

    Raises:
        InputError: If it is no TIFF, or damaged.
    """
    # tifffile reports damage to its logger as well, which would print a second, more cryptic line.
    logger = logging.getLogger("tifffile")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with tifffile.TiffFile(path, is_ndpi=False) as file:
            if not file.pages:
                raise InputError(f"{path} is truncated or no TIFF (it holds no image); copy it again.")
            yield file
    except InputError:
        raise
    except FileNotFoundError as error:
        raise refusal(path, error, what=WHAT) from error
    except MemoryError as error:
        raise InputError(f"{path} needs more memory than there is; use a machine with more.") from error
    # tifffile trusts the tags of a file: those of a damaged one end in errors of almost any class.
    except Exception as error:
        if "imagecodecs" in str(error):
            raise InputError(
                f"{path} is compressed in a way that needs the package imagecodecs; "
                "install it, or save the file uncompressed or with deflate."
            ) from error
        said = str(error).strip().partition("\n")[0][:100] or type(error).__name__
        raise InputError(
            f"{path} is truncated or no TIFF ({said}); copy it again from where it came."
        ) from error
    finally:
        logger.disabled = was_disabled


def _written_one_by_one(file: tifffile.TiffFile) -> bool:
    """Whether the metadata that tifffile wrote on the first page describes a single plane.

    A program that appends frame after frame leaves one such note per page, and tifffile would then take
    every frame for a series of its own; without the notes they are one series, along time.
    """
    note = file.pages.first.shaped_description
    return note is not None and len(tifffile.tifffile.shaped_description_metadata(note)["shape"]) == 2


def _check_axes(path: pathlib.Path, axes: str, shape: tuple[int, ...], *, colour: bool) -> None:
    """Raises InputError unless the axes are one plane or planes along time; I and Q are undeclared axes."""
    if colour:
        if not axes.endswith("YXS") or shape[-1] != 3:
            size = " x ".join(map(str, shape))
            raise InputError(
                f"{path} holds no images of red, green and blue (axes {axes}, {size}); save it as RGB with "
                "interleaved colours."
            )
        axes, shape = axes[:-1], shape[:-1]
    if axes == "YX" or (len(axes) == 3 and axes[0] in "TIQ" and axes[1:] == "YX"):
        return
    size = " x ".join(map(str, shape))
    if "Z" in axes:
        raise InputError(
            f"{path} is a 3-D stack (axes {axes}, {size}); movies are two-dimensional: "
            "project or pick a slice, and if the slices are time points, save them as frames."
        )
    if axes == "SYX":
        raise InputError(
            f"{path} has colours or channels (axes {axes}, {size}); save one grey channel, or, if these are "
            "the "
            "frames of a short movie, every frame as a file of its own."
        )
    if "C" in axes or "S" in axes:
        raise InputError(f"{path} has colours or channels (axes {axes}, {size}); save one grey channel.")
    raise InputError(f"{path} has the axes {axes} ({size}); a movie has the axes TYX.")


def _check_whole(
    path: pathlib.Path,
    file: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    planes: int,
    chain: PageChain,
) -> tuple[int, ...]:
    """Raises InputError for a file that ends before its last pixel or within its list of pages.

    Returns:
        Index of the page of each plane; none if the planes are contiguous.
    """
    size, indices = file.filehandle.size, ()
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
        indices = tuple(int(page.index) for page in pages)
    # ImageJ may list one page only and say in words how many planes follow it.
    announced = max(planes, (file.imagej_metadata or {}).get("images", planes))
    found = planes if series.dataoffset is not None else len(indices)
    if not chain.whole or announced > found:
        raise InputError(f"{path} is truncated: its planes break off after the first {min(found, planes)}.")
    return indices
