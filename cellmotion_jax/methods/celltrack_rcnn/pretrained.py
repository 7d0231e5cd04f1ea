"""Pretrained weights for CellTrack R-CNN: of its backbone, of its pyramid, or of a whole Mask R-CNN."""

from __future__ import annotations

import pathlib
from typing import Any

import flax.traverse_util

from cellmotion_jax.errors import InputError
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.celltrack_rcnn import CellTrackRCNN
from cellmotion_jax.weights.convert import load_weights
from cellmotion_jax.weights.fitting import variable_shapes

_OF_RESNET = {
    "mask-rcnn-resnet50-fpn": "detector",
    "resnet50-fpn-coco-v1": "detector/fpn",
    "resnet50-fpn": "detector/fpn",
    "resnet50-torchvision": "detector/fpn/backbone",
}
"""Where the weights of networks of `cellmotion import-weights` belong."""


def pretrained_variables(path: pathlib.Path, network: CellTrackRCNN) -> dict[str, Any]:
    """Weights for parts of a network.

    Layers that depend on the classes, and those that the network does not have, are left out.

    Args:
        path: File that `cellmotion import-weights` wrote.
        network: The network.

    Returns:
        ``params`` and ``batch_stats`` at their paths in the network.

    Raises:
        InputError: If the file holds the weights of another backbone.
    """
    backbone = network.detector.fpn.backbone
    wanted = _OF_RESNET
    if isinstance(backbone, MobileNetV2):
        wanted = {f"mobilenet-v2-{backbone.alpha:g}": "detector/fpn/backbone"}
    loaded = load_weights(path)
    if loaded.model not in wanted:
        raise InputError(
            f"{path} holds {loaded.model}, but this network takes {' or '.join(wanted)}, as `cellmotion "
            "import-weights` writes them."
        )
    flat: dict[str, Any] = flax.traverse_util.flatten_dict(loaded.variables, sep="/")
    shapes = variable_shapes(network, (64, 64, 1))
    ours = {}
    for name, leaf in flat.items():
        kind, _, rest = name.partition("/")
        there = f"{kind}/{wanted[loaded.model]}/{rest}"
        if shapes.get(there) == leaf.shape:
            ours[there] = leaf
    return flax.traverse_util.unflatten_dict(ours, sep="/")
