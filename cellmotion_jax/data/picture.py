"""Reading of single images, TIFF or PNG, grey or RGB."""

from __future__ import annotations

import pathlib
import struct
import zlib
from typing import NamedTuple

import numpy as np
import PIL.Image
import tifffile
from jaxtyping import Num

from cellmotion_jax.data.tiff import read_header, read_plane
from cellmotion_jax.errors import InputError

SUFFIXES = (".png", ".tif", ".tiff")
# Channels and type of the PNG modes that are read; Pillow gives older 16-bit files the mode I.
_PNG_MODES = {
    "L": (1, np.dtype(np.uint8)),
    "I;16": (1, np.dtype(np.uint16)),
    "I": (1, np.dtype(np.int32)),
    "RGB": (3, np.dtype(np.uint8)),
}


class PictureHeader(NamedTuple):
    """Size, channels and type of an image file, without its pixels."""

    shape: tuple[int, int]
    """Size (y, x)."""
    channels: int
    """1 for grey, 3 for red, green and blue."""
    dtype: np.dtype
    """Type of the pixels."""


def read_picture_header(path: pathlib.Path) -> PictureHeader:
    """Reads size, channels and type of an image file.

    Args:
        path: A file that ends in one of `SUFFIXES`.

    Returns:
        The header.

    Raises:
        InputError: If the file is absent, damaged, three-dimensional, or neither grey nor RGB; images with an
            alpha channel or a palette are refused.
    """
    if path.suffix.lower() == ".png":
        with _open_png(path) as file:
            channels, dtype = _PNG_MODES[file.mode]
            return PictureHeader((file.height, file.width), channels, dtype)
    colour = _colour_header(path)
    if colour is not None:
        return colour
    header = read_header(path)
    if header.planes > 1:
        raise InputError(f"{path} holds {header.planes} planes; an annotated image is one plane.")
    return PictureHeader(header.shape, 1, header.dtype.newbyteorder("="))


def read_picture(path: pathlib.Path) -> Num[np.ndarray, "y x channel"]:
    """Reads the pixels of a file as they are stored.

    Args:
        path: A file that `read_picture_header` accepts. Of colour PNGs of 16 bits the upper 8 are read.

    Returns:
        The pixels, with 1 or 3 channels.

    Raises:
        InputError: As `read_picture_header`, or if the pixels cannot be decoded.
    """
    try:
        if path.suffix.lower() == ".png":
            with _open_png(path) as file:
                pixels = np.asarray(file)
        elif _colour_header(path) is not None:
            with tifffile.TiffFile(path) as file:
                page = file.pages.first
                pixels = page.asarray()
                pixels = np.moveaxis(pixels, 0, -1) if page.axes.startswith("S") else pixels
        else:
            pixels = read_plane(read_header(path))
    except InputError:
        raise
    # RuntimeError is what imagecodecs raises, with which tifffile decodes where it is installed.
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error, RuntimeError) as error:
        raise InputError(f"{path} is truncated or damaged ({error}); copy it again.") from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _open_png(path: pathlib.Path) -> PIL.Image.Image:
    """Opens a PNG file and checks that its mode is supported."""
    try:
        file = PIL.Image.open(path, formats=["PNG"])
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; it should be a PNG file.") from error
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path} is truncated or no PNG; copy it again from where it came.") from error
    if file.mode not in _PNG_MODES:
        file.close()
        raise InputError(
            f"{path} is a PNG of mode {file.mode}; save it as grey or RGB, without alpha channel or palette."
        )
    return file


def _colour_header(path: pathlib.Path) -> PictureHeader | None:
    """The header of an RGB TIFF; None for any other file, which `read_header` checks."""
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            if page.samplesperpixel != 3 or len(file.pages) != 1 or page.dtype is None:
                return None
            return PictureHeader((page.imagelength, page.imagewidth), 3, page.dtype)
    except (tifffile.TiffFileError, OSError, ValueError, struct.error):
        return None
