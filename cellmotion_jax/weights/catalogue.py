"""The networks whose published weights can be imported, by name."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn

from cellmotion_jax.models.backbones.efficientnet_v2 import EfficientNetV2, EfficientNetV2Variant
from cellmotion_jax.models.backbones.fpn import FPN
from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.backbones.resnet import ResNet50, ResNetVariant
from cellmotion_jax.models.backbones.yolov8 import YOLOv8Backbone
from cellmotion_jax.models.feature_net import FEATURE_NET_31, FEATURE_NET_61, FeatureNet
from cellmotion_jax.models.mask_rcnn import MaskRCNN
from cellmotion_jax.weights import layouts
from cellmotion_jax.weights.layouts import Layout


class Entry(NamedTuple):
    """A network, its input scaling, and the layout of its weight files."""

    module: nn.Module
    scaling: InputScaling | None
    """Scaling of colour images; None for a network of grey images, see its module."""
    layout: Layout
    source: str
    """Source of the official weights, as text for users."""
    image_shape: tuple[int, int, int] = (64, 64, 3)
    """(y, x, channel) of an image that the network takes."""


FROM_MINUS_ONE_TO_ONE = InputScaling(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
FROM_ZERO_TO_ONE = InputScaling(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
STANDARDIZED = InputScaling(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
CAFFE = InputScaling(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), channels="BGR")

# The heads of keras.applications in Keras 1 to 3, and the scaling that EfficientNetV2 may bring.
KERAS_OTHER = (r"(predictions|Logits|probs|fc1000)/.*", r"(rescaling|normalization)(_\d+)?/.*")
DETECTOR_OTHER = (r"(rpn|roi_heads)\..*",)

CATALOGUE: dict[str, Entry] = {
    **{
        f"mobilenet-v2-{alpha}": Entry(
            MobileNetV2(alpha=alpha),
            FROM_MINUS_ONE_TO_ONE,
            layouts.keras(other=KERAS_OTHER),
            f"keras.applications.MobileNetV2(alpha={alpha})",
        )
        for alpha in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    },
    "resnet50-keras": Entry(
        ResNet50(variant=ResNetVariant.KERAS),
        CAFFE,
        layouts.keras(other=KERAS_OTHER),
        "keras.applications.ResNet50",
    ),
    "resnet50-torchvision": Entry(
        ResNet50(variant=ResNetVariant.TORCHVISION),
        STANDARDIZED,
        layouts.torch(lambda module: (layouts.torchvision_resnet(module),), other=(r"fc\..*",)),
        "torchvision.models.resnet50",
    ),
    # Before its parts, which a file of the whole holds as well. Trained with this epsilon, and with boxes
    # over pixels whose centres are whole numbers.
    "mask-rcnn-resnet50-fpn": Entry(
        MaskRCNN(
            fpn=FPN(backbone=ResNet50(variant=ResNetVariant.TORCHVISION, epsilon=0.0)),
            classes=91,
            aligned=False,
        ),
        STANDARDIZED,
        layouts.torchvision_mask_rcnn(),
        "the COCO_V1 weights of torchvision.models.detection.maskrcnn_resnet50_fpn",
    ),
    "resnet50-fpn": Entry(
        FPN(backbone=ResNet50(variant=ResNetVariant.TORCHVISION)),
        STANDARDIZED,
        layouts.torch(layouts.torchvision_fpn, other=DETECTOR_OTHER),
        "torchvision.models.detection.backbone_utils.resnet_fpn_backbone or a detector with it",
    ),
    # The same tensors, to be used with the epsilon that they were trained with.
    "resnet50-fpn-coco-v1": Entry(
        FPN(backbone=ResNet50(variant=ResNetVariant.TORCHVISION, epsilon=0.0)),
        STANDARDIZED,
        layouts.torch(layouts.torchvision_fpn, other=DETECTOR_OTHER),
        "the COCO_V1 weights of Mask or Faster R-CNN in torchvision.models.detection",
    ),
    "efficientnet-v2-b0": Entry(
        EfficientNetV2(variant=EfficientNetV2Variant.B0),
        STANDARDIZED,
        layouts.keras(other=KERAS_OTHER),
        "keras.applications.EfficientNetV2B0",
    ),
    "efficientnet-v2-s": Entry(
        EfficientNetV2(variant=EfficientNetV2Variant.S),
        InputScaling(mean=(128.0, 128.0, 128.0), std=(128.0, 128.0, 128.0)),
        layouts.keras(other=KERAS_OTHER),
        "keras.applications.EfficientNetV2S",
    ),
    "yolov8-n": Entry(
        YOLOv8Backbone(),
        FROM_ZERO_TO_ONE,
        # Modules 10 to 22 are the neck and the head of the detector.
        layouts.torch(layouts.yolov8, other=(r"model\.(1\d|2[0-2])\..*",)),
        "Ultralytics yolov8n, saved as a plain state dict",
    ),
    **{
        f"deepcell-{name}": Entry(
            FeatureNet(layers),
            None,
            layouts.keras1_theano(other=()),
            "one replicate (..._bn_feature_net_..._0.h5) of the trained networks of CovertLab/DeepCell",
            (64, 64, 1),
        )
        for name, layers in (("nuclei-61x61", FEATURE_NET_61), ("ecoli-31x31", FEATURE_NET_31))
    },
}
