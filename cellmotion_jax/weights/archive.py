"""Reading of zip archives, the container of ``.npz``, ``.keras`` and new ``.pth`` files."""

from __future__ import annotations

import contextlib
import io
import math
import pathlib
import warnings
import zipfile
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.dtypes import as_numbers
from cellmotion_jax.weights.limits import check_size
from cellmotion_jax.weights.refusals import quoted

LARGEST_LIST = 2**23
"""Bytes of an archive's list of members that are read: that of a hundred thousand members."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # The bit of a member's flags.
_ARRAY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextlib.contextmanager
def open_archive(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive and checks that its members have unique names and a plausible size.

    Args:
        path: The file.

    Yields:
        The archive; reading a member checks its checksum.

    Raises:
        InputError: If two members have one name, if a member is encrypted or compressed in a way that weight
            files are not, if members share bytes, or if they would fill the memory.
        zipfile.BadZipFile: If the file is damaged.
    """
    with _ShortReads(path) as file, zipfile.ZipFile(file) as archive:
        file.longest = None
        members = archive.infolist()
        seen: set[str] = set()
        for member in members:
            if member.filename in seen:
                raise InputError(
                    f"{path} holds two members called {quoted(member.filename)}; which one counts is unclear."
                )
            seen.add(member.filename)
            if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
                how = "encrypted" if member.flag_bits & _ENCRYPTED else "compressed in an unusual way"
                raise InputError(
                    f"{path} holds {quoted(member.filename)} {how}; save the weights again, stored or "
                    "deflated."
                )
        if sum(member.compress_size for member in members) > path.stat().st_size:
            raise zipfile.BadZipFile("its members are longer than the file or share bytes")
        check_size(path, sum(member.file_size for member in members))
        yield archive


class _ShortReads(io.FileIO):
    """A file that refuses to be read in long pieces, as the list of the members of an archive may be."""

    longest: int | None = LARGEST_LIST

    def __init__(self, path: pathlib.Path):
        super().__init__(path)
        self.path = path

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads as any file does, as long as `longest` allows it."""
        if self.longest is not None and (size or 0) > self.longest:
            raise InputError(f"{self.path} lists more members than weights have, or is damaged.")
        return super().read(size)


def read_npz(path: pathlib.Path, archive: zipfile.ZipFile) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads the arrays of an ``.npz`` file; float16 stays float16.

    Args:
        path: The file.
        archive: The same, open, with members ``NAME.npy`` only.

    Returns:
        The arrays by their names without ``.npy``, read-only.

    Raises:
        InputError: If a member holds Python objects or anything but real numbers.
        ValueError: If a member is damaged.
    """
    tensors = {}
    for member in archive.namelist():
        name = member.removesuffix(".npy")
        array = _array(path, name, archive.read(member))
        tensors[name] = as_numbers(array, name=name, path=path)
    return tensors


def _array(path: pathlib.Path, name: str, contents: bytes) -> Shaped[np.ndarray, "..."]:
    """The array in an ``.npy`` file in memory, a view of it.

    ``numpy.load`` would allocate what the header says before it finds out what is there.
    """
    stream = io.BytesIO(contents)
    version = np.lib.format.read_magic(stream)
    if version not in _ARRAY_HEADERS:
        raise InputError(f"{path} holds {quoted(name)} in version {version} of .npy, which is of records.")
    with warnings.catch_warnings():
        # The header is a piece of Python, and Python warns of strange ones.
        warnings.simplefilter("ignore")
        try:
            shape, by_columns, dtype = _ARRAY_HEADERS[version](stream)
        except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError) as error:
            raise ValueError(f"the header of {quoted(name)} cannot be read") from error
    if dtype.hasobject:
        raise InputError(
            f"{path} holds {quoted(name)} as Python objects, which are never unpickled; save plain arrays."
        )
    data = memoryview(contents)[stream.tell() :]
    if dtype.subdtype or not dtype.itemsize or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{quoted(name)} has {len(data)} bytes, not those of {dtype} {shape}"[:200])
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
