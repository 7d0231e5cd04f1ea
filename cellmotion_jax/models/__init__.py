"""Networks as Linen modules, one file each; their outputs are named tuples."""

from cellmotion_jax.models.convlstm import ConvLSTM, ConvLSTMState
from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet, SegmentationOutputs, Table1
from cellmotion_jax.models.deep_distance import DeepDistance, DistanceMaps, DistanceOutputs, Table2, Task
from cellmotion_jax.models.direction import DirectionOutputs, FineTunedCNN, ProbingCNN
from cellmotion_jax.models.embedding import EmbeddingMaps, PairEmbedding, TrackingEmbedding
from cellmotion_jax.models.feature_net import (
    FEATURE_NET_31,
    FEATURE_NET_61,
    FeatureMaps,
    FeatureNet,
    ensemble_probabilities,
)
from cellmotion_jax.models.mask_rcnn import BoxOutputs, MaskRCNN, RegionOutputs
from cellmotion_jax.models.recognet import RecogNet, RecogOutputs
from cellmotion_jax.models.siamese import SiameseHead

__all__ = [
    "FEATURE_NET_31",
    "FEATURE_NET_61",
    "BoxOutputs",
    "ConvLSTM",
    "ConvLSTMState",
    "ConvLSTMUNet",
    "DeepDistance",
    "DirectionOutputs",
    "DistanceMaps",
    "DistanceOutputs",
    "EmbeddingMaps",
    "FeatureMaps",
    "FeatureNet",
    "FineTunedCNN",
    "MaskRCNN",
    "PairEmbedding",
    "ProbingCNN",
    "RecogNet",
    "RecogOutputs",
    "RegionOutputs",
    "SegmentationOutputs",
    "SiameseHead",
    "Table1",
    "Table2",
    "Task",
    "TrackingEmbedding",
    "ensemble_probabilities",
]
