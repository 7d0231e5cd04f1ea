"""Damaged and strange images, in every place where a command takes one."""

from __future__ import annotations

import functools
import pathlib
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tests.fuzz import tiff_bytes
from tests.fuzz.base_files import FRAMES, BaseFiles, images, labels
from tests.fuzz.case import Case, Expected

REFUSED, FINE, EITHER = Expected.REFUSED, Expected.FINE, Expected.EITHER


class Role(NamedTuple):
    """A place where a command takes an image."""

    name: str
    arguments: tuple[str, ...]
    file: str
    """The image, in the folder of the case."""
    movie: bool
    """A stack of grey values, or else label images."""
    around: str = ""
    """Folder of the base files of which a copy holds the image."""


def roles(base: BaseFiles) -> list[Role]:
    """All places, those that cost least first."""
    start, stack, masks, model = (
        base[n] for n in ("labels/m000.tif", "stack.tif", "labels", "video.safetensors")
    )
    link, out = ("--by", "linking", "--segmentation"), ("--out", "out")
    scores, track = ("--out", "out.json"), ("--window", "32", *out)
    train = ("train", "deepcell", "--data.root", "Set", "--data.downsample", "1", "--run.folder", "out")
    seg = "Set/01_GT/SEG/man_seg001.tif"
    return [
        Role("linking movie", ("track", "m.tif", *link, masks, *out), "m.tif", True),
        Role("linking labels", ("track", stack, *link, "l.tif", *out), "l.tif", False),
        Role("measure movie", ("measure", base["result"], "m.tif", *out), "m.tif", True),
        Role("measure mask", ("measure", "r", *out), "r/mask001.tif", False, "result"),
        Role("evaluate mask", ("evaluate", "r", base["Set/01"], *scores), "r/mask001.tif", False, "result"),
        Role("evaluate reference", ("evaluate", base["result"], "Set/01", *scores), seg, False, "Set"),
        Role("track movie", ("track", "m.tif", "--start", start, *track), "m.tif", True),
        Role("track start", ("track", stack, "--start", "s.tif", *track), "s.tif", False),
        Role("track segmentation", ("track", stack, "--segmentation", "l.tif", *track), "l.tif", False),
        Role("segment movie", ("segment", "m.tif", "--model", model, *out), "m.tif", True),
        Role("train image", train, "Set/01/t001.tif", True, "Set"),
    ]


def planes(role: Role) -> np.ndarray:
    """Sound planes for a place; one where it takes one."""
    if role.movie:
        return images() if not role.around else images()[1]
    if role.around:
        return labels(1)
    return labels(0) if role.name == "track start" else np.stack([labels(t) for t in range(FRAMES)])


@functools.cache
def forms(role: Role) -> dict[str, bytes]:
    """The sound planes of a place in the forms of TIFF, by name."""
    image = planes(role)
    if image.ndim == 3:
        return tiff_bytes.variants(image)
    deflated = tiff_bytes.written(image, compression="zlib")
    return {"plane": tiff_bytes.written(image), "plane deflate": deflated}


def put(role: Role, data: bytes | Callable[[], bytes], base: BaseFiles, folder: pathlib.Path) -> None:
    """Writes the image of a case, in a copy of the folder that it belongs to."""
    if role.around:
        shutil.copytree(base.folder / role.around, folder / pathlib.Path(role.file).parts[0])
    (folder / role.file).write_bytes(data() if callable(data) else data)


def case_of(
    role: Role, base: BaseFiles, name: str, data: bytes | Callable[[], bytes], expected: Expected
) -> Case:
    file = pathlib.Path(role.file)
    others = ("stack.tif", "labels", "m000.tif", "01") if expected is EITHER else ()
    return Case(
        name=f"images/{role.name}/{name}",
        family="images",
        arguments=role.arguments,
        expected=expected,
        words=(file.name, *others),
        make=functools.partial(put, role, data, base),
        outputs=("out", "out.json"),
    )


