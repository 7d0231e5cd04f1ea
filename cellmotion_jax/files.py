"""Files and folders that are either complete or absent."""

from __future__ import annotations

import contextlib
import csv
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Sequence

from cellmotion_jax.errors import InputError


@contextlib.contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a path beside ``path`` to write a file or a folder to, and renames it when the block ends well.

    Whoever reads ``path`` sees the old contents, or nothing, or the new contents, never a part of them.
    If the block fails, what it wrote is removed; a killed process leaves a ``.NAME.partial`` behind.

    Args:
        path: A file, replaced if it exists, or a folder, which must not exist or be empty. Parents are made.

    Yields:
        A path that does not exist yet, with the suffix of ``path``.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    _remove(partial)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        _remove(partial)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file that is either complete or as it was before."""
    with written_beside(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a table that is either complete or as it was before.

    Args:
        path: The CSV file, replaced if it exists.
        header: Names of the columns.
        rows: Values in their order.
    """
    with written_beside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def require_empty_folder(folder: pathlib.Path) -> None:
    """Leaves what is there alone: a folder to write is absent or empty.

    Raises:
        InputError: If it is neither.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; give a folder that can be made.")
