"""Model files with damaged descriptions, tensors and containers."""

from __future__ import annotations

import copy
import functools
import json
import pathlib
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file, save

from cellmotion_jax.weights.safetensors_files import read_metadata
from tests.fuzz import tiff_bytes
from tests.fuzz.base_files import MODELS, BaseFiles
from tests.fuzz.case import Case, Expected

REFUSED, FINE, EITHER = Expected.REFUSED, Expected.FINE, Expected.EITHER
NAME = "m.safetensors"
NESTED = "nested"
"""Stands for 100,000 brackets, which no encoder of JSON would write."""
NASTY: dict[str, tuple[Any, Expected]] = {
    "0": (0, EITHER),
    "-1": (-1, EITHER),
    "1": (1, EITHER),
    "nan": (float("nan"), REFUSED),
    "infinity": (float("inf"), EITHER),
    "1e30": (1e30, EITHER),
    "1000000": (1_000_000, EITHER),
    "10^30": (10**30, REFUSED),
    "40": (40, EITHER),
    "half": (0.5, EITHER),
    "text": ("text", REFUSED),
    "empty text": ("", REFUSED),
    "true": (True, EITHER),
    "null": (None, EITHER),
    "list": ([], EITHER),
    "list of lists": ([[[]]], REFUSED),
    "object": ({}, REFUSED),
    "nested": (NESTED, REFUSED),
}


class Model(NamedTuple):
    """A sound model file in its parts."""

    name: str
    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]
    key: str
    """Key of its description."""


def model_of(base: BaseFiles, name: str) -> Model:
    """A sound model file by its name."""
    path = pathlib.Path(base[f"{name}.safetensors"])
    metadata = read_metadata(path)
    key = next((key for key, value in metadata.items() if value.startswith("{")), "")
    return Model(name, load_file(path), metadata, key)


def arguments_for(base: BaseFiles, name: str) -> tuple[str, ...]:
    """The command that takes a model, which is in the folder of the case."""
    if name in ("recognet", "embedding"):
        start = ("--start", base["labels/m000.tif"], *(() if name == "embedding" else ("--window", "32")))
        return ("track", base["stack.tif"], *start, "--model", NAME, "--out", "out")
    return ("segment", base["stack.tif"], "--model", NAME, "--out", "out")


def case_of(
    base: BaseFiles, model: str, name: str, data: bytes | Callable[[], bytes], expected: Expected
) -> Case:
    """A case with a model file of these bytes."""
    return Case(
        name=f"models/{model}/{name}",
        family="models",
        arguments=arguments_for(base, model),
        expected=expected,
        # A result without cells is refused in words about the movie, a stride in words about the window.
        words=(NAME,) if expected is REFUSED else (NAME, "stack.tif", "window"),
        make=lambda folder: _write(folder / NAME, data),
    )


def _write(path: pathlib.Path, data: bytes | Callable[[], bytes]) -> None:
    path.write_bytes(data() if callable(data) else data)


def model_cases(base: BaseFiles) -> Iterator[Case]:
    """Every field of every description with each nasty value; tensors; containers."""
    for name in MODELS:
        model = model_of(base, name)
        yield case_of(
            base, name, "sound", packed(model), EITHER if name in ("ecoli", "nuclei", "rcnn") else FINE
        )
        if model.key:
            yield from _description_cases(base, model)
        yield from _tensor_cases(base, model)
    for number, (name, data) in enumerate(_containers(model_of(base, "cell"))):
        yield case_of(base, ("cell", "embedding")[number % 2], f"container {name}", data, REFUSED)
    for name, value in {"text": "text", "null": "null", "list": "[]", "cut": "{", "number": "1"}.items():
        for model in map(functools.partial(model_of, base), MODELS[:-1]):
            data = packed(model, metadata=model.metadata | {model.key: value})
            yield case_of(base, model.name, f"description {name}", data, REFUSED)


def packed(
    model: Model, *, tensors: dict[str, np.ndarray] | None = None, metadata: dict[str, str] | None = None
) -> bytes:
    """The bytes of a model file with some of its parts replaced."""
    return save(
        {
            name: np.ascontiguousarray(t)
            for name, t in (model.tensors if tensors is None else tensors).items()
        },
        metadata=model.metadata if metadata is None else metadata,
    )


def _description_cases(base: BaseFiles, model: Model) -> Iterator[Case]:
    described = json.loads(model.metadata[model.key])
    for path in _leaves(described):
        for name, (value, expected) in NASTY.items():
            # A number that replaces the name of a thing, or a list of them, has no meaning.
            before = functools.reduce(lambda part, step: part[step], path, described)
            if value == before:
                continue
            if isinstance(before, str | list | dict) or (before is not None and name == "list"):
                expected = REFUSED if not (isinstance(before, list) and name == "list") else EITHER
            if path[0] == "names" and len(path) == 2 and isinstance(value, str):  # Any text is a name.
                expected = EITHER
            changed = copy.deepcopy(described)
            functools.reduce(lambda part, step: part[step], path[:-1], changed)[path[-1]] = value
            data = functools.partial(_described, model, changed)
            yield case_of(base, model.name, f"{'.'.join(map(str, path))} {name}", data, expected)
    for path in [path for path in _leaves(described) if len(path) == 1]:
        without = {key: value for key, value in described.items() if key != path[0]}
        data = functools.partial(_described, model, without)
        yield case_of(base, model.name, f"without {path[0]}", data, REFUSED)
    data = functools.partial(_described, model, described | {"other": 1})
    yield case_of(base, model.name, "with another field", data, REFUSED)


