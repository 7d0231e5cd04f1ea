"""Safe reading of HDF5 files: links and datasets that refer to other files are refused."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import h5py
import numpy as np
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.dtypes import as_numbers
from cellmotion_jax.weights.limits import check_size
from cellmotion_jax.weights.refusals import plain, quoted


@contextlib.contextmanager
def open_hdf5(path: pathlib.Path, image: bytes | None = None) -> Iterator[h5py.File]:
    """Opens an HDF5 file for reading; refuses everything that could make HDF5 open another file.

    HDF5's library itself notices a file that was cut off, but trusts most other bytes: a file whose structure
    was altered can make it crash or loop for ever. So it is opened in a process of its own, see
    `keras_files`.

    Args:
        path: The file.
        image: Contents of an HDF5 file that lies inside ``path``; without it, ``path`` itself is opened.

    Yields:
        The file. Soft and external links, virtual and external datasets have been ruled out, so it can
        be indexed without care.

    Raises:
        InputError: If one of these is there, or if the datasets would fill the memory.
        OSError, ValueError: If the file is damaged.
    """
    opened = path if image is None else h5py.h5f.open_file_image(image)
    with h5py.File(opened, "r") as file:
        _check_self_contained(path, file)
        yield file


def group_at(parent: h5py.Group, name: str) -> h5py.Group:
    """A group inside another.

    Args:
        parent: A group of a file from `open_hdf5`.
        name: Name of the group, or a path from the given group.

    Returns:
        The group.

    Raises:
        KeyError: If nothing has this name.
        TypeError: If it is something else than a group.
    """
    entry = parent[name]
    if not isinstance(entry, h5py.Group):
        raise TypeError(f"{name!r} is no group")
    return entry


def read_dataset(parent: h5py.Group, name: str, *, path: pathlib.Path) -> Shaped[np.ndarray, "..."]:
    """Reads one dataset.

    Args:
        parent: A group of a file from `open_hdf5`.
        name: The name of the dataset, or its path from there.
        path: The file.

    Returns:
        Its numbers; bfloat16 as float32.

    Raises:
        InputError: If it holds text, objects, records or complex numbers.
        KeyError: If nothing has this name.
        TypeError: If it is something else than a dataset.
    """
    entry = parent[name]
    if not isinstance(entry, h5py.Dataset):
        raise TypeError(f"{name!r} is no dataset")
    if entry.dtype.hasobject:
        raise InputError(
            f"{path} holds {quoted(name)} of type {plain(str(entry.dtype))}; weights are real numbers."
        )
    return as_numbers(np.asarray(entry[()]), name=name, path=path)


def all_datasets(path: pathlib.Path, file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every dataset of a file, each once.

    h5py's own visits end with a `SystemError` at some kinds of damage, and they follow links.

    Args:
        path: The file.
        file: The same, open.

    Yields:
        The path of a dataset from the root, without a slash before it, and the dataset.

    Raises:
        InputError: If there is a soft or an external link.
    """
    waiting: list[tuple[str, h5py.Group]] = [("", file)]
    seen: set[h5py.HLObject] = {file["/"]}
    while waiting:
        above, group = waiting.pop()
        for name in group:
            place = f"{above}{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InputError(
                    f"{path} has the link {quoted(place)} in place of data; save the data themselves."
                )
            entry = group[name]
            # Two names may stand for one object, and a group may even hold itself.
            if entry in seen:
                continue
            seen.add(entry)
            if isinstance(entry, h5py.Group):
                waiting.append((f"{place}/", entry))
            elif isinstance(entry, h5py.Dataset):
                yield place, entry


def _check_self_contained(path: pathlib.Path, file: h5py.File) -> None:
    announced = 0
    for name, dataset in all_datasets(path, file):
        if dataset.is_virtual or dataset.external:
            raise InputError(f"{path} keeps the data of {quoted(name)} in other files; save all in one file.")
        announced += dataset.nbytes
    check_size(path, announced)
