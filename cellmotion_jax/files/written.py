"""Files that are either complete or as they were before."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import pathlib
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence

from cellmotion_jax.files import interruption
from cellmotion_jax.files.failures import failures_named
from cellmotion_jax.files.locks import locked
from cellmotion_jax.files.places import (
    file_place,
    lock_beside,
    missing_parents,
    parents_made,
    partial_beside,
    usual_mode,
)

_owned: list[pathlib.Path] = []


@contextlib.contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a path beside ``path`` to write a file to, and renames it when the block ends well.

    Whoever reads ``path`` sees the old contents, or nothing, or the new contents, never a part of them.
    If the block fails, what it wrote is removed. What a killed process has left there is overwritten.

    Args:
        path: A file, replaced if it exists, with its permissions and its group. Parents are made.

    Yields:
        A path that does not exist yet, with the suffix of ``path``.

    Raises:
        InputError: If no file can be written there, or another process is writing it.
        OutputFailed: If the disk is full.
    """
    place = file_place(path)
    with contextlib.ExitStack() as stack:
        # A link may lead to a file with another suffix; writers choose the format by the one of `path`.
        partial, lock = partial_beside(place, suffix=pathlib.Path(path).suffix), lock_beside(place)
        if not is_owned(place):
            stack.enter_context(failures_named(path, place, partial, lock, *missing_parents(place)))
            stack.enter_context(parents_made(place))
            stack.enter_context(locked(lock, place=os.fspath(path)))
        place.parent.mkdir(parents=True, exist_ok=True)
        stack.enter_context(removed(partial))
        yield partial
        _sync(partial)
        _take_permissions(partial, place)
        with interruption.postponed():
            os.replace(partial, place)


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


@contextlib.contextmanager
def owned(folder: pathlib.Path) -> Iterator[None]:
    """Within the block this process alone writes to the folder; its own writer locks it."""
    _owned.append(folder)
    try:
        yield
    finally:
        _owned.remove(folder)


def is_owned(place: pathlib.Path) -> bool:
    """Whether a place lies within a folder that is `owned`."""
    return any(folder in place.parents for folder in _owned)


@contextlib.contextmanager
def removed(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields ``path``, which is temporary: absent at the beginning of the block, removed at the end."""
    remove(path)
    with interruption.undone_at_end(lambda: remove(path, patiently=True)):
        try:
            yield path
        finally:
            remove(path)


def remove(path: pathlib.Path, *, patiently: bool = False) -> None:
    """Removes a file or a folder, if there is one.

    Args:
        path: The file or folder.
        patiently: Try again for a while, since another thread may still write to it.

    Raises:
        OSError: If it cannot be removed.
    """
    for waits in range(100 if patiently else 0, -1, -1):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            return
        except OSError:
            if not waits:
                raise
            time.sleep(0.01)


def _sync(path: pathlib.Path) -> None:
    """Asks the storage whether it has all of a file; some report only now that they are full."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _take_permissions(partial: pathlib.Path, place: pathlib.Path) -> None:
    """Gives a new file the permissions of the one it replaces, or those of every new file."""
    old = place.stat() if place.exists() else None
    if old is not None and hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # Not a member of the group
            os.chown(partial, -1, old.st_gid)
    with contextlib.suppress(OSError):  # File systems without permissions
        partial.chmod(usual_mode() if old is None else old.st_mode & 0o7777)
