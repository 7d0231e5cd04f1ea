"""Checks of the pages of a TIFF file before they are decoded: what they declare must be possible."""

from __future__ import annotations

import importlib.util
import math
import pathlib
import struct
import zlib

import numpy as np
import tifffile

from cellmotion_jax.errors import InputError

MOST_PIXELS = 2**27
"""Pixels of the largest image that is read."""
MOST_BYTES = 2**30
"""Bytes of the largest image that is read: so many pixels of float64."""
# Bytes that one stored byte can become. Of zstd and LZMA, which have no such limit, this is a generous guess.
_LARGEST_RATIO = {
    1: 1,
    5: 1500,
    7: 5000,
    8: 1040,
    32946: 1040,
    32773: 66,
    34925: 30000,
    34926: 30000,
    50000: 30000,
}
_SMALLEST_ALLOWANCE = 2**16
_DEFLATED = (tifffile.COMPRESSION.ADOBE_DEFLATE, tifffile.COMPRESSION.DEFLATE)
_STOPS_BY_ITSELF = importlib.util.find_spec("imagecodecs") is not None
# Bytes that a strip may become without a look at it, and bytes that are made at a time while looking.
_MOST_UNSEEN, _STEP = 2**30, 2**20
# Markers of the beginning of a frame, with its height and width.
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_NOT_GREY = {
    6: "YCbCr colours",
    8: "CIELab colours",
    9: "ICCLab colours",
    10: "ITULab colours",
    32803: "the raw mosaic of a colour camera",
    32844: "logarithms of luminance",
    32845: "LogLuv colours",
}


def check_layout(path: pathlib.Path, page: tifffile.TiffPage) -> None:
    """Checks that the images of a page are of a possible size and of a kind that is read.

    Args:
        path: The file.
        page: The page, or the first of several that are alike.

    Raises:
        InputError: If not; the sentence names the tag, the limit or what is not read.
    """
    for name, value in (
        ("width", page.imagewidth),
        ("height", page.imagelength),
        ("depth", page.imagedepth),
        ("number of samples per pixel", page.samplesperpixel),
        ("number of bits per sample", page.bitspersample),
        ("compression scheme", page.compression),
        *(
            (("width of tiles", page.tilewidth), ("height of tiles", page.tilelength))
            if page.is_tiled
            else ()
        ),
    ):
        if not isinstance(value, int) or value < 1:
            raise InputError(
                f"{path} is damaged: the {name} is {repr(value)[:30]}, which is no positive whole number."
            )
    if page.dtype is None:
        kind = getattr(page.sampleformat, "name", page.sampleformat)
        raise InputError(
            f"{path} holds samples of {page.bitspersample} bits in the format {kind}; integers of up to 64 "
            "bits or "
            "real numbers are right."
        )
    pixels = page.imagewidth * page.imagelength * page.imagedepth
    if pixels > MOST_PIXELS or pixels * page.samplesperpixel * page.dtype.itemsize > MOST_BYTES:
        raise InputError(
            f"{path} declares images of {page.imagelength} x {page.imagewidth} pixels of "
            f"{page.samplesperpixel} "
            f"times {page.dtype.itemsize} bytes; up to {MOST_PIXELS:,} pixels and {MOST_BYTES:,} bytes are "
            "read."
        )
    compression = getattr(page.compression, "name", page.compression)
    if page.compression not in _LARGEST_RATIO:
        raise InputError(
            f"{path} is compressed by the scheme {compression}, which is not read; save it uncompressed or "
            "with "
            "deflate."
        )
    if page.photometric in _NOT_GREY and page.compression != tifffile.COMPRESSION.JPEG:
        raise InputError(f"{path} holds {_NOT_GREY[page.photometric]}; save it as grey or RGB.")


