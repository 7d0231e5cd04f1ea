"""CellTrack R-CNN for tests: a tiny network with random weights."""

import functools

from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.pair_features import NO_DIVISIONS, LogisticModel
from cellmotion_jax.models.backbones.fpn import FPN
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.celltrack_rcnn import CellTrackRCNN
from cellmotion_jax.models.mask_rcnn import MaskRCNN
from cellmotion_jax.weights.catalogue import FROM_MINUS_ONE_TO_ONE
from tests.random_variables import draw_variables

SHAPE = (64, 96)
"""Of frames in tests: programs are compiled for every size, once for all tests."""
ANCHOR_SIZES = (8.0, 16.0, 32.0, 64.0, 128.0)


@functools.cache
def tiny_network(*, spatial=True):
    """A network and its random variables, drawn by NumPy: compiling the network's own takes long."""
    network = CellTrackRCNN(
        detector=MaskRCNN(
            fpn=FPN(backbone=MobileNetV2(alpha=0.05, levels=5), channels=4),
            anchor_sizes=ANCHOR_SIZES,
            box_width=8,
            mask_width=4,
        ),
        scaling=FROM_MINUS_ONE_TO_ONE,
        embedding_width=8,
        spatial=spatial,
    )
    return network, draw_variables(network, (1, 64, 64, 1))


def tiny_model(*, spatial=True, **changes) -> RCNNModel:
    """A model of the tiny network; cells that share pixels are linked."""
    network, variables = tiny_network(spatial=spatial)
    settings = {
        "scale": 1.0,
        "cell_diameter": 12.0,
        "link": LogisticModel(weights=(0.0, 0.0, 8.0, 0.0, 0.0), bias=-2.0),
        "division": NO_DIVISIONS,
    }
    return RCNNModel(network=network, variables=variables, **(settings | changes))
