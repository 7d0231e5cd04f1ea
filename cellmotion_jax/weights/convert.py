"""Conversion of published weights to a safetensors file with our parameter paths, and its loading."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.traverse_util
import numpy as np
from jaxtyping import Float32, Shaped
from safetensors.numpy import save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.weights.catalogue import CATALOGUE, Entry
from cellmotion_jax.weights.fitting import misfits, some_names, variable_shapes
from cellmotion_jax.weights.layouts import Slot
from cellmotion_jax.weights.read import read_tensors
from cellmotion_jax.weights.safetensors_files import read_metadata

MODEL_KEY = "cellmotion_jax.model"


class ImportReport(NamedTuple):
    """Report of an import: what was done with every tensor of the source."""

    model: str
    values: int
    """Number of imported values."""
    tensors: int
    """Number of imported tensors."""
    left_out: tuple[str, ...]
    """Tensors of parts that the network does not have, such as the head of a classifier."""
    source_types: tuple[str, ...]
    """Types of the imported tensors, before the conversion to float32."""


class Pretrained(NamedTuple):
    """Imported weights."""

    model: str
    """Name in the catalogue."""
    variables: dict[str, Any]
    """``params`` and ``batch_stats`` of the network, NumPy arrays."""
    scaling: InputScaling | None
    """None for a network of grey images."""
    metadata: dict[str, str]


def import_weights(
    source: str | os.PathLike[str],
    *,
    model: str,
    out: str | os.PathLike[str],
    licence: str = "",
) -> ImportReport:
    """Converts published weights of a network.

    ``out`` is a safetensors file of float32 tensors named ``params/...`` and ``batch_stats/...`` as in our
    network, with the source, its SHA-256, the licence and the scaling of the input as metadata.

    Args:
        source: Keras ``.h5``, ``.weights.h5`` or ``.keras``, torch state dict, safetensors or npz.
        model: Name in the catalogue.
        out: File to write, replaced if it exists.
        licence: Licence of the weights, kept in the file.

    Returns:
        What became of the tensors.

    Raises:
        InputError: An unknown model, a file that cannot be read, or tensors that are not exactly those of
            the network: missing, mis-shaped, unknown, infinite ones are named; nothing is written.
    """
    entry = _entry(model)
    source = pathlib.Path(source)
    with written_beside(out) as partial:
        tensors = read_tensors(source)
        fitted = _fit(tensors, model)
        if fitted.wrong:
            raise InputError(f"{source} does not hold the weights of {model}: {'; '.join(fitted.wrong)}. "
                             f"{_hint(tensors, model)}")  # fmt: skip
        metadata = {
            MODEL_KEY: model,
            "source": source.name,
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "licence": licence or "not given",
            "scaling": json.dumps(entry.scaling and dataclasses.asdict(entry.scaling)),
            "source_types": " ".join(fitted.types),
            "left_out": " ".join(fitted.left_out),
        }
        save_file(fitted.ours, partial, metadata=metadata)
    return ImportReport(
        model=model,
        values=sum(tensor.size for tensor in fitted.ours.values()),
        tensors=len(fitted.ours),
        left_out=fitted.left_out,
        source_types=fitted.types,
    )


def load_weights(path: str | os.PathLike[str]) -> Pretrained:
    """Reads what ``import_weights`` wrote.

    Args:
        path: The safetensors file.

    Returns:
        Variables of the network, with its name and the scaling of its input.

    Raises:
        InputError: The file is absent or damaged, was not written by ``import_weights``, or does not fit the
            network of this version.
    """
    path = pathlib.Path(path)
    tensors = read_tensors(path)
    try:
        metadata = read_metadata(path)
    except InputError:
        metadata = {}  # Weights in another format: they were read well.
    if MODEL_KEY not in metadata:
        raise InputError(
            f"{path} was not written by `cellmotion import-weights`; "
            f"convert it first: cellmotion import-weights {path} --model NAME --out FILE.safetensors."
        )
    model = metadata[MODEL_KEY]
    differing = misfits(tensors, _shapes(model))
    if differing:
        raise InputError(
            f"{path} does not fit {model} as it is in this version ({some_names(differing)}); "
            "import its weights again."
        )
    written = json.loads(metadata["scaling"])
    scaling = written and InputScaling(
        mean=tuple(written["mean"]), std=tuple(written["std"]), channels=written["channels"]
    )
    return Pretrained(model, flax.traverse_util.unflatten_dict(tensors, sep="/"), scaling, metadata)


def imported_model(path: str | os.PathLike[str]) -> str | None:
    """Name of the network whose weights a file of ``import_weights`` holds.

    Args:
        path: A safetensors file.

    Returns:
        Its name in the catalogue; None if the file is from elsewhere, or of a network that is not in it.

    Raises:
        InputError: If the file is absent, damaged or no safetensors file.
    """
    name = read_metadata(pathlib.Path(path)).get(MODEL_KEY)
    return name if name in CATALOGUE else None


class _Fitted(NamedTuple):
    ours: dict[str, Float32[np.ndarray, "..."]]
    types: tuple[str, ...]
    left_out: tuple[str, ...]
    wrong: list[str]
    """What keeps the tensors from being exactly those of the network, as parts of a sentence."""


def _fit(tensors: Mapping[str, Shaped[np.ndarray, "..."]], model: str) -> _Fitted:
    """Assigns a tensor to every slot; every other tensor must belong to a part that may be left out."""
    layout = CATALOGUE[model].layout
    ours, types, used = {}, set(), set()
    missing, misshapen, no_numbers = [], [], []
    for path, slot in _slots(model).items():
        names = layout.names(slot)
        name = next((name for name in names if name in tensors), None)
        if name is None:
            missing.append(names[0])
            continue
        used.add(name)
        tensor = layout.turn(tensors[name], slot)
        if tensor.shape != slot.shape:
            misshapen.append(f"{name} {tensors[name].shape}")
        elif not np.issubdtype(tensor.dtype, np.floating) or not np.all(np.isfinite(tensor)):
            no_numbers.append(name)
        else:
            types.add(str(tensor.dtype))
            # C order: safetensors writes the bytes as they lie in memory.
            ours[path] = np.ascontiguousarray(tensor, np.float32)
    rest = sorted(tensors.keys() - used)
    left_out = tuple(name for name in rest if any(p.fullmatch(name) for p in layout.other))
    told = {
        "missing": missing,
        "of another shape": misshapen,
        "not finite real numbers": no_numbers,
        "unknown": sorted(set(rest) - set(left_out)),
    }
    wrong = [f"{len(names)} {what} ({some_names(names)})" for what, names in told.items() if names]
    return _Fitted(ours, tuple(sorted(types)), left_out, wrong)


def _slots(model: str) -> dict[str, Slot]:
    """Every parameter and batch statistic of a network by its path."""
    shapes = _shapes(model)
    norms = {path.split("/", 1)[1].rpartition("/")[0] for path in shapes if path.startswith("batch_stats/")}
    slots = {}
    for path, shape in shapes.items():
        within, _, leaf = path.split("/", 1)[1].rpartition("/")
        slots[path] = Slot(within, leaf, within in norms, shape)
    return slots


@functools.cache
def _shapes(model: str) -> Mapping[str, tuple[int, ...]]:
    """Shape of every parameter and batch statistic; tracing a deep network takes a second."""
    entry = _entry(model)
    return variable_shapes(entry.module, entry.image_shape)


def _entry(model: str) -> Entry:
    if model not in CATALOGUE:
        raise InputError(f"There is no model {model!r} to import weights for; known: {', '.join(CATALOGUE)}.")
    return CATALOGUE[model]


def _hint(tensors: Mapping[str, Shaped[np.ndarray, "..."]], asked: str) -> str:
    """Name of another model that a file fits, if there is one."""
    for model in CATALOGUE:
        if model != asked and not _fit(tensors, model).wrong:
            return f"They are those of {model}."
    return f"Right would be {CATALOGUE[asked].source}."
