"""Kinds of files that this library writes as safetensors, told by a key of their metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.feature_net import FeatureNet
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.refusals import plain
from cellmotion_jax.weights.safetensors_files import read_metadata

MODEL_KEY = "cellmotion_jax.model"
"""Key of the name of the network in a file of imported weights."""
FILTERS_KEY = "cellmotion_filters"
"""Key of the description of the learned filters of a tracking run."""

HELD = {
    "cellmotion_jax.cell_model": "a DeepDistance model",
    "cellmotion_jax.video_model": "a ConvLSTM model",
    "cellmotion_jax.nuclei_network": "a DeepCell network",
    "cellmotion_jax.recognition_model": "a RecogNet",
    "cellmotion_jax.tracking_embedding": "a tracking embedding",
    "cellmotion_jax.celltrack_rcnn": "a CellTrack R-CNN",
}
"""Kind of model of a file, by the key of its description. The keys are older than the present method
names."""
_SEGMENT = "`cellmotion segment` takes as --model"
_TRACK = "`cellmotion track` takes as --model"
_FINDS_CELLS = f"{_SEGMENT}, and `cellmotion track --by linking` as --segmentation"
_SEGMENT_AND_TRACK = f"{_SEGMENT}, and `cellmotion track` as --model"
_USES = {
    "cellmotion_jax.cell_model": _FINDS_CELLS,
    "cellmotion_jax.video_model": _FINDS_CELLS,
    "cellmotion_jax.nuclei_network": _SEGMENT_AND_TRACK,
    "cellmotion_jax.recognition_model": _TRACK,
    "cellmotion_jax.tracking_embedding": _TRACK,
    "cellmotion_jax.celltrack_rcnn": f"{_SEGMENT}, and `cellmotion track --by rcnn` as --model",
}


class Held(NamedTuple):
    """What a safetensors file holds."""

    key: str | None
    """Key of a model, one of `HELD`; None for anything else."""
    what: str
    """The same in words."""
    use: str
    """What takes it, to follow "which"."""


def held_model(path: str | os.PathLike[str]) -> Held:
    """What a safetensors file holds.

    Args:
        path: The file.

    Returns:
        Its kind.

    Raises:
        InputError: If the file is absent, damaged or no safetensors file.
    """
    return held(read_metadata(path))


def held(metadata: Mapping[str, str]) -> Held:
    """The same from the metadata of a file."""
    for key, what in HELD.items():
        if key in metadata:
            return Held(key, what, _USES[key])
    if MODEL_KEY in metadata:
        name = metadata[MODEL_KEY]
        return Held(None, f"the weights of {plain(name)}", _use_of_weights(name))
    if FILTERS_KEY in metadata:
        return Held(None, "the learned filters of a tracking", "no command takes")
    return Held(None, "tensors of another origin", "`cellmotion import-weights` may convert")


def _use_of_weights(name: str) -> str:
    module = CATALOGUE[name].module if name in CATALOGUE else None
    if isinstance(module, FeatureNet):
        return _SEGMENT_AND_TRACK
    if isinstance(module, MobileNetV2):
        return "`cellmotion train` takes as --weights, and `cellmotion track` as --model"
    return "`cellmotion train` takes as --weights" if module else "this version does not know"
