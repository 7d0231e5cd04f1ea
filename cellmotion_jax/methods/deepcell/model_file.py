"""Model file of a trained feature net, with the settings of the segmentation; one file per replicate."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deepcell.nuclei import DeepCellEnsemble, NucleiSettings
from cellmotion_jax.models.feature_net import FeatureNet
from cellmotion_jax.settings import Settings
from cellmotion_jax.weights.model_file import ModelFormat


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DeepCellModel(Settings):
    """One trained network."""

    network: FeatureNet
    """The module."""
    variables: dict[str, Any]
    """Variables of the network, without a member axis."""
    settings: NucleiSettings
    """Settings of the segmentation."""


def load_ensemble(paths: Sequence[str | os.PathLike[str]]) -> tuple[DeepCellEnsemble, NucleiSettings]:
    """Reads one network, or the replicates of one ensemble.

    Args:
        paths: At least one file that `save_model` wrote.

    Returns:
        The ensemble, its variables on the default device, and the settings that were chosen in training.

    Raises:
        InputError: If there is no file, or one is absent, damaged or no safetensors file, holds something
            else, does not fit the networks of this version, or holds another kind of network than the first.
    """
    if not paths:
        raise InputError("an ensemble needs the weights of at least one network.")
    models = [load_model(path) for path in paths]
    first = models[0]
    for path, model in zip(paths, models):
        if (model.network, model.settings) != (first.network, first.settings):
            raise InputError(
                f"{path} holds another network, or other settings, than {paths[0]}; give the replicates of "
                "one training."
            )
    variables = jax.tree.map(lambda *members: jnp.stack(members), *(model.variables for model in models))
    return DeepCellEnsemble(network=first.network, variables=variables), first.settings


def _upgrade(described: dict[str, Any]) -> dict[str, Any]:
    """Converts files written until version 0.1, whose layers are outside of the network."""
    if "layers" not in described:
        return described
    network, layers = dict(described["network"]), described["layers"]
    network["layers"] = [
        {} if it is None else dict(zip(("kernel", "width"), it, strict=True)) for it in layers
    ]
    return {"network": network, "settings": described["settings"]}


def _field(model: DeepCellModel) -> tuple[int, ...]:
    return (model.network.receptive_field, model.network.receptive_field, 1)


MODEL_FORMAT = ModelFormat(
    key="cellmotion_jax.nuclei_network",
    model=DeepCellModel,
    image_shape=_field,
    layers=lambda model: len(model.network.layers),
    upgrade=_upgrade,
)
save_model, load_model = MODEL_FORMAT.save, MODEL_FORMAT.load
