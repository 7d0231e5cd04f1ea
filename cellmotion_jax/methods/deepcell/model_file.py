"""Feature nets trained here, one file per replicate, and how nuclei are made of their answers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deepcell.nuclei import DeepCellEnsemble, NucleiSettings
from cellmotion_jax.models.feature_net import Conv, FeatureNet, Pool
from cellmotion_jax.weights.fitting import variable_shapes
from cellmotion_jax.weights.model_file import read_description, read_variables, write_variables

NUCLEI_KEY = "cellmotion_jax.nuclei_network"
NETWORK_FIELDS = ("dense_width", "classes", "batch_norm")


def save_nuclei_network(
    path: str | os.PathLike[str], network: FeatureNet, variables: dict[str, Any], settings: NucleiSettings
) -> None:
    """Writes one network to a safetensors file, replaced if it exists.

    Args:
        path: The file.
        network: The module; its compute type is not kept.
        variables: Its variables, without a member axis.
        settings: With what nuclei are found.
    """
    layers = [[layer.kernel, layer.width] if isinstance(layer, Conv) else None for layer in network.layers]
    described = {
        "layers": layers,
        "network": {name: getattr(network, name) for name in NETWORK_FIELDS},
        "settings": dataclasses.asdict(settings),
    }
    write_variables(path, variables, key=NUCLEI_KEY, described=described)


def load_nuclei_networks(
    paths: Sequence[str | os.PathLike[str]],
) -> tuple[DeepCellEnsemble, NucleiSettings]:
    """Reads one network or the replicates of one ensemble that :func:`save_nuclei_network` wrote.

    Args:
        paths: At least one file.

    Returns:
        The ensemble, its variables on the default device, and the settings that were chosen in training.

    Raises:
        InputError: If there is no file, or one is absent, damaged or no safetensors file, holds something
            else, does not fit the networks of this version, or is of another network than the first.
    """
    if not paths:
        raise InputError("an ensemble needs the weights of at least one network.")
    read = [_read(path) for path in paths]
    network, settings, _ = read[0]
    for path, (other, chosen, _) in zip(paths, read):
        if (other, chosen) != (network, settings):
            raise InputError(
                f"{path} holds another network, or other settings, than {paths[0]}; give the replicates of "
                "one training."
            )
    variables = jax.tree.map(lambda *members: jnp.stack(members), *(it for _, _, it in read))
    return DeepCellEnsemble(network=network, variables=variables), settings


def _read(path: str | os.PathLike[str]) -> tuple[FeatureNet, NucleiSettings, dict[str, Any]]:
    described = read_description(path, key=NUCLEI_KEY, what="a network for nuclei")
    try:
        layers = tuple(Pool() if layer is None else Conv(*layer) for layer in described["layers"])
        fields = {name: described["network"][name] for name in NETWORK_FIELDS}
        network = FeatureNet(layers, **fields)
        settings = NucleiSettings(**described["settings"])
        field = network.receptive_field
        expected = variable_shapes(network, (field, field, 1))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} describes a network for nuclei that this version cannot build ({error!r}); train "
            "it again."
        ) from error
    return network, settings, read_variables(path, expected)
