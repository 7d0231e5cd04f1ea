"""Folders that are either complete or absent, and folders of runs that are continued."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cellmotion_jax.errors import AlreadyComplete, InputError, OutputFailed
from cellmotion_jax.files import interruption
from cellmotion_jax.files.failures import failures_named, require_free
from cellmotion_jax.files.locks import Lock, close_at_end, locked
from cellmotion_jax.files.places import (
    folder_place,
    lock_beside,
    missing_parents,
    parents_made,
    partial_beside,
)
from cellmotion_jax.files.written import is_owned, owned, remove, removed


class NotEmpty(InputError):
    """The folder that is to be made holds something."""


class _Way(NamedTuple):
    """How a folder gets to its place."""

    place: pathlib.Path
    inside: bool
    """Whether the place exists: then the result is written into a folder in it, and moved up. The place may
    be a mounted volume, over which nothing can be renamed, and it keeps its permissions."""

    @property
    def neighbour(self) -> pathlib.Path:
        """The lock and the temporary folder lie beside it."""
        return self.place / "result" if self.inside else self.place

    @property
    def lock(self) -> pathlib.Path:
        return lock_beside(self.neighbour)

    @property
    def staging(self) -> pathlib.Path:
        """A hidden folder for the result, and for what is needed until it is complete."""
        return partial_beside(self.neighbour)

    @property
    def result(self) -> pathlib.Path:
        return self.staging / self.place.name

    def publish(self) -> None:
        """Moves the result to its place; goes on where a killed process had begun to.

        Raises:
            OSError: The place is as before.
        """
        if not self.inside:
            self.result.rename(self.place)
            return
        moved: list[tuple[pathlib.Path, pathlib.Path]] = []
        try:
            for child in sorted(self.result.iterdir()):
                target = self.place / child.name
                if os.path.lexists(target):
                    raise FileExistsError(errno.EEXIST, "it is there already, from elsewhere", str(target))
                child.rename(target)
                moved.append((child, target))
        except OSError:
            for child, target in moved:
                target.rename(child)
            raise


@contextlib.contextmanager
def output_folder(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields an empty folder to write a result to, and moves it to ``path`` when the block ends well.

    ``path`` either holds the whole result or is as it was before. The folder above the one that is yielded is
    temporary, too, and on the same disk. What a killed process has left is removed; a result that it had
    completed is moved to its place.

    Args:
        path: The folder to make. It may exist if it is empty. Parents are made.

    Yields:
        The folder to write to.

    Raises:
        InputError: If no folder can be written there, or another process is writing it.
        NotEmpty: If it holds something.
        OutputFailed: If the disk is full.
        AlreadyComplete: If the same command has completed it.
    """
    place = folder_place(path)
    way = _Way(place, inside=place.exists())
    with contextlib.ExitStack() as stack:
        lock = None if is_owned(place) else stack.enter_context(_locked(way, path))
        _require_empty(place, path)
        stack.enter_context(removed(way.staging))
        way.result.mkdir(parents=True)
        with owned(way.staging), interruption.keeping(f"nothing was written to {os.fspath(path)}"):
            yield way.result
        stack.enter_context(interruption.postponed())
        if lock:
            lock.note(complete=True)
        way.publish()
        if lock:
            # A command that is killed before it has said that it is done leaves the lock, which says so then.
            close_at_end(stack)


@contextlib.contextmanager
def run_folder(
    path: str | os.PathLike[str],
    *,
    worth_keeping: Callable[[pathlib.Path], bool],
    keeps: str = "its last checkpoint",
) -> Iterator[pathlib.Path]:
    """Makes or opens the folder of a run, in which this process alone writes within the block.

    Args:
        path: The folder. Parents are made.
        worth_keeping: Whether the folder holds anything of a run that ended by an `InputError`. If not, what
            was not in it before is removed.
        keeps: What the folder keeps of a run that is interrupted, for the message.

    Yields:
        The folder, absolute.

    Raises:
        InputError: If no folder can be made there, or another process is writing in it.
        OutputFailed: If the disk is full.
    """
    place = folder_place(path)
    with contextlib.ExitStack() as stack:
        stack.enter_context(failures_named(path, place, *missing_parents(place)))
        lock = lock_beside(place / "run")
        stack.enter_context(parents_made(lock))
        stack.enter_context(locked(lock, place=os.fspath(path)))
        kept = {lock, *(place.iterdir() if place.exists() else ())}
        require_free(path, place)
        stack.enter_context(owned(place))
        stack.enter_context(
            interruption.keeping(f"{os.fspath(path)} keeps {keeps}; the same command goes on from there")
        )
        try:
            yield place
        except InputError as error:
            if not isinstance(error, OutputFailed) and not worth_keeping(place):
                for child in {*place.iterdir()} - kept:
                    remove(child)
            raise


@contextlib.contextmanager
def _locked(way: _Way, path: str | os.PathLike[str]) -> Iterator[Lock]:
    """Locks the place of a result, after what a killed process has left there has been dealt with."""
    with (
        failures_named(path, way.place, way.staging, way.lock, *missing_parents(way.place)),
        parents_made(way.place),
    ):
        if way.inside and (beside := way._replace(inside=False)).lock.exists():
            with locked(beside.lock, place=os.fspath(path)) as lock:
                _settle(beside, lock, path)
        with locked(way.lock, place=os.fspath(path)) as lock:
            _settle(way, lock, path)
            require_free(path, way.neighbour.parent)
            yield lock


def remove_leftovers(folder: pathlib.Path, *others: str) -> None:
    """Removes what killed processes have left anywhere in a folder that this process alone writes to.

    Args:
        folder: The folder.
        others: Patterns of the names of temporary files and folders of other libraries.
    """
    patterns = (*(partial_beside(folder / name).name for name in ("*", "*.*")), *others)
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                # A signal may end a thread that still writes.
                remove(pathlib.Path(where, name), patiently=True)


def _settle(way: _Way, lock: Lock, path: str | os.PathLike[str]) -> None:
    """Removes what a killed process has left; had it completed the result, that is moved to its place.

    Raises:
        AlreadyComplete: If it ran the same command.
    """
    if lock.left.get("complete") and way.result.exists():
        way.publish()
    remove(way.staging)
    if lock.left_complete_by_same_command() and not _is_empty(way.place):
        raise AlreadyComplete(
            f"{os.fspath(path)} is complete: the same command wrote it, and was ended when it was done."
        )


def _is_empty(folder: pathlib.Path) -> bool:
    """Whether a folder is absent, or contains only our own names and what ext4 puts into every volume."""
    inside = _Way(folder, inside=True)
    known = {inside.lock.name, inside.staging.name, lock_beside(folder / "run").name, "lost+found"}
    return not folder.exists() or all(child.name in known for child in folder.iterdir())


def _require_empty(folder: pathlib.Path, path: str | os.PathLike[str]) -> None:
    if not _is_empty(folder):
        raise NotEmpty(f"{os.fspath(path)} exists and is not empty; give a folder that can be made.")
