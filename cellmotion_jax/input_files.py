"""Opening of files that a user hands in: what is no ordinary file, or beyond a limit, is refused at once."""

from __future__ import annotations

import decimal
import errno
import json
import math
import os
import pathlib
import re
import stat
from typing import Any

from cellmotion_jax.errors import InputError

_DECIMAL = re.compile("[+-]?[0-9]{1,40}([.][0-9]{0,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
LARGEST_TEXT = 2**28
"""Bytes of a text file that are read; a table of a million tracks has a tenth of it."""
DEEPEST_JSON = 64
"""Levels of lists and objects within one another that are read."""
MOST_DIGITS = 30
"""Digits of a whole number that are read; no number of pixels, cells or bytes has as many."""
_TEXT_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def require_regular_file(path: str | os.PathLike[str], *, what: str) -> pathlib.Path:
    """Checks that a path leads to an ordinary file that can be opened; it never waits, as for a pipe.

    Args:
        path: The file; links to files are followed.
        what: What it should be, with its article, e.g. ``a TIFF file``.

    Returns:
        The path.

    Raises:
        InputError: If it is absent, a folder, pipe or device, a link to nothing or to itself, may not be
            read, or has a name that no file can have.
    """
    path = pathlib.Path(path)
    try:
        # Only the kind is asked for first: opening a device may already do something.
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            os.close(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)))
            return path
    except (OSError, ValueError) as error:
        raise refusal(path, error, what=what) from error
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no ordinary file")
    raise InputError(f"{path} is {kind}; it should be {what}.")


def require_folder(path: str | os.PathLike[str], *, what: str) -> pathlib.Path:
    """Checks that a path leads to a folder whose contents can be listed.

    Args:
        path: The folder; links to folders are followed.
        what: What it should be, with its article, e.g. ``a folder of TIFF frames``.

    Returns:
        The path.

    Raises:
        InputError: If it is absent, no folder, or may not be read.
    """
    path = pathlib.Path(path)
    try:
        with os.scandir(path):
            return path
    except (OSError, ValueError) as error:
        raise refusal(path, error, what=what) from error


def refusal(path: pathlib.Path, error: OSError | ValueError, *, what: str) -> InputError:
    """The sentence for an error of the operating system.

    Args:
        path: The file or folder that could not be opened.
        error: What was raised; a ValueError is that of a name with the character NUL.
        what: What it should be, with its article.

    Returns:
        The error to raise.
    """
    if not isinstance(error, OSError):
        return InputError(f"{str(path)!r} is no name that a file can have; give the path of {what}.")
    if error.errno == errno.ENOENT:
        if path.is_symlink():
            return InputError(f"{path} is a link to {os.readlink(path)}, which does not exist.")
        return InputError(f"{path} does not exist; it should be {what}.")
    if error.errno == errno.ENAMETOOLONG:
        return InputError(f"{str(path)[:60]}... is too long for the name of a file; give {what}.")
    if error.errno == errno.ELOOP:
        return InputError(f"{path} is a link that leads back to itself; it should be {what}.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return InputError(f"{path} may not be read by you; ask its owner for the permission.")
    if error.errno == errno.ENOTDIR:
        lies = "is no folder" if os.path.lexists(path) else "lies in a file, which is no folder"
        return InputError(f"{path} {lies}; it should be {what}.")
    return InputError(f"{path} cannot be read ({error.strerror}); it should be {what}.")


def whole_number(text: str) -> int | None:
    """The whole number that a field of a table holds, also as programs write it that know decimals only.

    Args:
        text: A field, for example ``7``, ``7.0`` or ``7.000e+00``; white space around it does not matter.

    Returns:
        The number; None if it is none, not whole, or has more than 18 digits.

    >>> whole_number(" 7.00e1"), whole_number("-3"), whole_number("7.5"), whole_number("1e400")
    (70, -3, None, None)
    """
    if not _DECIMAL.fullmatch(text.strip()):
        return None
    value = decimal.Decimal(text.strip())
    # Before it is compared: a number of a billion digits would be written out.
    if value and not -20 < value.adjusted() < 18:
        return None
    return int(value) if value == value.to_integral_value() else None


def read_text(path: str | os.PathLike[str], *, what: str, largest: int = LARGEST_TEXT) -> str:
    """Reads a text file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        what: What it should be, with its article, e.g. ``a table of tracks``.
        largest: Bytes that it may have.

    Returns:
        The text.

    Raises:
        InputError: As `require_regular_file`, or if the file is larger or no text in UTF-8.
    """
    path = require_regular_file(path, what=what)
    try:
        with path.open("rb") as file:
            contents = file.read(largest + 1)
    except OSError as error:
        raise refusal(path, error, what=what) from error
    if len(contents) > largest:
        raise InputError(f"{path} has more than {largest:,} bytes, the most that {what} may have.")
    for mark, encoding in _TEXT_MARKS.items():
        if contents.startswith(mark):
            raise InputError(f"{path} is text in {encoding}; save it as UTF-8.")
    try:
        text = contents.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = contents.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path} is no text in UTF-8 (line {line}); it should be {what}.") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{path} is no text (line {line} holds the character NUL); it should be {what}.")
    return text


def read_json(path: str | os.PathLike[str], *, what: str, largest: int = LARGEST_TEXT) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        what: What it should be, with its article, e.g. ``the settings of a training``.
        largest: Bytes that it may have.

    Returns:
        The value.

    Raises:
        InputError: As `read_text` and `parse_json`.
    """
    return parse_json(read_text(path, what=what, largest=largest), source=str(path))


def parse_json(text: str, *, source: str) -> Any:
    """Reads JSON that a user's file holds.

    ``NaN`` and ``Infinity``, which Python writes, are read; whether they mean anything is for the caller.

    Args:
        text: The JSON.
        source: Where it is from, for messages.

    Returns:
        The value.

    Raises:
        InputError: If it is no JSON, nested more than `DEEPEST_JSON` times, or holds a whole number of more
            than `MOST_DIGITS` digits or one beyond the range of a float.
    """

    def whole(digits: str) -> int:
        if len(digits) > MOST_DIGITS:
            raise InputError(f"{source} holds a number of {len(digits)} digits ({digits[:10]}...).")
        return int(digits)

    def real(digits: str) -> float:
        if not math.isfinite(value := float(digits)):
            raise InputError(f"{source} holds the number {digits[:40]}, which is too large.")
        return value

    too_deep = f"{source} holds JSON that is nested more than {DEEPEST_JSON} times."
    try:
        value = json.loads(text, parse_int=whole, parse_float=real)
    except InputError:
        raise
    except RecursionError as error:
        raise InputError(too_deep) from error
    except ValueError as error:
        raise InputError(f"{source} holds no JSON that can be read ({error}).") from error
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [
            inner
            for outer in level
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise InputError(too_deep)
