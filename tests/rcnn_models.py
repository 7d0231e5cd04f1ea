"""CellTrack R-CNN for tests: a tiny network with random weights."""

import functools

import flax.linen as nn

from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.pair_features import DIVISION_FEATURES, LogisticModel
from cellmotion_jax.models.backbones.fpn import FPN
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.backbones.resnet import ResNetFeatures
from cellmotion_jax.models.celltrack_rcnn import CellTrackRCNN
from cellmotion_jax.models.mask_rcnn import MaskRCNN
from cellmotion_jax.weights.catalogue import FROM_MINUS_ONE_TO_ONE
from tests.random_variables import draw_variables

SHAPE = (64, 96)
"""Of frames in tests: programs are compiled for every size, once for all tests."""
ANCHOR_SIZES = (8.0, 16.0, 32.0, 64.0, 128.0)


class OneLayer(MobileNetV2):
    """A backbone of one layer, of which all maps are made: compiled in a third of the time."""

    @nn.compact
    def __call__(self, images, *, train: bool):
        x = nn.Conv(4, (7, 7), 2, use_bias=False)(images)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        return ResNetFeatures(x, *(x[:, :: 2**level, :: 2**level] for level in (1, 2, 3, 4)))


MOBILE = MobileNetV2(alpha=0.05, levels=5)


@functools.cache
def tiny_network(backbone=OneLayer(), *, spatial=True):
    """A network and its random variables, drawn by NumPy: compiling the network's own takes long."""
    network = CellTrackRCNN(
        detector=MaskRCNN(
            fpn=FPN(backbone=backbone, channels=4),
            anchor_sizes=ANCHOR_SIZES,
            box_width=8,
            mask_width=4,
        ),
        scaling=FROM_MINUS_ONE_TO_ONE,
        embedding_width=8,
        spatial=spatial,
    )
    return network, draw_variables(network, (1, 64, 64, 1))


def tiny_model(backbone=OneLayer(), *, spatial=True, **changes) -> RCNNModel:
    """A model of the tiny network, by which cells that overlap are linked, and none divides."""
    network, variables = tiny_network(backbone, spatial=spatial)
    settings = {
        "network": network,
        "variables": variables,
        "scale": 1.0,
        "cell_diameter": 12.0,
        "link": LogisticModel(weights=(0.0, 0.0, 40.0, 0.0, 0.0), bias=-10.0),
        "division": LogisticModel(weights=(0.0,) * len(DIVISION_FEATURES), bias=-12.0),
    }
    return RCNNModel(**(settings | changes))
