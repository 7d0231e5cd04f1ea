"""Keras ``.h5`` files of the older layout: lists of layer and weight names in attributes.

Keras 1 and 2 wrote it from ``save_weights`` (at the root of the file) and ``save`` (below
``model_weights``, beside the optimiser's state), and Keras 3 still does from ``save("x.h5")``.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import parse_json
from cellmotion_jax.weights.hdf5 import group_at, read_dataset
from cellmotion_jax.weights.refusals import quoted


def is_legacy(file: h5py.File) -> bool:
    """Whether an HDF5 file has the older layout.

    Args:
        file: Any HDF5 file.

    Returns:
        True if its root, or the group ``model_weights``, lists layers.
    """
    return bool(_listed(_weights_of(file), "layer_names"))


def read_legacy(path: pathlib.Path, file: h5py.File) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads the weights of all layers, without those of the optimiser.

    Names are ``layer/tensor``: the file's, without ``:0`` and without the scopes and models around
    the layer, which Keras names or not depending on how the model was put together. Keras 1 wrote
    ``dense_1_W``, which becomes ``dense_1/W``. Layers with parts keep all names (``lstm/lstm_cell/kernel``).

    Args:
        path: The file.
        file: The same, open.

    Returns:
        The tensors by name.

    Raises:
        InputError: If two tensors have one name.
    """
    weights = _weights_of(file)
    models: set[str] = set()
    if "model_config" in file.attrs:
        models.update(
            _model_names(
                parse_json(_text(file.attrs["model_config"]), source=f"{path}, in its model_config,")
            )
        )
    layers = _listed(weights, "layer_names")
    if "top_level_model_weights" in weights:
        layers.append("top_level_model_weights")
    tensors: dict[str, np.ndarray] = {}
    for layer in layers:
        group = group_at(weights, layer)
        for written in _listed(group, "weight_names"):
            name = _name(written, layer=layer, models=models)
            if name in tensors:
                raise InputError(
                    f"{path} holds two tensors called {quoted(name)}; give their layers different names and "
                    "save the model again."
                )
            tensors[name] = read_dataset(group, written, path=path)
    return tensors


def _weights_of(file: h5py.File) -> h5py.Group:
    return group_at(file, "model_weights" if "model_weights" in file else "/")


def _listed(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names in an attribute, or in several numbered ones: HDF5 allows 64 kB in each."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    return [_text(name) for part in parts for name in np.asarray(group.attrs[part])]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _model_names(node: dict[str, Any]) -> Iterator[str]:
    """Names of a model and of the models in it; Keras 1 has a bare list where Sequential has settings."""
    settings = node.get("config", {})
    layers = settings if isinstance(settings, list) else settings.get("layers")
    if isinstance(layers, list):
        if isinstance(settings, dict):
            yield str(settings.get("name"))
        for layer in layers:
            yield from _model_names(layer)


def _name(written: str, *, layer: str, models: set[str]) -> str:
    *places, tensor = re.sub(r":\d+$", "", written).split("/")
    if not places:
        return f"{layer}/{tensor.removeprefix(layer + '_')}"
    if layer in places:
        places = places[places.index(layer) :]
    # A layer may be called as a model is; then the name next to the tensor is the layer's.
    layers = [place for place in places[:-1] if place not in models]
    if places[-1] not in models or not layers:
        layers.append(places[-1])
    return "/".join([*layers, tensor])