def image_cases(base: BaseFiles) -> Iterator[Case]:
    """Sound variants, bombs, damaged tags and strange values, all of them in several places."""
    places = roles(base)
    for role in places:
        if role.name == "train image":
            continue
        for number, (name, data) in enumerate(forms(role).items()):
            # Compiling makes trackers and networks slow.
            if number % 4 == 0 or role.name.startswith(("linking", "measure", "evaluate")):
                yield case_of(role, base, f"sound {name}", data, FINE)
    for number, (name, data) in enumerate(tiff_bytes.bombs().items()):
        for shift in range(4):
            yield case_of(places[(4 * number + shift) % len(places)], base, name, data, REFUSED)
    for number, (name, image, options) in enumerate(_strange()):
        for shift in range(2):
            role = places[(2 * number + shift) % len(places)]
            make = functools.partial(tiff_bytes.written, image, **options)
            # Label images are linked and measured without the pixels of the movie, which are only shown.
            shown = role.name in ("linking movie", "measure movie") and ("nan" in name or "inf" in name)
            refused = "refused" in name and not shown
            yield case_of(role, base, name, make, REFUSED if refused else EITHER)
    for number, (name, data) in enumerate(_no_tiffs()):
        for shift in range(3):
            yield case_of(places[(3 * number + shift) % len(places)], base, name, data, REFUSED)
    yield from _tag_cases(base, places)
    yield from _note_cases(base, places)


def _tag_cases(base: BaseFiles, places: list[Role]) -> Iterator[Case]:
    """Every tag of the first page with each of some nasty types, counts and values."""
    changes: list[dict[str, Any]] = [
        *({"kind": kind} for kind in (0, 2, 5, 7, 11, 16, 255)),
        *({"count": count} for count in (0, 2, 2**31, 2**32 - 1)),
        *({"value": value} for value in (0, 1, 3, 65535, 2**31, 2**32 - 1)),
        {"code": 50000},
        {"code": 256},
    ]
    for variant, role in zip(("classic", "big", "tiled deflate", "imagej", "ome", "strips"), places):
        data = forms(role).get(variant) or forms(role)["plane"]
        for entry in tiff_bytes.entries(data):
            for change in changes:
                changed = functools.partial(tiff_bytes.with_tag, data, entry, **change)
                yield case_of(role, base, f"{variant} tag {entry.code} {change}", changed, EITHER)