def check_data(path: pathlib.Path, page: tifffile.TiffPage | tifffile.TiffFrame, size: int) -> None:
    """Checks that the stored bytes of an image can become as many as it declares.

    Args:
        path: The file.
        page: A page whose layout is checked.
        size: Bytes of the file.

    Raises:
        InputError: If strips or tiles are missing or beyond the end, or so few bytes cannot become the image.
    """
    key = page if isinstance(page, tifffile.TiffPage) else page.keyframe
    if key is None:
        raise InputError(f"{path} is damaged: its image {page.index} is unlike the others.")
    width, height = (key.tilewidth, key.tilelength) if key.is_tiled else (key.imagewidth, key.rowsperstrip)
    if not isinstance(height, int) or height < 1:
        raise InputError(f"{path} is damaged: its strips have {repr(height)[:30]} rows.")
    across, down = math.ceil(key.imagewidth / width), math.ceil(key.imagelength / height)
    separate = key.samplesperpixel if key.planarconfig == 2 else 1
    expected = across * down * separate * key.imagedepth
    offsets, counts = page.dataoffsets, page.databytecounts
    name = "tiles" if key.is_tiled else "strips"
    if min(len(offsets), len(counts)) < expected or min(offsets) < 1 or min(counts) < 1:
        raise InputError(
            f"{path} is truncated or damaged: image {page.index} lacks some of its {expected} {name}; copy "
            "it again."
        )
    ends = [offset + count for offset, count in zip(offsets, counts)]
    if max(ends) > size:
        raise InputError(
            f"{path} is truncated: it has {size} bytes of at least {max(ends)}; copy it again from where it "
            "came."
        )
    stored = min(sum(counts), max(ends) - min(offsets))
    rows = height * down if key.is_tiled else key.imagelength
    bits = width * key.bitspersample * key.samplesperpixel // separate
    declared = math.ceil(bits / 8) * across * rows * separate * key.imagedepth
    ratio = _LARGEST_RATIO[key.compression]
    if declared > ratio * stored + (0 if ratio == 1 else _SMALLEST_ALLOWANCE) or declared > 4 * MOST_BYTES:
        raise InputError(
            f"{path} is damaged: image {page.index} declares {declared} bytes in its {name}, but has "
            f"{stored}, "
            f"which cannot become as many."
        )


def check_jpeg(path: pathlib.Path, page: tifffile.TiffPage, file: tifffile.TiffFile) -> None:
    """Checks that the images in strips or tiles of JPEG, which have sizes of their own, are not larger.

    Args:
        path: The file.
        page: A page whose layout and data are checked.
        file: The open file.

    Raises:
        InputError: If one is larger.
    """
    if page.compression != tifffile.COMPRESSION.JPEG:
        return
    most = page.tilewidth * page.tilelength if page.is_tiled else page.imagewidth * page.rowsperstrip
    for offset, count in zip(page.dataoffsets, page.databytecounts):
        file.filehandle.seek(offset)
        data = file.filehandle.read(count)
        at = 2
        while at + 9 <= len(data) and data[at] == 0xFF and data[at + 1] not in _JPEG_FRAMES:
            # Fill bytes have no length.
            at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        height, width = struct.unpack(">HH", data[at + 5 : at + 9].ljust(4, b"\xff"))
        if height * width > most:
            raise InputError(
                f"{path} is damaged: image {page.index} holds JPEG of {height} x {width} pixels, where "
                f"{most} pixels "
                "are right."
            )


def check_deflated(path: pathlib.Path, page: tifffile.TiffPage, file: tifffile.TiffFile) -> None:
    """Checks that deflated strips or tiles do not become more than the image declares.

    The package imagecodecs, where it is installed, stops there by itself; the decoder of Python that tifffile
    falls back on does not. Only strips that could become large are looked at.

    Args:
        path: The file.
        page: A page whose layout and data are checked.
        file: The open file.

    Raises:
        InputError: If one becomes more.
    """
    if page.compression not in _DEFLATED or _STOPS_BY_ITSELF:
        return
    rows = page.tilelength * page.tilewidth if page.is_tiled else page.rowsperstrip * page.imagewidth
    most = rows * page.imagedepth * page.samplesperpixel * max(1, page.bitspersample // 8)
    for offset, count in zip(page.dataoffsets, page.databytecounts):
        if count * _LARGEST_RATIO[page.compression] <= _MOST_UNSEEN:
            continue
        file.filehandle.seek(offset)
        inflating, data, size = zlib.decompressobj(), file.filehandle.read(count), 0
        while data and not inflating.eof:
            size += len(inflating.decompress(data, _STEP))
            data = inflating.unconsumed_tail
            if size > most + _SMALLEST_ALLOWANCE:
                raise InputError(
                    f"{path} is damaged: image {page.index} holds strips that become more than the {most} "
                    "bytes that it declares."
                )


def has_palette(page: tifffile.TiffPage) -> bool:
    """Whether the pixels of a page are numbers of colours that do not go from dark to bright, or back."""
    colours = page.colormap
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or colours is None:
        return False
    steps = np.diff(np.asarray(colours, np.float64).sum(axis=0))
    return not ((steps >= 0).all() or (steps <= 0).all())
