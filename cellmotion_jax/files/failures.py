"""A full disk, or another failure of the storage, as one sentence that names the output."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import shutil
from collections.abc import Iterator

from cellmotion_jax.errors import InputError, OutputFailed

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""These concern an output, whatever file is named."""
_ELSEWHERE_TOO = (errno.EIO,)
MINIMUM_FREE = 16 * 2**20
"""Bytes that have to be free where a result is written."""


@contextlib.contextmanager
def failures_named(output: str | os.PathLike[str], *places: pathlib.Path) -> Iterator[None]:
    """Turns a failure of the storage within the block into a sentence.

    Libraries wrap what the operating system reports in errors of their own, or repeat only its text.

    Args:
        output: The output, as the user calls it.
        places: Files and folders in which an error of any kind is one of this output.

    Raises:
        OutputFailed: Names the output and the reason.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = _reason(error, places)
        if reason is None:
            raise
        advice = "free some space" if _full(reason) else "give a place one can write to"
        raise OutputFailed(
            f"{os.fspath(output)} cannot be written: {reason}; {advice} and run the same command again."
        ) from error


def require_free(output: str | os.PathLike[str], folder: pathlib.Path, *, size: int = MINIMUM_FREE) -> None:
    """Refuses an output for which there is no space.

    Args:
        output: The output, as the user calls it.
        folder: A folder on its file system.
        size: Bytes that it needs at least.

    Raises:
        OutputFailed: If less is free.
    """
    total, _, free = shutil.disk_usage(folder)
    # Some file systems do not know, and report 0 of 0.
    if total and free < size:
        raise OutputFailed(
            f"{os.fspath(output)} cannot be written: {free / 2**20:,.1f} MB are free there, and at least "
            f"{size / 2**20:,.1f} MB are needed; free some space or give another place."
        )


def _full(reason: str) -> bool:
    return any(reason.startswith(os.strerror(number)) for number in _OF_WRITING)


def _reason(error: BaseException, places: tuple[pathlib.Path, ...]) -> str | None:
    """What the storage reported, None if it is not the storage."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError):
            if seen.errno in _OF_WRITING:
                return os.strerror(seen.errno)
            named = [name for name in (seen.filename, seen.filename2) if isinstance(name, str | os.PathLike)]
            for name in named:
                if seen.errno is not None and _inside(name, places):
                    return f"{os.fspath(name)}: {os.strerror(seen.errno)}"
            if not named and seen.errno in _ELSEWHERE_TOO:
                return os.strerror(seen.errno)
        else:
            text = str(seen)
            for number in (*_OF_WRITING, *_ELSEWHERE_TOO):
                if os.strerror(number) in text:
                    return os.strerror(number)
        seen = seen.__cause__ or seen.__context__
    return None


def _inside(name: str | os.PathLike[str], places: tuple[pathlib.Path, ...]) -> bool:
    path = pathlib.Path(os.path.abspath(name))
    return any(path == place or place in path.parents for place in places)
