"""Reading of zip archives, the container of ``.npz``, ``.keras`` and new ``.pth`` files."""

from __future__ import annotations

import contextlib
import io
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.dtypes import as_numbers
from cellmotion_jax.weights.limits import check_size


@contextlib.contextmanager
def open_archive(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive and checks that its members have unique names and a plausible size.

    Args:
        path: The file.

    Yields:
        The archive; reading a member checks its checksum.

    Raises:
        InputError: If two members have one name, or if they would fill the memory.
        zipfile.BadZipFile: If the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        seen: set[str] = set()
        for name in archive.namelist():
            if name in seen:
                raise InputError(f"{path} holds two members called {name!r}; which one counts is unclear.")
            seen.add(name)
        check_size(path, sum(member.file_size for member in archive.infolist()))
        yield archive


def read_npz(path: pathlib.Path, archive: zipfile.ZipFile) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads the arrays of an ``.npz`` file; float16 stays float16.

    Args:
        path: The file.
        archive: The same, open, with members ``NAME.npy`` only.

    Returns:
        The arrays by their names without ``.npy``.

    Raises:
        InputError: If a member holds Python objects or anything but real numbers.
    """
    tensors = {}
    for member in archive.namelist():
        name = member.removesuffix(".npy")
        try:
            array = np.load(io.BytesIO(archive.read(member)), allow_pickle=False)
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise InputError(
                f"{path} holds {name!r} as Python objects, which are never unpickled; save plain arrays."
            ) from error
        tensors[name] = as_numbers(array, name=name, path=path)
    return tensors
