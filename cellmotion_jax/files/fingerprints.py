"""Records of the size and CRC-32 of every file of a folder, by which damage is found.

The record of a folder is a JSON file beside it. It is written last and renamed into place: a folder that
should have a record and has none was never finished.
"""

from __future__ import annotations

import json
import pathlib
import zlib

from cellmotion_jax.files.written import write_text


def record_of(folder: pathlib.Path) -> pathlib.Path:
    """The file that holds the record of a folder."""
    return folder.with_name(f"{folder.name}.json")


def write_record(folder: pathlib.Path) -> None:
    """Writes the record of a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    record = {str(file.relative_to(folder)): [file.stat().st_size, _crc32(file)] for file in files}
    write_text(record_of(folder), json.dumps(record, indent=1))


def damage(folder: pathlib.Path) -> str | None:
    """Compares a folder with its record.

    Args:
        folder: A folder whose record exists.

    Returns:
        A description of the first damage; None if there is none.
    """
    try:
        record = json.loads(record_of(folder).read_text(encoding="utf-8"))
        recorded = [(str(name), int(size), int(checksum)) for name, (size, checksum) in record.items()]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return f"{record_of(folder).name} is unreadable"
    for name, size, checksum in recorded:
        file = folder / name
        if not file.is_file():
            return f"{folder.name}/{name} is missing"
        if file.stat().st_size != size:
            return f"{folder.name}/{name} has {file.stat().st_size} of {size} bytes"
        if _crc32(file) != checksum:
            return f"{folder.name}/{name} has other contents than were written"
    return None


def _crc32(file: pathlib.Path) -> int:
    value = 0
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return value
