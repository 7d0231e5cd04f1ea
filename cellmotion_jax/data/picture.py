"""Reading of single images, TIFF or PNG, grey or RGB."""

from __future__ import annotations

import contextlib
import pathlib
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import PIL.Image
from jaxtyping import Num

from cellmotion_jax.data.tiff import read_header, read_plane
from cellmotion_jax.data.tiff_chain import read_chain
from cellmotion_jax.data.tiff_file import WHAT, PagePlace, open_tiff, read_page
from cellmotion_jax.data.tiff_pages import MOST_PIXELS, check_layout
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import require_regular_file

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
    colour = _colour_shape(path)
    if colour is not None:
        (first, second, third), dtype = colour
        return PictureHeader((second, third) if first == 3 else (first, second), 3, dtype)
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
    if path.suffix.lower() == ".png":
        with _open_png(path) as file:
            pixels = np.asarray(file)
    elif (colour := _colour_shape(path)) is not None:
        shape, dtype = colour
        with open_tiff(path) as file:
            place = PagePlace(0, file.pages.first.offset)
            pixels = read_page(path, file, place, shape, dtype)
        pixels = np.moveaxis(pixels, 0, -1) if shape[0] == 3 else pixels
    else:
        pixels = read_plane(read_header(path))
    return pixels if pixels.ndim == 3 else pixels[..., None]


@contextlib.contextmanager
def _open_png(path: pathlib.Path) -> Iterator[PIL.Image.Image]:
    """Opens a PNG file and checks what it declares; any error of Pillow inside the block is an InputError."""
    require_regular_file(path, what="a PNG file")
    try:
        with warnings.catch_warnings():
            # Pillow warns of images that are within our limit.
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            file = PIL.Image.open(path, formats=["PNG"])
        with file:
            _check_png(path, file)
            yield file
    except InputError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise InputError(
            f"{path} declares too large an image; up to {MOST_PIXELS:,} pixels are read."
        ) from error
    # What Pillow raises on damaged files is of many classes.
    except Exception as error:
        said = str(error).strip().partition("\n")[0][:100] or type(error).__name__
        said = "no PNG" if isinstance(error, PIL.UnidentifiedImageError) else said
        raise InputError(
            f"{path} is truncated or no PNG ({said}); copy it again from where it came."
        ) from error


def _check_png(path: pathlib.Path, file: PIL.Image.Image) -> None:
    if file.mode not in _PNG_MODES:
        raise InputError(
            f"{path} is a PNG of mode {file.mode}; save it as grey or RGB, without alpha channel or palette."
        )
    if getattr(file, "is_animated", False):
        raise InputError(f"{path} is an animated PNG; an annotated image is one picture.")
    channels, dtype = _PNG_MODES[file.mode]
    pixels, stored = file.height * file.width, path.stat().st_size
    # Images of 1 bit are read as grey; deflate makes at most 1032 bytes of one.
    if pixels > MOST_PIXELS or pixels * channels * dtype.itemsize > 8 * (1040 * stored + 2**16):
        raise InputError(
            f"{path} declares {file.height} x {file.width} pixels in {stored} bytes; up to {MOST_PIXELS:,} "
            "pixels are "
            "read, and not more than the file can hold."
        )


def _colour_shape(path: pathlib.Path) -> tuple[tuple[int, ...], np.dtype] | None:
    """Shape and type of the pixels of an RGB TIFF as they are stored; None for any other TIFF."""
    require_regular_file(path, what=WHAT)
    chain = read_chain(path)
    with open_tiff(path) as file:
        page = file.pages.first
        check_layout(path, page)
        if page.samplesperpixel != 3 or chain.pages != 1 or page.dtype is None or page.imagedepth != 1:
            return None
        return page.shape, page.dtype
