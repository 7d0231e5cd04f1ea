"""Opening of a network file of any kind as features for correlation filters."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Num

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.network_features import (
    DeepCellFeatures,
    MobileNetFeatures,
    recognet_features,
)
from cellmotion_jax.methods.celltrack_embedding.features import embedding_features
from cellmotion_jax.methods.celltrack_embedding.model_file import MODEL_FORMAT as EMBEDDING
from cellmotion_jax.methods.celltrack_embedding.model_file import EmbeddingModel
from cellmotion_jax.methods.deepcell.model_file import MODEL_FORMAT as DEEPCELL
from cellmotion_jax.methods.deepcell.nuclei import dark_intensity
from cellmotion_jax.methods.recognet.model_file import MODEL_FORMAT as RECOGNET
from cellmotion_jax.models.backbones.mobilenet_v2 import SMALLEST_IMAGE, MobileNetV2
from cellmotion_jax.models.feature_net import FeatureNet
from cellmotion_jax.tracking import PAPER_WEIGHTS, Features
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import imported_model, load_weights
from cellmotion_jax.weights.kinds import held_model

DEEPCELL_STRIDE = 2
"""Pixels between the samples of DeepCell's feature maps; 2 needs a quarter of the memory of 1."""
MOST_STAGES = 4
"""Largest number of stages of MobileNetV2; the samples of deeper stages are 32 pixels apart."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TrackingModel:
    """A network whose layers are features for correlation filters."""

    make: Callable[[int, Num[np.ndarray, "y x"]], Features]
    """Function of the number of layers and the first frame; it returns the features."""
    layers: int
    """Default number of layers."""
    weights: tuple[float, ...]
    """Default weight of the response of each layer; one per available layer."""
    embedding: EmbeddingModel | None = None
    """Settings of the training of a tracking embedding; None for other networks."""
    smallest_frame: int = 1
    """Smallest allowed shorter side of a frame, in pixels."""

    @property
    def diameter(self) -> float | None:
        """Diameter of a typical cell in grid pixels; None if frames are not resized."""
        return None if self.embedding is None else self.embedding.diameter


def open_tracking_model(path: pathlib.Path) -> TrackingModel:
    """Opens the file of a network whose features correlation filters can use.

    Args:
        path: The model.safetensors of a tracking embedding, a RecogNet or a DeepCell network, or a file of
            ``cellmotion import-weights`` with a DeepCell network or a MobileNetV2.

    Returns:
        The model. Of RecogNet and DeepCell the layers are convolutions, 1 to 4 with the weights of Jackson-
        Smith 2016 unless others are chosen; of MobileNetV2 the stages of stride 2, 4, 8 and 16, the first
        three; of an embedding its features and, as a second layer, intensities.

    Raises:
        InputError: If the file is absent, damaged, or of a network whose features filters cannot use; the
            message names the command that uses it.
    """
    found = held_model(path)
    key = found.key
    if key == EMBEDDING.key:
        return _of_embedding(EMBEDDING.load(path))
    if key == RECOGNET.key:
        recognet = RECOGNET.load(path)
        return TrackingModel(
            make=lambda layers, frame: recognet_features(recognet, layers=layers),
            layers=min(len(PAPER_WEIGHTS), len(recognet.network.widths)),
            weights=_paper_weights(len(recognet.network.widths)),
        )
    if key == DEEPCELL.key:
        deepcell = DEEPCELL.load(path)
        return _of_feature_net(deepcell.network, deepcell.variables, deepcell.settings.offset)
    name = imported_model(path)
    module = None if name is None else CATALOGUE[name].module
    if isinstance(module, FeatureNet):
        return _of_feature_net(module, load_weights(path).variables, None)
    if isinstance(module, MobileNetV2):
        return _of_mobilenet(path, module)
    raise InputError(
        f"{path} holds {found.what}, which {found.use}; filters look at a tracking embedding, a RecogNet, a "
        "DeepCell network, or MobileNetV2 weights of `cellmotion import-weights`."
    )


def _of_embedding(model: EmbeddingModel) -> TrackingModel:
    return TrackingModel(
        make=lambda layers, frame: embedding_features(model, with_intensity=layers > 1),
        layers=1,
        weights=(1.0, 1.0),
        embedding=model,
    )


def _of_feature_net(network: FeatureNet, variables: dict, offset: float | None) -> TrackingModel:
    return TrackingModel(
        make=lambda layers, frame: DeepCellFeatures(
            network=network,
            variables=variables,
            layers=layers,
            stride=DEEPCELL_STRIDE,
            offset=dark_intensity(frame) if offset is None else offset,
        ),
        layers=min(len(PAPER_WEIGHTS), network.depth),
        weights=_paper_weights(network.depth),
    )


def _of_mobilenet(path: pathlib.Path, network: MobileNetV2) -> TrackingModel:
    pretrained = load_weights(path)
    scaling = pretrained.scaling
    if scaling is None:
        raise InputError(f"{path} does not say what its weights expect to see; import them again.")
    return TrackingModel(
        make=lambda layers, frame: MobileNetFeatures(
            network=dataclasses.replace(network, levels=layers),
            variables=pretrained.variables,
            scaling=scaling,
        ),
        layers=3,
        weights=_paper_weights(MOST_STAGES),
        smallest_frame=SMALLEST_IMAGE,
    )


def _paper_weights(layers: int) -> tuple[float, ...]:
    """The layer weights of the paper; the last one is repeated for deeper layers."""
    return (PAPER_WEIGHTS + PAPER_WEIGHTS[-1:] * layers)[:layers]
