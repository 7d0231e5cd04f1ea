"""Model files: a trained network with its settings in one safetensors file; no code is stored in it.

The tensors are the network's variables, ``params/...`` and ``batch_stats/...``. Everything else is JSON in
the metadata, under a key that distinguishes the kinds of models. A method states its `ModelFormat` once, in
its ``model_file.py``.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.weights.convert import MODEL_KEY
from cellmotion_jax.weights.fitting import misfits, some_names, variable_shapes
from cellmotion_jax.weights.safetensors_files import read_metadata, read_safetensors

Model = TypeVar("Model")
Described = TypeVar("Described")

HELD = {
    "cellmotion_jax.cell_model": "a DeepDistance model",
    "cellmotion_jax.video_model": "a ConvLSTM model",
    "cellmotion_jax.nuclei_network": "a DeepCell network",
    "cellmotion_jax.recognition_model": "a RecogNet",
    "cellmotion_jax.tracking_embedding": "a tracking embedding",
}
"""Kind of model of a file, by the key of its description. The keys are older than the present method
names."""
RENAMED = {"shrink": "downsample"}
"""Names of settings in files of earlier versions, and their present names."""
NOT_KEPT = ("parent", "name", "dtype", "variables")
"""Fields that are not stored. The floating-point type depends on the machine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelFormat(Generic[Model]):
    """Format of the model files of one method."""

    key: str
    """One of `HELD`."""
    model: type[Model]
    """A dataclass with a ``network`` (a Linen module), its ``variables``, and settings."""
    decode: Mapping[str, Callable[[Any], Any]]
    """Functions that convert the description of fields that are not plain numbers or text."""
    image_shape: Callable[[Model], tuple[int, ...]]
    """(y, x, channel) of an image, or (time, y, x, channel) of a window, that a model's network takes."""
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Converts the description of an earlier version to the present one."""

    def save(self, path: str | os.PathLike[str], model: Model) -> None:
        """Writes a model, its tensors as float32.

        Args:
            path: The file, replaced if it exists.
            model: Model to write.
        """
        variables = jax.device_get(dict(model.variables))  # type: ignore[attr-defined]
        flat = flax.traverse_util.flatten_dict(variables, sep="/")
        # C order: safetensors writes the bytes as they lie in memory.
        tensors = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in flat.items()}
        with written_beside(path) as partial:
            save_file(tensors, partial, metadata={self.key: json.dumps(describe(model))})

    def load(self, path: str | os.PathLike[str]) -> Model:
        """Reads a model from a file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The model, its variables on the default device.

        Raises:
            InputError: If the file is absent, damaged or no safetensors file, holds something else, or does
                not fit the networks of this version.
        """
        described = _read_description(pathlib.Path(path), key=self.key)
        try:
            model = restore(self.model, self.upgrade(described), decode=self.decode, variables={})
            expected = variable_shapes(model.network, self.image_shape(model))  # type: ignore[attr-defined]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} describes {HELD[self.key]} that this version cannot build ({error!r}); train it "
                "again."
            ) from error
        return dataclasses.replace(model, variables=_read_variables(path, expected))  # type: ignore[type-var]


def held_model(path: str | os.PathLike[str]) -> tuple[str | None, str]:
    """Kind of model in a safetensors file.

    Args:
        path: The file.

    Returns:
        The key of a model, one of `HELD`, or None where there is none; and the same in words.

    Raises:
        InputError: If the file is absent, damaged or no safetensors file.
    """
    return _held(_metadata(pathlib.Path(path)))


def _metadata(path: pathlib.Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"{path} is no file; give the model.safetensors that training writes.")
    return read_metadata(path)


def _held(metadata: Mapping[str, str]) -> tuple[str | None, str]:
    for key, what in HELD.items():
        if key in metadata:
            return key, what
    if MODEL_KEY in metadata:
        return None, f"the weights of {metadata[MODEL_KEY]}"
    return None, "tensors of another origin"


def describe(value: Any) -> Any:
    """Description of a dataclass in types of JSON: objects by field, members of enums by value."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: describe(getattr(value, name)) for name in _kept(type(value))}
    if isinstance(value, tuple | list):
        return [describe(item) for item in value]
    return value


def restore(
    described_class: type[Described],
    described: Mapping[str, Any],
    *,
    decode: Mapping[str, Callable[[Any], Any]] | None = None,
    **given: Any,
) -> Described:
    """Restores a dataclass from its description by `describe`.

    Args:
        described_class: The dataclass.
        described: Its description. A default that stood in for a field of another version would change what
            the model finds, so exactly its fields are there.
        decode: Functions that restore fields that are not plain numbers or text.
        given: Fields that are not described.

    Returns:
        The object.

    Raises:
        KeyError: If a field is missing or unknown, which is named.
    """
    current = {RENAMED.get(name, name): value for name, value in described.items()}
    if differing := set(current) ^ set(_kept(described_class)):
        raise KeyError(*sorted(differing))
    makers = decode or {}
    return described_class(
        **{name: makers[name](value) if name in makers else value for name, value in current.items()}, **given
    )


def _kept(described_class: type) -> list[str]:
    return [field.name for field in dataclasses.fields(described_class) if field.name not in NOT_KEPT]


def _read_description(path: pathlib.Path, *, key: str) -> dict[str, Any]:
    metadata = _metadata(path)
    held, what = _held(metadata)
    if held != key:
        raise InputError(
            f"{path} holds {what}, not {HELD[key]}; give the model.safetensors that its training writes."
        )
    try:
        described = json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is damaged: its description cannot be read ({error}).") from error
    if not isinstance(described, dict):
        raise InputError(f"{path} is damaged: its description is no object of names and values.")
    return described


def _read_variables(path: str | os.PathLike[str], expected: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Reads the tensors of a file and checks their shapes against those of a network."""
    tensors = read_safetensors(pathlib.Path(path))
    if differing := misfits(tensors, expected):
        raise InputError(f"{path} does not fit the network it describes ({some_names(differing)}).")
    return flax.traverse_util.unflatten_dict(
        {name: jnp.asarray(tensor) for name, tensor in tensors.items()}, sep="/"
    )
