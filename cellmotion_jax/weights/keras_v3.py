"""Keras 3 files: ``.weights.h5``, and ``.keras``, which is a zip archive with one of these in it.

Each layer's tensors are numbered and lie in a group whose name comes from the class, as in
``layers/conv2d_4/vars/0``. The name of the layer is an attribute of ``vars`` since Keras 3.6; before,
it was only in the ``config.json`` of a ``.keras`` file. The names of tensors follow from the class.
"""

from __future__ import annotations

import collections
import itertools
import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import parse_json
from cellmotion_jax.weights.hdf5 import all_datasets, group_at, open_hdf5, read_dataset
from cellmotion_jax.weights.refusals import quoted

# Tensors in the order in which each class adds them, by the class's name in snake case.
_TENSORS = {
    **dict.fromkeys(
        ("dense", "einsum_dense", "conv1d", "conv2d", "conv3d", "conv2d_transpose", "conv3d_transpose"),
        ("kernel", "bias"),
    ),
    "depthwise_conv2d": ("kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "group_normalization": ("gamma", "beta"),
    "normalization": ("mean", "variance", "count"),
    "embedding": ("embeddings",),
    "p_re_lu": ("alpha",),
}
# Tensors that a layer has or not, and the setting that says which.
_SWITCHES = {"bias": "use_bias", "gamma": "scale", "beta": "center"}


class _Layer(NamedTuple):
    """Layer of a group; `settings` is empty if there is no ``config.json``."""

    name: str
    kind: str
    settings: dict[str, Any]


def read_keras_archive(path: pathlib.Path, archive: zipfile.ZipFile) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads the weights in a ``.keras`` file of Keras 3; of its ``config.json`` only names and switches.

    Args:
        path: The file.
        archive: The same, open.

    Returns:
        The tensors as ``layer/tensor``, with the names that `read_legacy` gives for the same model.

    Raises:
        InputError: If a tensor cannot be named, or if two have one name.
    """
    config = parse_json(archive.read("config.json").decode(), source=f"{path}, in its config.json,")
    layers = dict(_layers(config["config"], ""))
    with open_hdf5(path, archive.read("model.weights.h5")) as file:
        return _read(path, file, layers)


def read_weights_h5(path: pathlib.Path, file: h5py.File) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads a ``.weights.h5`` file of Keras 3 that records the names of its layers.

    Args:
        path: The file.
        file: The same, open.

    Returns:
        The tensors as ``layer/tensor``, with the names that `read_legacy` gives for the same model.

    Raises:
        InputError: If Keras did not write the file, if it does not record names, if a tensor cannot be named,
            or if two have one name.
    """
    layers = {}
    for place in _numbered(path, file):
        if place.rpartition("/")[2] != "vars":
            raise InputError(
                f"{path} is an HDF5 file with data in {quoted(place or '/')}, but not one of Keras."
            )
        if "name" not in file[place].attrs:
            raise InputError(
                f"{path} does not record the names of its layers, as older versions of Keras 3 leave them "
                'out of .weights.h5; load it in Keras and save the model with model.save("NAME.keras").'
            )
        group = place.removesuffix("/vars")
        # Below "layers" a group is called after the class; elsewhere after an attribute of the layer above.
        kind = re.search(r"(?:^|/)layers/(\w+?)(?:_\d+)?$", group)
        layers[group] = _Layer(str(file[place].attrs["name"]), kind[1] if kind else "", {})
    return _read(path, file, layers)


def _read(
    path: pathlib.Path, file: h5py.File, layers: dict[str, _Layer]
) -> dict[str, Shaped[np.ndarray, "..."]]:
    tensors: dict[str, np.ndarray] = {}
    for place, count in _numbered(path, file).items():
        layer = layers.get(place.removesuffix("/vars"))
        names = _tensor_names(layer, count) if layer else None
        if layer is None or names is None:
            what = f"{quoted(layer.name)} at {quoted(place)}" if layer else quoted(place)
            raise InputError(
                f"{path} does not name the tensors of {what}, and their number ({count}) leaves it open; "
                'load it in Keras and save the model with model.save("NAME.h5").'
            )
        group = group_at(file, place)
        for index, tensor in enumerate(names):
            name = f"{layer.name}/{tensor}"
            if name in tensors:
                raise InputError(
                    f"{path} holds two tensors called {quoted(name)}; give their layers different names and "
                    "save the model again."
                )
            tensors[name] = read_dataset(group, str(index), path=path)
    return tensors


def _numbered(path: pathlib.Path, file: h5py.File) -> collections.Counter[str]:
    """Groups with tensors, and how many each has; the state of the optimiser is left out."""
    places = [place for place, _ in all_datasets(path, file) if not place.startswith("optimizer/")]
    return collections.Counter(place.rpartition("/")[0] for place in places)


def _layers(settings: dict[str, Any], above: str) -> Iterator[tuple[str, _Layer]]:
    """The group of every layer of a model, and of the models in it, and what ``config.json`` says of it."""
    used: collections.Counter[str] = collections.Counter()
    for node in settings.get("layers", ()):
        kind = _snake_case(node["class_name"])
        group = f"{above}layers/{kind}" + (f"_{used[kind]}" if used[kind] else "")
        used[kind] += 1
        yield group, _Layer(node["config"]["name"], kind, node["config"])
        yield from _layers(node["config"], f"{group}/")


def _snake_case(class_name: str) -> str:
    """``DepthwiseConv2D`` as ``depthwise_conv2d`` and ``PReLU`` as ``p_re_lu``, the way Keras does it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", class_name).lower()


def _tensor_names(layer: _Layer, count: int) -> tuple[str, ...] | None:
    """Names of a layer's tensors in order, None unless exactly one choice of switches gives their number."""
    full = _TENSORS.get(layer.kind, ())
    switchable = [name for name in full if name in _SWITCHES]
    known = [layer.settings.get(_SWITCHES[name]) for name in switchable]
    choices = []
    for on in itertools.product((True, False), repeat=len(switchable)):
        if all(setting is None or setting == chosen for setting, chosen in zip(known, on)):
            off = {name for name, chosen in zip(switchable, on) if not chosen}
            choices.append(tuple(name for name in full if name not in off))
    fitting = [names for names in choices if len(names) == count]
    return fitting[0] if len(fitting) == 1 else None
