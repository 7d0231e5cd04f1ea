"""Reading of a TIFF file: planes, completeness check and pixel size."""

from __future__ import annotations

import contextlib
import logging
import math
import pathlib
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tifffile
from jaxtyping import Num

from cellmotion_jax.errors import InputError

# What tifffile and zlib raise on files that are cut off, overwritten or no TIFF at all. RuntimeError is the
# common base of what imagecodecs, which tifffile prefers to zlib where it is installed, raises instead.
_DAMAGE = (
    tifffile.TiffFileError,
    ValueError,
    OSError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
    RuntimeError,
)
_MICRONS_PER_UNIT = {
    **dict.fromkeys(("micron", "microns", "um", "µm", "μm", "\\u00B5m", "micrometer"), 1.0),
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
}
# 72 dots per inch, the commonest of the printing defaults that are no calibration, would be 353 um.
_LARGEST_BELIEVED_PIXEL_UM = 50.0


class TiffHeader(NamedTuple):
    """Contents of a TIFF file, without its pixels.

    Attributes:
        path: The file.
        planes: Number of 2-D images.
        shape: Their size, (y, x).
        dtype: Their type, in the byte order of the file.
        pixel_size_um: Side of a pixel in micrometres, None where the file does not say.
        pixels_at: Offset in the file of the bytes of all planes, if they are contiguous; else None.
        channels: 1 for grey, 3 for red, green and blue.
    """

    path: pathlib.Path
    planes: int
    shape: tuple[int, int]
    dtype: np.dtype
    pixel_size_um: float | None
    pixels_at: int | None
    channels: int


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
    with _open(path) as file:
        series = file.series[0]
        if len(file.series) > 1:
            sizes = " and ".join(" x ".join(map(str, part.shape)) for part in file.series[:2])
            raise InputError(f"{path} holds several series of images ({sizes}); a movie is one series.")
        if series.is_multifile:
            raise InputError(f"{path} is one part of an OME-TIFF in several files; save it as one file.")
        _check_axes(path, series.axes, series.shape, colour=colour)
        if series.dtype is None or series.dtype.kind not in "uif":
            raise InputError(f"{path} holds {series.dtype} pixels; integers or real numbers are right.")
        shape, channels = (series.shape[:-1], 3) if colour else (series.shape, 1)
        planes = shape[0] if len(shape) == 3 else 1
        _check_whole(path, file, series, planes)
        y, x = shape[-2:]
        dtype = series.dtype.newbyteorder(file.byteorder)
        return TiffHeader(path, planes, (y, x), dtype, _pixel_size_um(file), series.dataoffset, channels)


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
    with _open(header.path) as file:
        if header.pixels_at is None:
            return file.pages[index].asarray()
        # Found by arithmetic, since ImageJ may give only the first of many planes a page.
        shape = header.shape if header.channels == 1 else (*header.shape, header.channels)
        count = math.prod(shape)
        offset = header.pixels_at + index * count * header.dtype.itemsize
        pixels = file.filehandle.read_array(header.dtype, count=count, offset=offset)
        return pixels.astype(header.dtype.newbyteorder("="), copy=False).reshape(shape)


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator[tifffile.TiffFile]:
    """Opens a TIFF file; any error of tifffile inside the block is raised as an InputError."""
    # tifffile reports damage to its logger as well, which would print a second, more cryptic line.
    logger = logging.getLogger("tifffile")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with tifffile.TiffFile(path) as file:
            separate = _written_one_by_one(file)
        with tifffile.TiffFile(path, is_shaped=False if separate else None) as file:
            yield file
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; it should be a TIFF file.") from error
    except _DAMAGE as error:
        if "imagecodecs" in str(error):
            raise InputError(
                f"{path} is compressed in a way that needs the package imagecodecs; "
                "install it, or save the file uncompressed or with deflate."
            ) from error
        raise InputError(
            f"{path} is truncated or no TIFF ({error}); copy it again from where it came."
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
    if "C" in axes or "S" in axes:
        raise InputError(f"{path} has colours or channels (axes {axes}, {size}); save one grey channel.")
    raise InputError(f"{path} has the axes {axes} ({size}); a movie has the axes TYX.")


def _check_whole(
    path: pathlib.Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries, planes: int
) -> None:
    """Raises InputError for a file that ends before its last pixel or within its list of pages."""
    size = file.filehandle.size
    if series.dataoffset is not None:
        needed = series.dataoffset + series.nbytes
    else:
        pages = [page for page in series if page is not None]
        needed = max(sum(last) for page in pages for last in zip(page.dataoffsets, page.databytecounts))
    if needed > size:
        raise InputError(f"{path} is truncated: it has {size} bytes of at least {needed}; copy it again.")
    file.filehandle.seek(file.pages.next_page_offset or 0)
    tail = file.filehandle.read(file.tiff.offsetsize)
    # The last page points to 0. ImageJ may list one page only and say in words how many planes follow it.
    announced = (file.imagej_metadata or {}).get("images", planes)
    if tail.strip(b"\0") or len(tail) < file.tiff.offsetsize or announced > planes:
        raise InputError(f"{path} is truncated: its planes break off after the first {planes}.")


def _pixel_size_um(file: tifffile.TiffFile) -> float | None:
    """Side of a pixel from the OME, ImageJ or centimetre tags, in this order; None if none is credible."""
    if file.is_ome and file.ome_metadata:
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
        pixels = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
        unit = _MICRONS_PER_UNIT.get(pixels.get("PhysicalSizeXUnit", "µm"))
        sizes = pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeY")
        return _square([size * unit for size in sizes if size]) if unit and all(sizes) else None
    page = file.pages.first
    if "XResolution" not in page.tags or "YResolution" not in page.tags:
        return None
    if file.is_imagej:
        unit = _MICRONS_PER_UNIT.get((file.imagej_metadata or {}).get("unit", ""))
    else:
        unit = 1e4 if page.tags.valueof("ResolutionUnit") == tifffile.RESUNIT.CENTIMETER else None
    resolutions = [page.tags[name].value for name in ("XResolution", "YResolution")]
    if unit is None or any(pixels == 0 or length == 0 for pixels, length in resolutions):
        return None
    return _square([unit * length / pixels for pixels, length in resolutions])


def _square(sizes: list[float]) -> float | None:
    """The common side of a pixel, None if its sides differ by more than a percent or are implausible."""
    width, height = sizes
    credible = 0 < width < _LARGEST_BELIEVED_PIXEL_UM and math.isclose(width, height, rel_tol=0.01)
    return width if credible else None
