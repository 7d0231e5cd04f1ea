"""Checks of the place of an output, before any work is done for it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat
from collections.abc import Iterator

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import interruption

_PARTIAL, _LOCK = ".cellmotion-partial", ".cellmotion-lock"
_HIDDEN = len(f".{_PARTIAL}")
"""Bytes by which the hidden names beside an output are longer than its own."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def file_place(path: str | os.PathLike[str]) -> pathlib.Path:
    """Where a file is to be written.

    Args:
        path: As the user calls it. A link to a file is followed, so that the file is replaced, not the link.

    Returns:
        The absolute path of a file, or of nothing yet.

    Raises:
        InputError: If the name cannot be one, or something that is no file has it.
    """
    return _place(path, wanted=stat.S_IFREG)


def folder_place(path: str | os.PathLike[str]) -> pathlib.Path:
    """Where a folder is to be written.

    Args:
        path: As the user calls it. A link to a folder is followed, so that the folder is filled.

    Returns:
        The absolute path of a folder, or of nothing yet.

    Raises:
        InputError: If the name cannot be one, or something that is no folder has it.
    """
    return _place(path, wanted=stat.S_IFDIR)


def partial_beside(place: pathlib.Path, *, suffix: str | None = None) -> pathlib.Path:
    """The hidden name, with the same suffix or another, of an output that is not complete yet."""
    return place.with_name(f".{place.stem}{_PARTIAL}{place.suffix if suffix is None else suffix}")


def lock_beside(place: pathlib.Path) -> pathlib.Path:
    """The file whose owner alone writes an output."""
    return place.with_name(f".{place.name}{_LOCK}")


def missing_parents(place: pathlib.Path) -> list[pathlib.Path]:
    """The folders above a place that do not exist, the lowest first."""
    return [parent for parent in place.parents if not parent.exists()]


@contextlib.contextmanager
def parents_made(place: pathlib.Path) -> Iterator[None]:
    """Makes the folders above a place; where the block leaves them empty, they are removed again."""
    missing = missing_parents(place)

    def remove() -> None:
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()

    with interruption.undone_at_end(remove):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            yield
        finally:
            remove()


def usual_mode() -> int:
    """The permissions of new files of this process."""
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask


def _place(path: str | os.PathLike[str], *, wanted: int) -> pathlib.Path:
    text, what = os.fspath(path), _KINDS[wanted].removeprefix("a ")
    if "\0" in text:
        raise InputError(f"{text!r} holds a NUL character, which no name of a {what} can.")
    path = pathlib.Path(text)
    if path.name in ("", ".."):
        raise InputError(f"{text!r} names no {what} to write; give one, such as {path / 'result'}.")
    try:
        place = path.resolve(strict=path.is_symlink())
        found = place.stat() if os.path.lexists(place) else None
    except FileNotFoundError:
        raise InputError(
            f"{text} is a link to {os.readlink(path)}, which does not exist; make it, or give another name."
        ) from None
    except (OSError, RuntimeError) as error:  # A RuntimeError is a loop of links, until Python 3.12.
        reason = error.strerror if isinstance(error, OSError) else "a loop of links"
        raise InputError(f"{text} cannot be written ({reason}); give another name.") from error
    if found is not None and stat.S_IFMT(found.st_mode) != wanted:
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "of another kind")
        raise InputError(f"{text} is {kind}, and a {what} is written there; give another name.")
    for system in ("/dev", "/proc", "/sys"):
        # Their links to open files (/dev/stdout) would lead to a file that is replaced, not written to.
        if path.absolute().is_relative_to(system) and not path.absolute().is_relative_to("/dev/shm"):
            raise InputError(f"{text} is in {system}, which keeps no files; give another name.")
    if place.parent == place:
        raise InputError(f"{text} is the root of all folders; give one to make, such as {place / 'result'}.")
    for above in place.parents:
        if above.exists():
            if not above.is_dir():
                raise InputError(f"{text} cannot be written: {above} is no folder; give another name.")
            _require_short(text, place.relative_to(above), above)
            break
    return place


def _require_short(text: str, new: pathlib.Path, above: pathlib.Path) -> None:
    try:
        longest = os.pathconf(above, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):
        longest = 255
    for part in new.parts:
        if len(os.fsencode(part)) > longest - _HIDDEN:
            raise InputError(
                f"{text[:60]}... has a name of {len(os.fsencode(part))} bytes; {longest - _HIDDEN} are the "
                "most."
            )
