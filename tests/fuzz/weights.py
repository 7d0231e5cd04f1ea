"""Published weights that are damaged, enormous or made to run code, for ``import-weights``."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
from safetensors.numpy import save

from tests.fuzz import tiff_bytes
from tests.fuzz.case import Case, Expected
from tests.fuzz.weight_files import strange_files
from tests.fuzz.weight_sources import NETWORKS, SUFFIXES, sound, torch_tensors

REFUSED, FINE, EITHER = Expected.REFUSED, Expected.FINE, Expected.EITHER


def case_of(suffix: str, name: str, data: bytes | Callable[[], bytes], expected: Expected) -> Case:
    """A case with a file of these bytes."""
    network = NETWORKS.get(suffix, "yolov8-n")
    return Case(
        name=f"weights/{suffix}/{name}",
        family="weights",
        arguments=("import-weights", f"w{suffix}", "--model", network, "--out", "out.safetensors"),
        expected=expected,
        words=(f"w{suffix}",),
        make=lambda folder: _write(folder / f"w{suffix}", data),
        outputs=("out.safetensors",),
    )


def _cut(suffix: str, share: float) -> bytes:
    return tiff_bytes.cut(sound(suffix), share)


def _write(path: pathlib.Path, data: bytes | Callable[[], bytes]) -> None:
    path.write_bytes(data() if callable(data) else data)


def weight_cases() -> Iterator[Case]:
    """Sound files, files cut or of another kind, bombs and pickles that would run code."""
    for suffix in SUFFIXES:
        yield case_of(suffix, "sound", lambda suffix=suffix: sound(suffix), FINE)
        for share in (0, 0.01, 0.3, 0.6, 0.95, 0.9999):
            data = functools.partial(_cut, suffix, share)
            yield case_of(suffix, f"cut at {share}", data, REFUSED)
        for other in SUFFIXES:
            if other != suffix:
                yield case_of(suffix, f"holds {other}", lambda other=other: sound(other), EITHER)
        yield case_of(suffix, "zeros", bytes(5000), REFUSED)
        yield case_of(suffix, "text", b"weights\n" * 100, REFUSED)
    for number, (suffix, name, data) in enumerate(strange_files()):
        yield case_of(suffix, f"{number} {name}", data, REFUSED)
    for value in (np.nan, np.inf):
        tensors = torch_tensors()
        first = next(iter(tensors))
        spoilt = tensors | {first: np.full_like(tensors[first], value)}
        yield case_of(".safetensors", f"{value}", save(spoilt), REFUSED)


def mutated_weights(rng: np.random.Generator) -> Iterator[Case]:
    """Random damage without end."""
    for number in range(10**9):
        suffix = SUFFIXES[rng.integers(len(SUFFIXES))]
        data = sound(suffix)
        below = int(rng.choice([200, 4000, len(data)]))
        # The directory of a zip archive is at its end.
        if suffix in (".npz", ".pth") and rng.uniform() < 0.5:
            tail = tiff_bytes.flipped(data[-20_000:], rng, count=int(rng.integers(1, 9)))
            data = data[:-20_000] + tail
        else:
            data = tiff_bytes.flipped(data, rng, count=int(rng.integers(1, 9)), below=below)
        yield case_of(suffix, f"random {number}", data, EITHER)
