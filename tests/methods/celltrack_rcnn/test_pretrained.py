"""Weights of backbones and of Mask R-CNN come to their places in the network; others are refused."""

import flax.traverse_util
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.experiment import Backbone, RCNNNetwork
from cellmotion_jax.methods.celltrack_rcnn.pretrained import pretrained_variables
from cellmotion_jax.weights.fitting import variable_shapes
from tests.imported_weights import imported


def network(backbone=Backbone.MOBILENET_V2, **changes):
    return RCNNNetwork(backbone=backbone, **changes).module(spatial=True, dtype=None)


def names(tree):
    return set(flax.traverse_util.flatten_dict(tree, sep="/"))


def test_a_light_backbone_is_filled_with_its_weights(tmp_path):
    module = network()
    found = pretrained_variables(imported(tmp_path / "w.safetensors", "mobilenet-v2-0.35"), module)
    wanted = {name for name in variable_shapes(module, (64, 64, 1)) if "/fpn/backbone/" in name}
    assert names(found) == wanted
    assert all(np.all(leaf == 0) for leaf in flax.traverse_util.flatten_dict(found).values())


@pytest.mark.parametrize(
    ("name", "part", "channels"),
    [
        ("resnet50-fpn", "detector/fpn/", 256),
        ("resnet50-fpn", "detector/fpn/backbone/", 32),
    ],
)
def test_a_resnet_is_filled_as_far_as_its_parts_fit(tmp_path, name, part, channels):
    module = network(Backbone.RESNET50, channels=channels)
    found = names(pretrained_variables(imported(tmp_path / "w.safetensors", name), module))
    shapes = variable_shapes(module, (64, 64, 1))
    assert {it for it in shapes if f"/{part}" in it} <= found <= set(shapes)
    # Of a pyramid with fewer channels nothing is taken but the backbone.
    assert all(f"/{part}" in it for it in found)


def test_of_a_mask_rcnn_all_is_taken_but_what_depends_on_its_classes(tmp_path):
    module = network(Backbone.RESNET50, channels=256, box_width=1024)
    found = names(
        pretrained_variables(imported(tmp_path / "w.safetensors", "mask-rcnn-resnet50-fpn"), module)
    )
    left = {name for name in variable_shapes(module, (64, 64, 1)) if name not in found}
    layers = {name.removeprefix("params/").rpartition("/")[0] for name in left}
    assert layers == {
        "detector/box_head/cls_score",
        "detector/box_head/bbox_pred",
        "detector/mask_head/mask_fcn_logits",
        *(f"{head}_head/{layer}" for head in ("visual", "spatial") for layer in ("embedding", "similarity")),
    }


@pytest.mark.parametrize(
    ("name", "backbone", "wanted"),
    [
        ("mobilenet-v2-0.5", Backbone.MOBILENET_V2, "mobilenet-v2-0.35"),
        ("resnet50-keras", Backbone.MOBILENET_V2, "mobilenet-v2-0.35"),
        ("mobilenet-v2-0.35", Backbone.RESNET50, "mask-rcnn-resnet50-fpn or .* or resnet50-torchvision"),
    ],
)
def test_weights_of_another_backbone_are_refused(tmp_path, name, backbone, wanted):
    path = imported(tmp_path / "w.safetensors", name)
    with pytest.raises(
        InputError, match=rf"w\.safetensors holds {name}, but this network takes {wanted}, as `"
    ):
        pretrained_variables(path, network(backbone))
