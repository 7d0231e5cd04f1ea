"""Feature extractors with published pretrained weights, one file per network.

Each is called as ``backbone(images, train=...)`` on images of three channels, scaled as its weights expect
(``inputs.InputScaling``), and returns a named tuple of feature maps from fine to coarse; the last is the one
that a classifier would pool.
"""

from cellmotion_jax.models.backbones.efficientnet_v2 import EfficientNetV2, EfficientNetV2Variant
from cellmotion_jax.models.backbones.fpn import FPN
from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.backbones.resnet import ResNet50, ResNetVariant
from cellmotion_jax.models.backbones.yolov8 import YOLOv8Backbone

__all__ = [
    "FPN",
    "EfficientNetV2",
    "EfficientNetV2Variant",
    "InputScaling",
    "MobileNetV2",
    "ResNet50",
    "ResNetVariant",
    "YOLOv8Backbone",
]
