"""The list of pages (image file directories) of a TIFF file."""

from __future__ import annotations

import io
import os
import pathlib
import struct
from typing import NamedTuple

from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import refusal

_MOST_PAGES = 2**22
_MOST_TAGS = 4096


class _Form(NamedTuple):
    """Sizes of the numbers in a list of pages."""

    first: int
    """Offset of the offset of the first page."""
    tags: str
    """Type of the number of tags."""
    entry: int
    """Bytes of a tag."""
    pointer: str
    """Type of the offset of a page."""


_FORMS = {b"*\0": _Form(4, "H", 12, "I"), b"+\0": _Form(8, "Q", 20, "Q")}

# What else microscopes and their users save, by the first bytes.
_OTHER_FORMATS = {
    b"\xda\xce\xbe\x0a": "an ND2 file of Nikon",
    b"\x00\x00\x00\x0cjP  ": "an ND2 file of Nikon or JPEG 2000",
    b"ZISRAWFILE": "a CZI file of Zeiss",
    b"\xd0\xcf\x11\xe0": "a file of Olympus or Zeiss (OIB, ZVI)",
    b"p\x00\x00\x00": "a LIF file of Leica",
    b"\x89HDF": "an HDF5 file",
    b"RIFF": "an AVI file",
    b"\x89PNG": "a PNG file",
    b"\xff\xd8\xff": "a JPEG file",
    b"GIF8": "a GIF file",
    b"BM": "a BMP file",
    b"PK\x03\x04": "a ZIP file",
    b"\x1f\x8b": "a file packed by gzip",
}


class PageChain(NamedTuple):
    """The list of pages (image file directories) of a TIFF file."""

    pages: int
    """Number of pages that are there."""
    whole: bool
    """Whether the last of them says that it is the last."""


def read_chain(path: pathlib.Path) -> PageChain:
    """Follows the list of pages of a TIFF file, without reading their tags.

    Args:
        path: An ordinary file.

    Returns:
        Their number, and whether the list is complete.

    Raises:
        InputError: If it is no TIFF, or the list leads back to a page that it has passed.
    """
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(16)
            order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
            form = _FORMS.get(head[2:4] if order == "<" else head[3:1:-1])
            if not order or form is None or len(head) < form.first + struct.calcsize(form.pointer):
                raise _no_tiff(path, head)
            count, pointer = struct.Struct(order + form.tags), struct.Struct(order + form.pointer)
            (offset,) = pointer.unpack_from(head, form.first)
            seen: set[int] = set()
            while offset:
                if offset in seen:
                    raise InputError(
                        f"{path} is damaged: its list of images leads from the {len(seen)}th back to an "
                        "earlier one."
                    )
                if len(seen) == _MOST_PAGES:
                    raise InputError(
                        f"{path} lists more than {_MOST_PAGES:,} images; cut it into several files."
                    )
                # One look is enough for a page with as many tags as most have.
                page = _read_at(file, offset, 512)
                number = count.unpack_from(page)[0] if len(page) >= count.size else _MOST_TAGS + 1
                if number > _MOST_TAGS:
                    return PageChain(len(seen), whole=False)
                seen.add(offset)
                tags = count.size + number * form.entry
                link = page[tags : tags + pointer.size]
                if len(link) < pointer.size:
                    link = _read_at(file, offset + tags, pointer.size)
                if len(link) < pointer.size:
                    return PageChain(len(seen), whole=False)
                (offset,) = pointer.unpack(link)
            return PageChain(len(seen), whole=True)
    except OSError as error:
        raise refusal(path, error, what="a TIFF file") from error


def _no_tiff(path: pathlib.Path, head: bytes) -> InputError:
    """The sentence for a file that does not begin as a TIFF does."""
    for first, name in _OTHER_FORMATS.items():
        if head.startswith(first):
            return InputError(f"{path} is {name} and no TIFF; export it as TIFF.")
    begins = f"it begins with {head[:4]!r}" if head else "it is empty"
    return InputError(f"{path} is truncated or no TIFF ({begins}); copy it again from where it came.")


def _read_at(file: io.FileIO, offset: int, length: int) -> bytes:
    # The operating system refuses to go to places that no file can have.
    if offset >= os.fstat(file.fileno()).st_size:
        return b""
    file.seek(offset)
    return file.read(length)