def _described(model: Model, described: Any) -> bytes:
    """A model file with another description."""
    text = json.dumps(described).replace(f'"{NESTED}"', 100_000 * "[" + 100_000 * "]")
    return packed(model, metadata=model.metadata | {model.key: text})


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of all values of a description, but for the items of long lists."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list):
        for number, part in enumerate(value[:1]):
            yield from _leaves(part, (*path, number))


def _tensor_cases(base: BaseFiles, model: Model) -> Iterator[Case]:
    """All tensors, the first and the last of them with other values, types and shapes."""
    names = list(model.tensors)
    for name in dict.fromkeys((names[0], names[len(names) // 2], names[-1])):
        tensor = model.tensors[name]
        changed: dict[str, tuple[np.ndarray | None, Expected]] = {
            **{str(v): (np.full_like(tensor, v), REFUSED) for v in (np.nan, np.inf, -np.inf)},
            "1e38": (np.full_like(tensor, 1e38), EITHER),
            "int32": (tensor.astype(np.int32), REFUSED),
            "bool": (tensor.astype(bool), REFUSED),
            "uint8": (tensor.astype(np.uint8), REFUSED),
            "float16": (tensor.astype(np.float16), EITHER),
            "float64": (tensor.astype(np.float64), EITHER),
            "missing": (None, REFUSED),
            "one axis more": (tensor[None], REFUSED),
            "empty": (tensor[..., :0], REFUSED),
            "longer": (np.concatenate([tensor, tensor]), REFUSED),
        }
        for what, (value, expected) in changed.items():
            tensors = {k: v for k, v in model.tensors.items() if k != name}
            tensors |= {} if value is None else {name: value}
            short = name.rpartition("/")[0][-20:] + "/" + name.rpartition("/")[2]
            data = functools.partial(packed, model, tensors=tensors)
            yield case_of(base, model.name, f"tensor {short} {what}", data, expected)
    for what, kind in {"int32": np.int32, "bool": bool, "int64": np.int64}.items():
        tensors = {name: tensor.astype(kind) for name, tensor in model.tensors.items()}
        data = functools.partial(packed, model, tensors=tensors)
        yield case_of(base, model.name, f"all tensors {what}", data, REFUSED)
    for name in ("other", "params", "params/" + 300 * "x", "", "a/../b"):
        tensors = model.tensors | {name: np.zeros(3, np.float32)}
        data = functools.partial(packed, model, tensors=tensors)
        yield case_of(base, model.name, f"one more tensor {name[:20]!r}", data, REFUSED)


def _containers(model: Model) -> Iterator[tuple[str, bytes]]:
    """Files whose header is damaged, too long or lies."""
    sound = packed(model)
    (length,) = struct.unpack("<Q", sound[:8])
    header, body = json.loads(sound[8 : 8 + length]), sound[8 + length :]
    first = next(name for name in header if name != "__metadata__")

    def with_header(text: str | bytes) -> bytes:
        text = text.encode() if isinstance(text, str) else text
        return struct.pack("<Q", len(text)) + text + body

    def with_first(**changes: Any) -> bytes:
        return with_header(json.dumps(header | {first: header[first] | changes}))

    yield "empty", b""
    yield "seven bytes", sound[:7]
    for share in (0.02, 0.3, 0.6, 0.9, 0.999):
        yield f"cut at {share}", tiff_bytes.cut(sound, share)
    yield "longer", sound + b"more"
    for number in (0, 2**31, 2**40, 2**63, 2**64 - 1):
        yield f"header of {number} bytes", struct.pack("<Q", number) + sound[8:]
    yield "header nested", with_header(100_000 * "[" + 100_000 * "]")
    yield "objects nested", with_header(50_000 * '{"a":' + "1" + 50_000 * "}")
    yield "header is a list", with_header("[]")
    yield "header is no text", with_header(b"\xff\xfe\x00\x80" * 10)
    yield "no tensor", with_header(json.dumps({"__metadata__": model.metadata}))
    yield "metadata is a list", with_header(json.dumps(header | {"__metadata__": [1, 2]}))
    yield "metadata has numbers", with_header(json.dumps(header | {"__metadata__": {"a": 1}}))
    yield "no metadata", with_header(json.dumps({k: v for k, v in header.items() if k != "__metadata__"}))
    big = json.dumps(header | {first: header[first] | {"shape": ["BIG"]}})
    yield "5,000 digits", with_header(big.replace('"BIG"', "1" + 5000 * "0"))
    yield "shape overflows", with_first(shape=[2**32, 2**32, 2**32])
    yield "shape negative", with_first(shape=[-1, 4])
    yield "shape of text", with_first(shape="many")
    yield "shape null", with_first(shape=None)
    yield "type unknown", with_first(dtype="F128")
    yield "type a number", with_first(dtype=5)
    yield "offsets beyond the end", with_first(data_offsets=[0, 2**50])
    yield "offsets backwards", with_first(data_offsets=[64, 0])
    yield "offsets overlap", with_first(data_offsets=[4, 68])
    yield "offsets text", with_first(data_offsets="all")
    yield "zip", b"PK\x03\x04" + sound
    yield "pickle", b"\x80\x04\x95" + sound
    yield "zeros", bytes(4096)


def mutated_models(base: BaseFiles, rng: np.random.Generator) -> Iterator[Case]:
    """Random damage without end."""
    models = [model_of(base, name) for name in MODELS]
    for number in range(10**9):
        model = models[rng.integers(len(models))]
        data = packed(model)
        (length,) = struct.unpack("<Q", data[:8])
        if rng.uniform() < 0.2:
            data = tiff_bytes.cut(data, rng.uniform())
        else:
            below = 8 + length if rng.uniform() < 0.8 else None
            data = tiff_bytes.flipped(data, rng, count=int(rng.integers(1, 9)), below=below)
        yield case_of(base, model.name, f"random {number}", data, EITHER)
