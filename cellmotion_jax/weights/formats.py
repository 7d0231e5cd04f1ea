"""Formats of weight files, told from their first bytes."""

from __future__ import annotations

import enum
import os

from cellmotion_jax.input_files import refusal, require_regular_file

READ = "Keras .h5, .weights.h5 or .keras, torch .pth, safetensors or .npz"
"""The formats that are read, for messages."""
LARGEST_HEADER = 2**24
"""Bytes of the header of a safetensors file that is read: that of a hundred thousand tensors."""


class Format(enum.Enum):
    """Format of a file; the values describe it to a user."""

    hdf5 = "an HDF5 file, as Keras writes"
    zip = "a zip archive, as torch, Keras and NumPy write"
    pickle = "a pickle, as torch wrote until version 1.5"
    safetensors = "a safetensors file"
    empty = "empty"
    other = "a file of an unknown format"
    array = "a single array of NumPy (.npy)"
    lfs = "a pointer of Git LFS to the file, which `git lfs pull` fetches"
    gzip = "a gzip archive, to be unpacked first"
    tar = "a tar archive, to be unpacked first"
    gguf = "a GGUF file"
    tiff = "a TIFF image"
    png = "a PNG image"
    markup = "a web page or XML"
    json = "text, such as JSON"


_BEGINNINGS = {
    b"\x89HDF\r\n\x1a\n": Format.hdf5,
    b"PK\x03\x04": Format.zip,
    # A pickle of protocol 2 or later names its protocol first.
    **{bytes((0x80, protocol)): Format.pickle for protocol in (2, 3, 4, 5)},
    b"\x93NUMPY": Format.array,
    b"version https://git-lfs": Format.lfs,
    b"\x1f\x8b": Format.gzip,
    b"GGUF": Format.gguf,
    b"II*\0": Format.tiff,
    b"MM\0*": Format.tiff,
    b"II+\0": Format.tiff,
    b"MM\0+": Format.tiff,
    b"\x89PNG": Format.png,
    b"<": Format.markup,
    b"{": Format.json,
    b"[": Format.json,
}


def file_format(path: str | os.PathLike[str], *, what: str = f"a file of weights ({READ})") -> Format:
    """Format of a file by its contents; its name plays no part.

    Args:
        path: The file.
        what: What it should be, with its article, for messages.

    Returns:
        The format.

    Raises:
        InputError: If it is no ordinary file, or may not be read.
    """
    path = require_regular_file(path, what=what)
    try:
        with path.open("rb") as file:
            head = file.read(300)
    except OSError as error:
        raise refusal(path, error, what=what) from error
    if not head:
        return Format.empty
    # The length of a JSON header, and the header's first letter.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LARGEST_HEADER:
        return Format.safetensors
    if head[257:262] == b"ustar":
        return Format.tar
    return next((kind for start, kind in _BEGINNINGS.items() if head.startswith(start)), Format.other)
