"""Valid TIFF files of many kinds, and random damage to them."""

import io
import struct

import numpy as np
import tifffile
from PIL import Image

STACK = np.arange(5 * 24 * 20, dtype=np.uint16).reshape(5, 24, 20) * 7 % 1009
COLOUR = np.arange(24 * 20 * 3, dtype=np.uint8).reshape(24, 20, 3)
_SQUARE_UM = {"PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
_WRITTEN = {
    "plain": (STACK, {}),
    "one plane": (STACK[0], {}),
    "big endian": (STACK, {"byteorder": ">"}),
    "BigTIFF": (STACK, {"bigtiff": True}),
    "deflate": (STACK, {"compression": "zlib"}),
    "predictor": (STACK, {"compression": "zlib", "predictor": True}),
    "pages": (STACK, {"metadata": None, "photometric": "minisblack", "compression": "zlib"}),
    "tiles": (STACK, {"tile": (16, 16)}),
    "deflated tiles": (STACK, {"tile": (16, 16), "compression": "zlib", "bigtiff": True}),
    "strips": (STACK[0], {"rowsperstrip": 5, "resolution": (1e4 / 0.65, 1e4 / 0.65), "resolutionunit": 3}),
    "float": (STACK.astype(np.float32), {"predictor": 3, "compression": "zlib"}),
    "ImageJ": (
        STACK,
        {
            "imagej": True,
            "resolution": (1.5, 1.5),
            "metadata": {"axes": "TYX", "unit": "um", "Labels": ["a"] * 5},
        },
    ),
    "ImageJ, one page": (
        STACK,
        {
            "imagej": True,
            "resolution": (1.5, 1.5),
            "metadata": {"axes": "TYX", "unit": "um"},
            "truncate": True,
        },
    ),
    "OME": (STACK, {"ome": True, "metadata": {"axes": "TYX", **_SQUARE_UM}}),
    "OME, deflate": (STACK, {"ome": True, "compression": "zlib", "metadata": {"axes": "TYX", **_SQUARE_UM}}),
    "colour": (COLOUR, {"photometric": "rgb"}),
    "planar colour": (np.moveaxis(COLOUR, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
}
_INTERESTING = (0, 1, 2, 3, 7, 12, 255, 256, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_TAGS = (254, 256, 257, 258, 259, 262, 270, 273, 277, 278, 279, 282, 283, 284, 296, 305, 317, 320, 322, 323)
_TAGS += (324, 325, 330, 338, 339, 347, 32997, 33628, 33629, 34412, 42113, 50838, 50839, 51023, 65420)
_WORDS = (
    b"nan",
    b"-1",
    b"1e400",
    b"",
    b"&a;",
    b"<",
    b"0x10",
    b"9" * 40,
    b"\xff\xfe",
    b"\0",
    b"=",
    b"[",
    b"inf",
)


def valid_tiffs() -> dict[str, bytes]:
    """The files by their kind."""
    files = {}
    for name, (pixels, options) in _WRITTEN.items():
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, **options)
        files[name] = file.getvalue()
    for name, image, compression in (
        ("LZW", Image.fromarray(STACK[0]), "tiff_lzw"),
        ("packed bits", Image.fromarray(COLOUR[..., 0].copy()), "packbits"),
        ("palette", Image.fromarray(COLOUR).convert("P"), None),
        ("one bit", Image.fromarray(COLOUR).convert("1"), None),
        ("alpha", Image.fromarray(COLOUR).convert("RGBA"), None),
    ):
        file = io.BytesIO()
        image.save(file, "TIFF", compression=compression)
        files[name] = file.getvalue()
    return files


def tag_entries(contents: bytes) -> list[int]:
    """Offsets of all entries of all pages, of a file that is sound."""
    big, order = contents[2:4] in (b"+\0", b"\0+"), "<" if contents[:2] == b"II" else ">"
    at, entries = 8 if big else 4, []
    size, count, pointer = (20, "Q", "Q") if big else (12, "H", "I")
    while True:
        (page,) = struct.unpack_from(order + pointer, contents, at)
        if not page:
            return entries
        (tags,) = struct.unpack_from(order + count, contents, page)
        first = page + struct.calcsize(count)
        entries += [first + size * tag for tag in range(tags)]
        at = first + size * tags


def damage(contents: bytes, rng: np.random.Generator) -> bytes:
    """One to three random changes of the bytes, of the tags, or of words in the text of a file."""
    made = bytearray(contents)
    for change in rng.choice(6, size=rng.integers(1, 4), p=(0.15, 0.1, 0.4, 0.2, 0.05, 0.1)):
        (_flip, _cut, _change_tag, _overwrite, _insert, _change_word)[change](made, contents, rng)
    return bytes(made)


def _flip(made: bytearray, _: bytes, rng: np.random.Generator) -> None:
    for at in rng.integers(
        0, max(1, len(made) if rng.random() < 0.5 else min(len(made), 400)), size=rng.integers(1, 9)
    ):
        if at < len(made):
            made[at] = rng.integers(256)


def _cut(made: bytearray, _: bytes, rng: np.random.Generator) -> None:
    del made[rng.integers(len(made) + 1) :]


def _change_tag(made: bytearray, contents: bytes, rng: np.random.Generator) -> None:
    big, order = contents[2:4] in (b"+\0", b"\0+"), "<" if contents[:2] == b"II" else ">"
    at = int(rng.choice(tag_entries(contents)))
    number = int(rng.choice(np.array(_INTERESTING, object)))
    what = rng.integers(4)
    if what == 0:
        change, where = struct.pack(order + "H", rng.choice(_TAGS)), at
    elif what == 1:
        change, where = struct.pack(order + "H", rng.integers(0, 20)), at + 2
    elif what == 2:
        change, where = struct.pack(order + ("Q" if big else "I"), number % 2 ** (64 if big else 32)), at + 4
    else:
        short = struct.pack(order + "HH", number % 2**16, 0)
        long = struct.pack(order + ("Q" if big else "I"), number % 2 ** (64 if big else 32))
        change, where = (short, long)[rng.integers(2)], at + (12 if big else 8)
    if where + len(change) <= len(made):
        made[where : where + len(change)] = change


def _overwrite(made: bytearray, contents: bytes, rng: np.random.Generator) -> None:
    order = "<" if contents[:2] == b"II" else ">"
    kind = rng.choice(["H", "I", "Q"])
    change = struct.pack(
        order + kind, int(rng.choice(np.array(_INTERESTING, object))) % 256 ** struct.calcsize(kind)
    )
    if len(made) > 16:
        at = int(rng.integers(4, len(made) - 8))
        made[at : at + len(change)] = change


def _insert(made: bytearray, _: bytes, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(made) + 1))
    made[at:at] = rng.bytes(int(rng.integers(1, 30)))


def _change_word(made: bytearray, _: bytes, rng: np.random.Generator) -> None:
    """Replaces what stands between two marks of a text, without changing its length where it is longer."""
    marks = [at for at in range(len(made)) if made[at] in b'="<> \n,:[]{}']
    if len(marks) > 1:
        chosen = int(rng.integers(len(marks) - 1))
        first, last = marks[chosen] + 1, marks[chosen + 1]
        word = _WORDS[rng.integers(len(_WORDS))]
        made[first:last] = word[: last - first].ljust(last - first) if rng.random() < 0.7 else word
