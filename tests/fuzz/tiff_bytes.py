"""Sound TIFF files in memory, and changes to their bytes and tags."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
import tifffile


def written(image: np.ndarray, **options: Any) -> bytes:
    """The bytes of a TIFF file."""
    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


def variants(image: np.ndarray) -> dict[str, bytes]:
    """The same planes [time y x] of uint16 in the forms of TIFF that programs write, by name."""
    grey: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": "TYX"}}
    ome = {"ome": True, "metadata": {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}}
    return {
        "classic": written(image, **grey),
        "bare": written(image, photometric="minisblack", metadata=None),
        "big": written(image, bigtiff=True, **grey),
        "motorola": written(image, byteorder=">", **grey),
        "tiled": written(image, tile=(16, 16), **grey),
        "deflate": written(image, compression="zlib", **grey),
        "tiled deflate": written(image, compression="zlib", predictor=True, tile=(32, 32), **grey),
        "strips": written(image, rowsperstrip=7, **grey),
        "imagej": written(
            image, imagej=True, resolution=(2, 2), metadata={"unit": "um", "axes": "TYX", "finterval": 60}
        ),
        "ome": written(image, photometric="minisblack", **ome),
        "resolution": written(image, resolution=(20000, 20000), resolutionunit="CENTIMETER", **grey),
    }


class Entry(NamedTuple):
    """Where one tag of a directory of pages is in a file."""

    at: int
    code: int
    size: int


def entries(data: bytes) -> list[Entry]:
    """The tags of the first page of a sound file, classic or big, of either byte order."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    first = struct.unpack(order + "Q", data[8:16])[0] if big else struct.unpack(order + "I", data[4:8])[0]
    wide, size = (8, 20) if big else (2, 12)
    count = int.from_bytes(data[first : first + wide], "little" if order == "<" else "big")
    found = []
    for number in range(count):
        at = first + wide + number * size
        found.append(Entry(at, struct.unpack(order + "H", data[at : at + 2])[0], size))
    return found


def with_tag(
    data: bytes, entry: Entry, *, code: int | None = None, kind: int | None = None, count: int | None = None,
    value: int | None = None,
) -> bytes:  # fmt: skip
    """A file with parts of one of its tags replaced."""
    order = "little" if data[:2] == b"II" else "big"
    wide = (entry.size - 4) // 2
    parts = ((0, 2, code), (2, 2, kind), (4, wide, count), (4 + wide, wide, value))
    changed = bytearray(data)
    for offset, length, number in parts:
        if number is not None:
            at = entry.at + offset
            changed[at : at + length] = (number % 256**length).to_bytes(length, order)
    return bytes(changed)


def flipped(data: bytes, rng: np.random.Generator, *, count: int, below: int | None = None) -> bytes:
    """A file with some bytes replaced, of the first ``below`` ones or anywhere."""
    changed = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(0, min(below or len(data), len(data)), count)
    changed[places] = rng.integers(0, 256, count)
    return changed.tobytes()


def cut(data: bytes, share: float) -> bytes:
    """The beginning of a file."""
    return data[: int(share * len(data))]


def bombs() -> dict[str, bytes]:
    """Small files that declare enormous images, by name."""
    return {
        "100,000 wide in strips": _declared(100_000, 100_000, rows=1000, strips=100),
        "100,000 wide in one strip": _declared(100_000, 100_000, rows=100_000, strips=1),
        "1,000,000 wide": _declared(1_000_000, 1_000_000, rows=1_000_000, strips=1),
        "2^31 wide": _declared(2**31 - 1, 2**31 - 1, rows=2**31 - 1, strips=1),
        "2^32 - 1 high": _declared(1, 2**32 - 1, rows=2**32 - 1, strips=1),
        "nothing high": _declared(64, 0, rows=1, strips=1),
        "nothing wide": _declared(0, 64, rows=64, strips=1),
        "shared strips": _declared(40_000, 40_000, rows=10, strips=4000),
        "uncompressed": _declared(100_000, 100_000, rows=100_000, strips=1, compression=1),
    }


def _declared(width: int, height: int, *, rows: int, strips: int, compression: int = 8) -> bytes:
    """A classic file of one page of uint16, all of whose strips are the same bytes."""
    pixels = zlib.compress(bytes(min(2 * max(width, 1) * rows, 50_000_000)), 9)
    counts = 8 + len(pixels)
    offsets = counts + 4 * strips
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, strips, 8 if strips == 1 else offsets), (277, 3, 1, 1), (278, 4, 1, rows),
        (279, 4, strips, len(pixels) if strips == 1 else counts),
    ]  # fmt: skip
    body = pixels + strips * struct.pack("<I", len(pixels)) + strips * struct.pack("<I", 8)
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<2sHI", b"II", 42, 8 + len(body)) + body + directory + bytes(4)