def _strange() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Images of other types, sizes and values: name, image, options of the writer."""
    stack = images()
    grey: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": "TYX"}}
    real = stack.astype(np.float32)
    for value in (np.nan, np.inf, -np.inf):
        spoilt = real.copy()
        spoilt[1, 5, 6] = value
        yield f"one {value} refused", spoilt, grey
    yield "all nan refused", np.full_like(real, np.nan), grey
    yield "1e38", np.where(stack > 2000, 1e38, 0).astype(np.float32), grey
    yield "float64 1e300", np.where(stack > 2000, 1e300, 0), grey
    yield "subnormal", np.where(stack > 2000, 1e-40, 0).astype(np.float32), grey
    yield "float16", real.astype(np.float16), grey
    yield "int8", (stack >> 6).astype(np.int8), grey
    yield "int32 negative", -stack.astype(np.int32), grey
    yield "uint64 large", stack.astype(np.uint64) << 45, grey
    yield "bool", stack > 2000, grey
    yield "complex refused", stack.astype(np.complex64), grey
    yield "flat", np.zeros_like(stack), grey
    yield "a label for every pixel", np.arange(stack.size, dtype=np.uint32).reshape(stack.shape), grey
    yield "one pixel", stack[:, :1, :1].copy(), grey
    yield "one row", stack[:, :1].copy(), grey
    yield "one plane", stack[0], {"photometric": "minisblack"}
    yield "100 planes", np.zeros((100, 64, 64), np.uint16), grey
    yield "rgb", np.repeat(stack[..., None] >> 4, 3, axis=-1).astype(np.uint8), {"photometric": "rgb"}
    yield "slices refused", stack, {"imagej": True, "metadata": {"axes": "ZYX"}}
    yield "channels refused", stack, {"imagej": True, "metadata": {"axes": "CYX"}}
    yield "five axes refused", stack[None, :, None], {"imagej": True, "metadata": {"axes": "TZCYX"}}


def _no_tiffs() -> Iterator[tuple[str, bytes]]:
    """Files that are something else."""
    yield "empty", b""
    yield "one byte", b"I"
    yield "header alone", b"II*\0\x08\0\0\0"
    yield "pages in a circle", b"II*\0\x08\0\0\0" + bytes(2) + struct.pack("<I", 8)
    yield "no pages", b"II*\0" + bytes(4)
    yield "pages beyond the end", b"II*\0" + struct.pack("<I", 2**32 - 1)
    yield "text", b"not an image\n" * 100
    yield "zeros", bytes(100_000)
    yield "png", b"\x89PNG\r\n\x1a\n" + bytes(500)
    yield "hdf5", b"\x89HDF\r\n\x1a\n" + bytes(5000)
    yield "zip", b"PK\x03\x04" + bytes(5000)
    yield "65,535 tags", b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 65535 + 4)


def _note_cases(base: BaseFiles, places: list[Role]) -> Iterator[Case]:
    """Words of ImageJ and OME that are no numbers, cut, or enormous."""
    movies = [role for role in places if role.movie and role.name != "train image"]
    notes = {
        "images=many": b"ImageJ=1.11a\nimages=many\nframes=3\n",
        "images=1e30": b"ImageJ=1.11a\nimages=1e30\nframes=3\n",
        "images=-1": b"ImageJ=1.11a\nimages=-1\nframes=-1\n",
        "images=10^400": b"ImageJ=1.11a\nimages=1" + 400 * b"0" + b"\n",
        "images=10^5000": b"ImageJ=1.11a\nimages=1" + 5000 * b"0" + b"\n",
        "unit nan": b"ImageJ=1.11a\nimages=3\nframes=3\nunit=nan\nspacing=nan\n",
        "no equals": b"ImageJ=1.11a\nimages\nframes\n\xff\xfe\n",
        "shape text": b'{"shape": "many"}',
        "shape nested": b'{"shape": ' + 20_000 * b"[" + 20_000 * b"]" + b"}",
        "shape 5,000 digits": b'{"shape": [1' + 5000 * b"0" + b", 64, 64]}",
        "shape negative": b'{"shape": [-3, 64, 64]}',
        "shape overflows": b'{"shape": [4294967296, 4294967296, 64]}',
        "shape null": b'{"shape": null}',
        "shape cut": b'{"shape": [3, 64,',
        "ome cut": b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image',
        "ome without image": b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/"></OME>',
        "ome entities": b'<?xml version="1.0"?><!DOCTYPE o [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY a%d "%s">' % (n, 10 * (b"&a%d;" % (n - 1) if n else b"&a;")) for n in range(12))
        + b']><OME xmlns="x"><Image ID="Image:0" Name="&a11;"></Image></OME>',
        "ome sizes nan": b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        b'<Image ID="Image:0"><Pixels ID="P:0" DimensionOrder="XYZCT" Type="uint16" SizeX="nan" SizeY="-1" '
        b'SizeZ="1" SizeC="1" SizeT="1e30" PhysicalSizeX="nan"></Pixels></Image></OME>',
    }
    for number, (name, note) in enumerate(notes.items()):
        for shift in range(3):
            role = movies[(3 * number + shift) % len(movies)]
            data = tiff_bytes.written(images(), photometric="minisblack", metadata=None, description=note)
            yield case_of(role, base, f"note {name}", data, EITHER)


def mutated_images(base: BaseFiles, rng: np.random.Generator) -> Iterator[Case]:
    """Random damage without end."""
    places = roles(base)[:-1]
    for number in range(10**9):
        role = places[rng.integers(len(places))]
        form = sorted(forms(role))[rng.integers(len(forms(role)))]
        data = forms(role)[form]
        way = ("cut", "head", "some", "tag")[rng.integers(4)]
        if way == "cut":
            data = tiff_bytes.cut(data, rng.uniform())
        elif way == "tag":
            tags = tiff_bytes.entries(data)
            part = ("code", "kind", "count", "value")[rng.integers(4)]
            nasty = int(rng.choice([0, 1, 2, 3, 4, 5, 7, 11, 13, 255, 256, 257, 65535, 2**31, 2**32 - 1]))
            data = tiff_bytes.with_tag(data, tags[rng.integers(len(tags))], **{part: nasty})
        else:
            data = tiff_bytes.flipped(
                data, rng, count=int(rng.integers(1, 9)), below=400 if way == "head" else None
            )
        yield case_of(role, base, f"random {number} {form} {way}", data, EITHER)


def png_bomb(side: int) -> bytes:
    """A PNG that declares a black square of this side, and holds up to 300 MB of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1_000_000)) for _ in range(min(side**2 // 1_000_000, 300)))
    rows += packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
