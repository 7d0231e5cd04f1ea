"""An open TIFF file and the decoding of one of its pages."""

from __future__ import annotations

import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tifffile
from jaxtyping import Num

from cellmotion_jax.data.tiff_pages import check_data, check_deflated, check_jpeg, check_layout
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import refusal

WHAT = "a TIFF file"


class PagePlace(NamedTuple):
    """Where a page of a TIFF file is."""

    number: int
    """Number of the page, counted from 0."""
    offset: int
    """Place in the file of its list of tags, in bytes."""


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


def read_page(
    path: pathlib.Path, file: tifffile.TiffFile, place: PagePlace, shape: tuple[int, ...], dtype: np.dtype
) -> Num[np.ndarray, "..."]:
    """Decodes one page of an open file, after a check of what it declares.

    The page is read where it begins: looked up by its number it would cost a walk along the list of all pages
    before it.

    Args:
        path: The file.
        file: The open file.
        place: Where the page is.
        shape: Shape that it should have.
        dtype: Type that it should have, in any byte order.

    Returns:
        The pixels, in the machine's byte order.

    Raises:
        InputError: If the page is of another shape or type, too large, or has too few bytes.
    """
    file.filehandle.seek(place.offset)
    page = tifffile.TiffPage(file, place.number)
    check_layout(path, page)
    check_data(path, page, file.filehandle.size)
    check_jpeg(path, page, file)
    check_deflated(path, page, file)
    dtype = dtype.newbyteorder("=")
    if page.shape == shape and page.dtype == dtype:
        pixels = page.asarray()
        if pixels.shape == shape and pixels.dtype == dtype:
            return pixels
    raise InputError(
        f"{path} is damaged: its page {place.number} is no image like the first, {shape} of {dtype}."
    )
