"""Files of weights that are bombs, lie about their contents or would run code, in the formats of others."""

from __future__ import annotations

import functools
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator

import h5py
import numpy as np

from tests.fuzz.weight_sources import torch_file

Made = tuple[str, str, bytes | Callable[[], bytes]]
"""Suffix, name and bytes of a file."""


def strange_files() -> Iterator[Made]:
    """All of them."""
    yield from (*_torch(), *_numpy(), *_keras(), *_hdf5())


def _zipped(files: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def _torch() -> Iterator[Made]:
    """Archives of torch whose pickle is strange."""

    def archive(program: bytes) -> bytes:
        return _zipped(
            {"archive/data.pkl": program, "archive/byteorder": b"little", "archive/version": b"3\n"}
        )

    yield ".pth", "runs code", archive(b"\x80\x02cos\nsystem\nX\x04\0\0\0trueq\x00\x85R.")
    yield ".pth", "builtins", archive(b"\x80\x02cbuiltins\neval\nX\x01\0\0\x001\x85R.")
    yield ".pth", "nested tuples", archive(b"\x80\x02" + 30_000 * b"\x85" + b".")
    yield ".pth", "tuples of a tuple", archive(b"\x80\x02)" + 2000 * b"\x85" + b".")
    yield ".pth", "doubled tuples", archive(b"\x80\x02)" + 60 * b"2\x86" + b".")
    yield (
        ".pth",
        "doubled and kept",
        archive(b"\x80\x02)" + b"".join(b"2\x86q" + bytes([n]) for n in range(60)) + b"."),
    )
    yield ".pth", "a list in itself", archive(b"\x80\x02]q\x00h\x00a.")
    yield ".pth", "a dict in itself", archive(b"\x80\x02}q\x00X\x01\0\0\0ah\x00s.")
    yield ".pth", "a number of 2^31 bytes", archive(b"\x80\x02\x8b\xff\xff\xff\x7f.")
    yield ".pth", "text of 2^63 bytes", archive(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.")
    yield ".pth", "5,000 digits", archive(b"\x80\x02L1" + 5000 * b"0" + b"L\n.")
    yield ".pth", "10 million marks", lambda: archive(b"\x80\x02" + 10_000_000 * b"(" + b".")
    yield ".pth", "stack underflow", archive(b"\x80\x02sss.")
    yield ".pth", "an empty program", archive(b"")
    yield ".pth", "a number", archive(pickle.dumps(5))
    yield ".pth", "a list", archive(pickle.dumps([1, 2]))
    yield ".pth", "an empty dict", archive(pickle.dumps({}))
    yield ".pth", "bare pickle", pickle.dumps({"a": 1})
    for name, change in {
        "huge shape": {"shape": (2**40, 2**20), "strides": (2**20, 1)},
        "strides of zero": {"shape": (100_000, 100_000), "strides": (0, 0)},
        "negative shape": {"shape": (-1, 3), "strides": (3, 1)},
        "negative strides": {"shape": (3, 3), "strides": (-3, 1)},
        "beyond its storage": {"offset": 2**40},
        "many axes": {"shape": 70 * (1,), "strides": 70 * (1,)},
        "shape of text": {"shape": ("a",), "strides": (1,)},
    }.items():
        yield ".pth", name, functools.partial(torch_file, **change)


def _npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\0" + min(len(text), 65535).to_bytes(2, "little") + text + body


def _numpy() -> Iterator[Made]:
    """Archives of NumPy with objects and lies."""
    objects = io.BytesIO()
    np.save(objects, np.array([{"a": 1}], object), allow_pickle=True)
    yield ".npz", "objects", _zipped({"a.npy": objects.getvalue()})
    lie = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"
    for name, (kind, shape) in {
        "huge": ("<f4", f"({2**40},)"),
        "overflows": ("<f4", f"({2**33}, {2**33})"),
        "negative": ("<f4", "(-5,)"),
        "5,000 digits": ("<f4", "(1" + 5000 * "0" + ",)"),
        "nested": ("<f4", 3000 * "(" + 3000 * ")"),
        "text": ("<U1000000000", "(1000,)"),
        "object": ("|O", "(3,)"),
        "void": ("V999999999", "(1000,)"),
        "code": ("<f4", "__import__('os').getcwd()"),
    }.items():
        yield ".npz", f"header {name}", _zipped({"a.npy": _npy(lie.format(kind, shape))})
    yield (
        ".npz",
        "10 GB of zeros",
        lambda: _bomb("a.npy", _npy(lie.format("<f4", f"({1_000_000_000},)")), 4000),
    )
    yield ".npz", "no arrays", _zipped({"a.txt": b"text"})
    yield ".npz", "empty", _zipped({})
    yield ".npz", "100,000 files", lambda: _zipped({f"{n}.npy": b"" for n in range(100_000)})
    yield ".npz", "a path that climbs", _zipped({"../../a.npy": b""})


def _bomb(name: str, head: bytes, megabytes: int) -> bytes:
    """An archive of a file that unpacks to zeros."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as out,
    ):
        out.write(head)
        for _ in range(megabytes):
            out.write(bytes(1_000_000))
    return file.getvalue()


def _keras() -> Iterator[Made]:
    """Archives of Keras 3."""
    config = json.dumps({"class_name": "Functional", "config": {"layers": []}}).encode()
    yield ".keras", "no weights", _zipped({"config.json": config, "metadata.json": b"{}"})
    yield (
        ".keras",
        "nested",
        _zipped({"config.json": 100_000 * b"[" + 100_000 * b"]", "model.weights.h5": b""}),
    )
    yield ".keras", "no HDF5", _zipped({"config.json": config, "model.weights.h5": bytes(100)})
    yield ".keras", "4 GB of weights", lambda: _bomb("model.weights.h5", b"\x89HDF\r\n\x1a\n", 4000)
    lambda_ = {"class_name": "Lambda", "config": {"function": "__import__('os').getcwd()"}}
    layered = json.dumps({"class_name": "Functional", "config": {"layers": [lambda_]}}).encode()
    yield ".keras", "a function", _zipped({"config.json": layered, "metadata.json": b"{}"})


def _hdf5() -> Iterator[tuple[str, str, bytes]]:
    """HDF5 files with links, enormous datasets and strange attributes."""

    def made(fill: Callable[[h5py.File], None]) -> bytes:
        file = io.BytesIO()
        with h5py.File(file, "w") as opened:
            fill(opened)
        return file.getvalue()

    def layers(file: h5py.File, *names: object) -> None:
        file.attrs["layer_names"] = list(names)

    def huge(file: h5py.File) -> None:
        layers(file, b"a")
        group = file.create_group("a")
        group.attrs["weight_names"] = [b"w"]
        group.create_dataset("w", (2**20, 2**20), "f4", chunks=(1024, 1024))

    def squeezed(file: h5py.File) -> None:
        layers(file, b"a")
        group = file.create_group("a")
        group.attrs["weight_names"] = [b"w"]
        data = group.create_dataset("w", (60_000, 60_000), "f4", chunks=(6000, 6000), compression="gzip")
        data[:6000, :6000] = 0

    def itself(file: h5py.File) -> None:
        layers(file, b"a")
        file["a"] = h5py.SoftLink("/a")

    def elsewhere(file: h5py.File) -> None:
        layers(file, b"a")
        file["a"] = h5py.ExternalLink("/etc/passwd", "/")

    def ring(file: h5py.File) -> None:
        layers(file, b"a")
        file["a"] = file["/"]
        file.attrs["weight_names"] = [b"a"]

    def numbers(file: h5py.File) -> None:
        layers(file, 1, 2)

    def deep(file: h5py.File) -> None:
        layers(file, "/".join(300 * "a").encode())
        file.create_group("/".join(300 * "a"))

    def nothing(file: h5py.File) -> None:
        del file

    def many(file: h5py.File) -> None:
        layers(file, *(f"l{n}".encode() for n in range(3000)))

    for fill in (huge, squeezed, itself, elsewhere, ring, numbers, deep, nothing, many):
        yield ".h5", fill.__name__, made(fill)
        yield ".weights.h5", fill.__name__, made(fill)
