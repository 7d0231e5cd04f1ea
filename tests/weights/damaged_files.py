"""Weight and model files that are damaged, or made to do harm: each is read, or refused in one sentence."""

from __future__ import annotations

import io
import itertools
import json
import pathlib
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

HUGE = 10**30
JSON_VALUES = ('"x"', "true", "null", "[]", "{}", "[[1]]", "NaN", "Infinity", "-1", "0", "0.5", str(HUGE),
               "1e999", "9" * 5000, "[" * 2000 + "]" * 2000, '"' + "x" * 10_000 + '"')  # fmt: skip


def mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """One mutation of a file: bytes changed, anywhere or near the start, a part cut out, doubled or at the end."""
    kind = rng.integers(6)
    start = int(rng.integers(len(whole)))
    length = int(rng.integers(1, 64))
    if kind == 0:
        return whole[:start]
    if kind == 1:
        return whole[:start] + whole[start + length :]
    if kind == 2:
        return whole[: start + length] + whole[start:]
    damaged = bytearray(whole)
    reach = len(whole) if kind == 3 else min(len(whole), 512)
    for place in rng.integers(reach, size=int(rng.integers(1, 9))):
        damaged[place] = rng.integers(256) if kind < 5 else (0xFF, 0x7F, 0x00)[int(rng.integers(3))]
    return bytes(damaged)


