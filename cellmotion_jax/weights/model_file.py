"""Model files: a trained network with its settings in one safetensors file; no code is stored in it.

The tensors are the network's variables, ``params/...`` and ``batch_stats/...``. Everything else is JSON in
the metadata, under a key that distinguishes the kinds of models. A method states its `ModelFormat` once, in
its ``model_file.py``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import flax.errors
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import parse_json
from cellmotion_jax.weights.descriptions import describe, restore
from cellmotion_jax.weights.fitting import misfits, variable_shapes
from cellmotion_jax.weights.kinds import HELD, held
from cellmotion_jax.weights.refusals import plain, some_names
from cellmotion_jax.weights.safetensors_files import Header, read_header, read_variables, write_safetensors

Model = TypeVar("Model")

MOST_LAYERS = 500
"""Layers of a network that is built; the deepest one here has 150."""
MOST_PIXELS = 2**24
"""Pixels of the smallest image that a network takes: 4096 x 4096."""
# What flax and jax raise for settings that make no network.
_NO_NETWORK = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, flax.errors.FlaxError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelFormat(Generic[Model]):
    """Format of the model files of one method."""

    key: str
    """One of `HELD`."""
    model: type[Model]
    """A dataclass with a ``network`` (a Linen module), its ``variables``, and settings."""
    image_shape: Callable[[Model], tuple[int, ...]]
    """(y, x, channel) of an image, or (time, y, x, channel) of a window, that a model's network takes."""
    layers: Callable[[Model], int]
    """Number of layers of a model's network as far as its settings choose it; a file has at least as many
    tensors."""
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
        tensors = {name: np.asarray(tensor, np.float32) for name, tensor in flat.items()}
        write_safetensors(path, tensors, metadata={self.key: json.dumps(describe(model))})

    def load(self, path: str | os.PathLike[str]) -> Model:
        """Reads a model from a file that `save` wrote.

        What the network needs is compared with the tensors of the file before it is built, so that no
        description leads to more memory than these have.

        Args:
            path: The file.

        Returns:
            The model, its variables on the default device.

        Raises:
            InputError: If the file is absent, damaged or no safetensors file, holds something else, does
                not fit the networks of this version, or if its values are not finite float32 numbers.
        """
        header = read_header(path)
        described = self._description(path, header)
        try:
            model = restore(self.model, self.upgrade(described), variables={})
            self._check_extent(model, header)
            expected = variable_shapes(model.network, self.image_shape(model))  # type: ignore[attr-defined]
        except _NO_NETWORK as error:
            raise InputError(
                f"{path} describes {HELD[self.key]} that this version cannot build "
                f"({plain(str(error) or type(error).__name__)}); train it again."
            ) from error
        if differing := misfits(header.shapes, expected):
            raise InputError(f"{path} does not fit the network it describes ({some_names(differing)}).")
        variables = {name: jnp.asarray(tensor) for name, tensor in read_variables(path).items()}
        return dataclasses.replace(model, variables=flax.traverse_util.unflatten_dict(variables, sep="/"))  # type: ignore[type-var]

    def _description(self, path: str | os.PathLike[str], header: Header) -> dict[str, Any]:
        found = held(header.metadata)
        if found.key != self.key:
            raise InputError(f"{path} holds {found.what}, which {found.use}; it is not {HELD[self.key]}.")
        described = parse_json(header.metadata[self.key], source=f"{path}, in its description,")
        if not isinstance(described, dict):
            raise InputError(f"{path} is damaged: its description is no object of names and values.")
        return described

    def _check_extent(self, model: Model, header: Header) -> None:
        """Raises ValueError for a network with more layers than the file has tensors, or for huge images."""
        layers = self.layers(model)
        if not 0 <= layers <= min(len(header.tensors), MOST_LAYERS):
            raise ValueError(f"a network of {layers} layers, but the file has {len(header.tensors)} tensors")
        sides = self.image_shape(model)[:-1]
        if min(sides) < 1 or math.prod(sides) > MOST_PIXELS:
            raise ValueError(f"its smallest image has no pixel, or more than {MOST_PIXELS}")
