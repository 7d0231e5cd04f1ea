"""Movies in OME-Zarr that are damaged, or declare what they do not hold."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.fuzz.base_files import BaseFiles, images
from tests.fuzz.case import Case, Expected
from tests.zarr_movies import write_zarr

VERSIONS = ("0.4", "0.5")
Change = Callable[[pathlib.Path], None]


def zarr_cases(base: BaseFiles) -> Iterator[Case]:
    """Sound movies, changed metadata of the array, and folders that lack something."""
    if importlib.util.find_spec("tensorstore") is None:
        return
    for version in VERSIONS:
        yield _case(base, f"sound {version}", version, _nothing, Expected.FINE)
        for name, value in _values():
            change = functools.partial(_set_member, version=version, name=name, value=value)
            yield _case(base, f"{version} {name} {value}", version, change, Expected.EITHER)
        for name in ("0", "0/zarr.json", "0/.zarray", ".zattrs", ".zgroup", "zarr.json"):
            yield _case(base, f"{version} without {name}", version, functools.partial(_lose, name=name))
    notes: tuple[Any, ...] = ([], {}, {"multiscales": 1}, {"multiscales": [1]}, {"plate": 1}, {"well": []})
    for note in notes:
        change = functools.partial(_note, note=note)
        yield _case(base, f"attributes {note}", "0.4", change, Expected.REFUSED)


def mutated_zarrs(base: BaseFiles, rng: np.random.Generator) -> Iterator[Case]:
    """Random damage of a file of a movie, without end; needs the package that reads them."""
    for number in itertools.count():
        change = functools.partial(_damage, seed=int(rng.integers(2**32)))
        yield _case(base, f"random {number}", VERSIONS[number % 2], change)


def _values() -> Iterator[tuple[str, object]]:
    lengths = (
        [10**12, 64, 64],
        [3, 10**9, 10**9],
        [3, 64],
        [0, 64, 64],
        [-1, 64, 64],
        [3, 64, 2**62],
        "x",
        None,
    )
    yield from (("shape", value) for value in lengths)
    yield from (("chunks", value) for value in ([1, 2**20, 2**20], [0, 8, 8], [1, 8], [2**62] * 3, "x"))
    yield from (("dtype", value) for value in ("<c8", "|b1", "uint64", "int4", "bfloat16", "string", 7, None))
    yield from (("fill_value", value) for value in ("NaN", 70000, -1, [1]))
    yield from (("codec", value) for value in ({"id": "nope"}, None, {"id": "zlib", "level": 99}))


def _case(
    base: BaseFiles, name: str, version: str, change: Change, expected: Expected = Expected.EITHER
) -> Case:
    def make(folder: pathlib.Path) -> None:
        write_zarr(folder / "m.zarr", images(), "tyx", version=version)
        change(folder / "m.zarr")

    return Case(
        name=f"zarr/{name}",
        family="images",
        arguments=("track", "m.zarr", "--by", "linking", "--segmentation", base["labels"], "--out", "out"),
        expected=expected,
        words=("m.zarr",),
        make=make,
    )


def _nothing(path: pathlib.Path) -> None:
    """Leaves a movie as it is."""


def _set_member(path: pathlib.Path, *, version: str, name: str, value: object) -> None:
    """Sets a member of the metadata of the array, under its name in the version."""
    file = path / "0" / (".zarray" if version == "0.4" else "zarr.json")
    described = json.loads(file.read_text())
    if version == "0.4":
        described[{"codec": "compressor"}.get(name, name)] = value
    elif name == "chunks":
        described["chunk_grid"]["configuration"]["chunk_shape"] = value
    else:
        described[{"codec": "codecs", "dtype": "data_type"}.get(name, name)] = value
    file.write_text(json.dumps(described))


def _lose(path: pathlib.Path, *, name: str) -> None:
    if (path / name).is_file():
        (path / name).unlink()
    elif (path / name).is_dir():
        (path / name).rename(path / "lost")


def _note(path: pathlib.Path, *, note: object) -> None:
    (path / ".zattrs").write_text(json.dumps(note))


def _damage(path: pathlib.Path, *, seed: int) -> None:
    """Changes some bytes of one file, or cuts it."""
    rng = np.random.default_rng(seed)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    metadata = [file for file in files if file.suffix == ".json" or file.name.startswith(".")]
    chosen = (files, metadata)[rng.integers(2)]
    file = chosen[rng.integers(len(chosen))]
    data = bytearray(file.read_bytes())
    for place in rng.integers(len(data), size=rng.integers(1, 4)):
        data[place] = rng.choice(np.frombuffer(b'0123456789{}[],"-' + bytes(range(256)), np.uint8))
    file.write_bytes(data[: rng.integers(len(data))] if rng.uniform() < 0.2 else data)