def safetensors_parts(whole: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the numbers of a safetensors file."""
    length = int.from_bytes(whole[:8], "little")
    return json.loads(whole[8 : 8 + length]), whole[8 + length :]


def safetensors_of(header: dict[str, Any] | str | bytes, data: bytes) -> bytes:
    """A safetensors file of any header."""
    text = header if isinstance(header, bytes) else (
        header if isinstance(header, str) else json.dumps(header)).encode()  # fmt: skip
    return struct.pack("<Q", len(text)) + text + data


def redescribed(whole: bytes, key: str) -> Iterator[tuple[str, bytes]]:
    """A model file with every field of its description set to what has no meaning, left out, or added."""
    header, data = safetensors_parts(whole)
    described = json.loads(header["__metadata__"][key])
    for place in _places(described):
        for value in (*JSON_VALUES, None):
            text = _with(described, place, value)
            yield (
                f"{'.'.join(map(str, place))}={'(absent)' if value is None else value[:12]}",
                safetensors_of(header | {"__metadata__": {key: text}}, data),
            )
    for value in (*JSON_VALUES, "", "{"):
        yield f"description={value[:12]}", safetensors_of(header | {"__metadata__": {key: value}}, data)


def retyped(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """A model file with a tensor of another type, shape, name or value."""
    header, data = safetensors_parts(whole)
    name = next(it for it in header if it != "__metadata__" and header[it]["shape"])
    entry = header[name]
    start, stop = entry["data_offsets"]
    for dtype, width in (("I32", 4), ("U32", 4), ("BOOL", 1), ("F16", 2), ("BF16", 2), ("F64", 8), ("F8_E4M3", 1),
                         ("F32x", 4), (7, 4)):  # fmt: skip
        size = (stop - start) // 4 * width
        shifted = {}
        for other, it in header.items():
            if other == "__metadata__":
                continue
            a, b = it["data_offsets"]
            shift = size - (stop - start)
            moved = [a + shift * (a >= stop), b + shift * (b >= stop)]
            shifted[other] = it | {"data_offsets": moved} | ({"dtype": dtype} if other == name else {})
        yield (
            f"type {dtype}",
            safetensors_of(
                shifted | {"__metadata__": header["__metadata__"]},
                data[:start] + b"\1" * size + data[stop:],
            ),
        )
    for value in (np.nan, np.inf, -np.inf):
        numbers = np.frombuffer(data, "<f4").copy()
        numbers[start // 4] = value
        yield f"value {value}", safetensors_of(header, numbers.tobytes())
    for shape in (
        [-1],
        [2**62, 4],
        [2**33, 2**31],
        [1.5],
        "x",
        None,
        [True],
        [0] * 80,
        entry["shape"][::-1] + [1],
    ):
        yield f"shape {shape}", safetensors_of(header | {name: entry | {"shape": shape}}, data)
    for offsets in ([0, 2**62], [-4, 4], [4, 0], ["0", "4"], None, [0], [0.0, 4.0], [start + 4, stop + 4]):
        yield f"offsets {offsets}", safetensors_of(header | {name: entry | {"data_offsets": offsets}}, data)
    yield (
        "unknown",
        safetensors_of(
            header | {"more\nlines \x1b[31m" + "x" * 1000: entry | {"shape": [0], "data_offsets": [0, 0]}},
            data,
        ),
    )
    yield "absent", safetensors_of({it: header[it] for it in header if it != name}, data)


def harmful_headers() -> Iterator[tuple[str, bytes]]:
    """Headers of safetensors files that no library writes."""
    one = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    four = b"\0\0\x80\x3f"
    yield "twice", safetensors_of("{" + one + "," + one + "}", four)
    yield "nested", safetensors_of('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", b"")
    yield "deep objects", safetensors_of('{"a":' * 100_000 + "1" + "}" * 100_000, b"")
    yield (
        "digits",
        safetensors_of('{"a":{"dtype":"F32","shape":[' + "9" * 5000 + '],"data_offsets":[0,4]}}', four),
    )
    yield "list", safetensors_of("[1]", b"")
    yield "metadata numbers", safetensors_of('{"__metadata__":{"x":1},' + one + "}", four)
    yield "metadata list", safetensors_of('{"__metadata__":[1],' + one + "}", four)
    yield "no utf-8", safetensors_of(b'{"\xff\xfe":1}', b"")
    yield "long length", struct.pack("<Q", 2**63) + b"{}"
    yield "length beyond", struct.pack("<Q", 99_000_000) + b"{}"
    yield "overlap", safetensors_of("{" + one + "," + one.replace('"a"', '"b"') + "}", four)
    yield "hole", safetensors_of("{" + one + "}", four + four)
    many = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(300_000)}
    yield "many", safetensors_of(many, b"")
    yield "surrogate", safetensors_of('{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four)


def harmful_pickles() -> Iterator[tuple[str, bytes]]:
    """Pickles that would fill the memory or take for ever."""

    def doubled(steps, last=b""):
        return b"\x80\x02)q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(steps)) + last + b"."

    yield "doubled tuples", doubled(60)
    state = b"}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n("
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + b"0X\x03\0\0\0cpuK\x04tQ"
    nested = b")q\x00" + b"h\x00h\x00\x86q\x00" * 40
    yield "shape of doubled tuples", b"\x80\x02" + nested + state + storage + b"K\x00h\x00K\x01\x85tRs."
    yield "shape with doubled tuples", b"\x80\x02" + nested + state + storage + b"K\x00h\x00\x85K\x01\x85tRs."
    yield "key of doubled tuples", b"\x80\x02" + nested + b"}h\x00K\x01s."
    yield "storage of doubled tuples", b"\x80\x02" + nested + state + b"h\x00QK\x00K\x01\x85K\x01\x85tRs."
    yield (
        "storage key of doubled tuples",
        b"\x80\x02"
        + nested
        + state
        + (b"(X\x07\0\0\0storagectorch\nFloatStorage\nh\x00X\x03\0\0\0cpuK\x04tQK\x00K\x01\x85K\x01\x85tRs."),
    )
    yield "deep tuples", b"\x80\x02)" + b"\x85" * 1_000_000 + b"."
    yield "deep lists", b"\x80\x02]q\0" + b"]h\0aq\0" * 300_000 + b"."
    yield "many dicts", b"\x80\x02(" + b"}" * 30_000_000 + b"t."
    yield "many marks", b"\x80\x02" + b"(" * 30_000_000 + b"."
    yield "large memo", b"\x80\x02N" + b"r\xff\xff\xff\x7f" * 1000 + b"."
    yield "long string", b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x."
    yield "string of four GiB", b"\x80\x02X\xff\xff\xff\xffx."
    yield "long number", b"\x80\x02\x8b" + struct.pack("<i", 2_000_000) + b"\x7f" * 2_000_000 + b"."
    yield "negative length", b"\x80\x02\x8b\xff\xff\xff\xff."
    big = b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000
    yield (
        "shape of long numbers",
        b"\x80\x02" + state + storage + b"K\x00(" + big * 30 + b"t(" + big * 30 + b"ttRs.",
    )
    yield "key of a long number", b"\x80\x02}(" + big + b"K\x01" + big + b"K\x02u."
    yield "name as long", b"\x80\x02c" + b"x" * 1_000_000 + b"\n" + b"y" * 1_000_000 + b"\n."
    yield (
        "float for a count",
        b"\x80\x02"
        + state
        + storage.replace(b"K\x04t", b"G" + struct.pack(">d", 4.0) + b"t")
        + b"K\x00K\x01\x85K\x01\x85tRs.",
    )
    yield (
        "many axes",
        b"\x80\x02" + state + storage + b"K\x00(" + b"K\x01" * 200 + b"t(" + b"K\x01" * 200 + b"ttRs.",
    )


def as_archive(pickled: bytes, *, compressed: bool = True) -> bytes:
    """A torch archive of a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", bytes(16))
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def harmful_archives() -> Iterator[tuple[str, bytes]]:
    """Zip archives that announce, hide or repeat what they hold."""

    def packed(members, compression=zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", compression) as archive:
            for name, data in members:
                archive.writestr(name, data)
        return stream.getvalue()

    npy = io.BytesIO()
    np.save(npy, np.ones(3, np.float32))
    good = npy.getvalue()
    yield "zeros", packed([("a.npy", good), ("b.npy", bytes(900_000_000))])
    yield "many members", packed([(f"{i}.npy", good) for i in range(20_000)], zipfile.ZIP_STORED)
    whole = packed([(f"{i}.npy", good) for i in range(50)], zipfile.ZIP_STORED)
    yield "overlapping members", _all_at_the_first(whole)
    yield (
        "sizes that lie",
        whole.replace(struct.pack("<II", len(good), len(good)), struct.pack("<II", len(good), 2**31)),
    )
    yield "list of two million members", _long_directory(2_000_000)
    yield "bzip2", packed([("a.npy", good)], zipfile.ZIP_BZIP2)
    yield "lzma", packed([("a.npy", good)], zipfile.ZIP_LZMA)
    yield "encrypted", _encrypted(packed([("a.npy", good)]))
    yield (
        "long name",
        packed([("n" * 60_000 + ".npy", good), ("line\nfeed\x1b.npy", np.array(["x"]).tobytes())]),
    )
    yield "zip64", packed([("a.npy", good)]).replace(struct.pack("<I", len(good)), b"\xff\xff\xff\xff")
    for name, header in (
        ("huge shape", "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"),
        ("large shape", "{'descr': '<f4', 'fortran_order': False, 'shape': (300000000000,), }"),
        ("negative shape", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"),
        ("objects", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"),
        ("structure", "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), }"),
        ("sub-array", "{'descr': ('<f4', (2147483647,)), 'fortran_order': False, 'shape': (1,), }"),
        ("no width", "{'descr': '|V0', 'fortran_order': False, 'shape': (5,), }"),
        ("complex", "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }"),
        ("times", "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,), }"),
        ("unknown type", "{'descr': 'zzz', 'fortran_order': False, 'shape': (1,), }"),
        ("deep", "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + ", }"),
        ("minus", "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "-" * 8000 + "1,), }"),
        ("true shape", "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }"),
        ("trailing", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"),
        ("no dict", "[1, 2]"),
        ("escape", "{'descr': '\\d', 'fortran_order': False, 'shape': (1,), }"),
    ):
        text = header.encode() + b"\n"
        for version, size in (
            (b"\x01\x00", "<H"),
            (b"\x02\x00", "<I"),
            (b"\x03\x00", "<I"),
            (b"\x09\x00", "<I"),
        ):
            member = b"\x93NUMPY" + version + struct.pack(size, len(text)) + text + bytes(8)
            yield f"npy {name} {version[0]}", packed([("a.npy", member)])


def harmful_hdf5(folder: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    """HDF5 files that announce more than they hold, refer elsewhere, or hold no numbers."""

    def made(fill):
        path = folder / "made.h5"
        with h5py.File(path, "w") as file:
            group = file.create_group("layers/dense/vars")
            group.attrs["name"] = "stem"
            fill(file, group)
        return path.read_bytes()

    one = np.ones((2, 2), np.float32)

    def with_bias(kernel):
        def fill(file, group):
            kernel(file, group)
            group["1"] = np.ones(2, np.float32)

        return fill

    yield (
        "never written",
        made(with_bias(lambda f, g: g.create_dataset("0", (2**20, 2**20), "f4", chunks=True))),
    )
    yield (
        "zeros",
        made(
            with_bias(
                lambda f, g: g.create_dataset(
                    "0", data=np.zeros(2**26, "f4"), compression="gzip", compression_opts=9
                )
            )
        ),
    )
    yield (
        "huge chunk",
        made(
            with_bias(
                lambda f, g: g.create_dataset("0", (2**14, 2**15), "f4", chunks=(2**14, 2**15), fillvalue=1)
            )
        ),
    )
    yield "text", made(with_bias(lambda f, g: g.create_dataset("0", data="text")))
    yield "objects", made(with_bias(lambda f, g: g.create_dataset("0", (3,), h5py.vlen_dtype(np.float32))))
    yield "records", made(with_bias(lambda f, g: g.create_dataset("0", data=np.zeros(2, [("a", "f4")]))))
    yield "complex", made(with_bias(lambda f, g: g.create_dataset("0", data=np.zeros(2, "c8"))))
    yield "empty", made(with_bias(lambda f, g: g.create_dataset("0", data=h5py.Empty("f4"))))
    yield (
        "long double",
        made(with_bias(lambda f, g: g.create_dataset("0", data=np.zeros((2, 2), np.longdouble)))),
    )
    yield "link", made(with_bias(lambda f, g: g.__setitem__("0", h5py.ExternalLink("/etc/passwd", "/x"))))
    yield "soft link", made(with_bias(lambda f, g: g.__setitem__("0", h5py.SoftLink("/layers/dense/vars/1"))))
    yield "many groups", made(lambda f, g: [f.create_group(f"g{i}") for i in range(20_000)])
    yield "deep groups", made(lambda f, g: f.create_group("/".join("g" * 3000)))

    def legacy(config=None, names=(b"stem",), weights=(b"stem/kernel:0",)):
        def fill(file, group):
            file.attrs["layer_names"] = np.array(names)
            if config is not None:
                file.attrs["model_config"] = config
            stem = file.create_group("stem")
            stem.attrs["weight_names"] = np.array(weights)
            stem["stem/kernel:0"] = one

        return made(fill)

    yield "legacy", legacy()
    yield "legacy, deep configuration", legacy(config='{"config":' + "[" * 20_000 + "]" * 20_000 + "}")
    yield "legacy, configuration of text", legacy(config="{")
    yield "legacy, configuration of a list", legacy(config="[1]")
    yield "legacy, configuration of digits", legacy(config='{"config":{"layers":[' + "9" * 5000 + "]}}")
    yield "legacy, numbers as names", legacy(names=np.arange(3))
    yield "legacy, absent layer", legacy(names=(b"stem", b"other"))
    yield "legacy, no UTF-8", legacy(names=(b"\xff\xfe",))
    yield "legacy, a path as name", legacy(names=(b"/stem", b"stem/..", b"."))
    yield "legacy, lines in a name", legacy(weights=(b"stem/ker\nnel:0",))


def _places(described: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = (
        described.items()
        if isinstance(described, dict)
        else enumerate(described)
        if isinstance(described, list)
        else ()
    )
    for name, value in itertools.islice(inside, 8):
        yield (*above, name)
        yield from _places(value, (*above, name))


def _with(described: Any, place: tuple[Any, ...], value: str | None) -> str:
    """The description with the JSON `value` at a place, or without what is there."""
    copy = json.loads(json.dumps(described))
    holder = copy
    for step in place[:-1]:
        holder = holder[step]
    if value is None:
        del holder[place[-1]]
        return json.dumps(copy)
    holder[place[-1]] = "@here@"
    return json.dumps(copy).replace('"@here@"', value)


def _all_at_the_first(whole: bytes) -> bytes:
    """An archive whose members all lie where the first does, under their own names."""
    damaged, place = bytearray(whole), 0
    while (place := damaged.find(b"PK\x01\x02", place)) >= 0:
        damaged[place + 42 : place + 46] = bytes(4)
        place += 4
    return bytes(damaged)


def _encrypted(whole: bytes) -> bytes:
    damaged = bytearray(whole)
    damaged[6] |= 1
    damaged[damaged.find(b"PK\x01\x02") + 8] |= 1
    return bytes(damaged)


def _long_directory(count: int) -> bytes:
    """An archive that is a list of members and nothing else."""
    first = zipfile_of_one()
    entry = first[first.find(b"PK\x01\x02") : first.find(b"PK\x05\x06")]
    body = first[: first.find(b"PK\x01\x02")]
    directory = b"".join(entry.replace(b"0000000.npy", b"%07d.npy" % i) for i in range(count))
    end = b"PK\x05\x06" + struct.pack(
        "<HHHHIIH", 0, 0, count % 65535, count % 65535, len(directory), len(body), 0
    )
    return body + directory + end


def zipfile_of_one() -> bytes:
    """An archive with one member of an array."""
    npy, stream = io.BytesIO(), io.BytesIO()
    np.save(npy, np.ones(3, np.float32))
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("0000000.npy", npy.getvalue())
    return stream.getvalue()
