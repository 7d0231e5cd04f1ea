"""ResNet-50 (He et al. 2015) as in Keras and as in torchvision, with the layer names of Keras."""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Annotated, NamedTuple

import flax.linen as nn
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.inputs import check_images
from cellmotion_jax.models.layers import PointwiseConv, max_pool
from cellmotion_jax.models.network import Network
from cellmotion_jax.settings import Range

SMALLEST_IMAGE = 32  # Five halvings.
STAGES = {2: (64, 3), 3: (128, 4), 4: (256, 6), 5: (512, 3)}
"""Channels inside a block, a quarter of those it returns, and number of blocks (Table 1 of the paper)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VariantRules:
    """The differences between the published ResNet-50 networks."""

    strides_in_3x3: bool
    """A block that halves the image does so in its 3 x 3 convolution (v1.5), not in its first 1 x 1 (v1)."""
    biases: bool
    """Convolutions have a bias, although a normalisation follows."""
    epsilon: float
    """Added to the variance in batch normalisation."""
    momentum: float
    """Share of the old moving average that a training step keeps, Flax's and Keras's meaning of the word."""


class ResNetVariant(enum.Enum):
    """Library from which the ResNet-50 comes."""

    KERAS = VariantRules(strides_in_3x3=False, biases=True, epsilon=1.001e-5, momentum=0.99)
    """``keras.applications.ResNet50``, with the strides of the paper."""
    TORCHVISION = VariantRules(strides_in_3x3=True, biases=False, epsilon=1e-5, momentum=0.9)
    """``torchvision.models.resnet50``; torch calls the same momentum 0.1."""


class ResNetFeatures(NamedTuple):
    """Feature maps from fine to coarse, each after its last ReLU."""

    conv1: Float[Array, "batch y/2 x/2 64"]
    """The stem, before its pooling."""
    conv2: Float[Array, "batch y/4 x/4 256"]
    conv3: Float[Array, "batch y/8 x/8 512"]
    conv4: Float[Array, "batch y/16 x/16 1024"]
    conv5: Float[Array, "batch y/32 x/32 2048"]
    """Output of the last layer, the input of a classifier's pooling."""

    @property
    def pyramid(self) -> tuple[Array, Array, Array, Array]:
        """Maps of stride 4, 8, 16 and 32."""
        return self.conv2, self.conv3, self.conv4, self.conv5


class ResNet50(Network):
    """Bottleneck blocks with shortcuts, 50 layers without the classifier.

    An odd side is halved upwards. Parameters bear the names of Keras in both variants. In torchvision, block
    ``b`` of stage ``s`` is ``layer{s-1}.{b-1}``, whose ``conv1``, ``bn1``, ... ``bn3`` are ``1_conv``,
    ``1_bn``, ... ``3_bn`` of ``conv{s}_block{b}``, and whose ``downsample.0`` and ``.1`` are ``0_conv`` and
    ``0_bn``. Without its top the Keras variant has 23,534,592 parameters, that of torchvision 23,508,032, and
    both have 53,120 moving averages.

    Moving averages of the variance take up the biased variance of a batch, as in Keras; torch takes the
    unbiased one.

    References:
        He et al., Deep Residual Learning for Image Recognition, 2015, Table 1.
        keras.applications.ResNet50, torchvision.models.resnet50.
    """

    variant: ResNetVariant
    """Variant of the network; weights of one variant cannot be used in the other."""
    epsilon: Annotated[float, Range(0, 1)] | None = None
    """Added to the variance in batch normalisation, None for that of the variant. It is 0 in Mask R-CNN and
    the other detectors of torchvision that were trained on COCO with ``FrozenBatchNorm2d``, which added
    nothing then (``overwrite_eps``); those named ``v2`` have the epsilon of the variant."""
    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"], *, train: bool) -> ResNetFeatures:
        """Extracts features.

        Args:
            images: Colours, scaled as the weights expect: blue, green, red from 0 to 255 minus the mean of
                ImageNet for Keras; red, green, blue from 0 to 1, minus its mean, over its standard deviation
                for torchvision.
            train: Use, and update, batch statistics in normalisation.

        Returns:
            Feature maps.

        Raises:
            ValueError: Images without three channels or with sides below 32 pixels.
        """
        check_images(images, smallest=SMALLEST_IMAGE)
        rules = self.variant.value
        norm = functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=rules.momentum,
            epsilon=rules.epsilon if self.epsilon is None else self.epsilon,
            dtype=self.dtype,
        )
        conv = functools.partial(nn.Conv, use_bias=rules.biases, dtype=self.dtype)
        pointwise = functools.partial(PointwiseConv, use_bias=rules.biases, dtype=self.dtype)

        x = conv(64, (7, 7), 2, padding=((3, 3), (3, 3)), name="conv1_conv")(images)
        x = nn.relu(norm(name="conv1_bn")(x))
        features = [x]
        x = max_pool(x, 3, strides=2, padding=1)

        for stage, (channels, blocks) in STAGES.items():
            for block in range(1, blocks + 1):
                name, shortcut = f"conv{stage}_block{block}", x
                strides = 2 if block == 1 and stage > 2 else 1
                in_1x1, in_3x3 = (1, strides) if rules.strides_in_3x3 else (strides, 1)
                if block == 1:
                    shortcut = pointwise(4 * channels, strides, name=f"{name}_0_conv")(shortcut)
                    shortcut = norm(name=f"{name}_0_bn")(shortcut)
                x = pointwise(channels, in_1x1, name=f"{name}_1_conv")(x)
                x = nn.relu(norm(name=f"{name}_1_bn")(x))
                x = conv(channels, (3, 3), in_3x3, padding=((1, 1), (1, 1)), name=f"{name}_2_conv")(x)
                x = nn.relu(norm(name=f"{name}_2_bn")(x))
                x = pointwise(4 * channels, name=f"{name}_3_conv")(x)
                x = nn.relu(shortcut + norm(name=f"{name}_3_bn")(x))
            features.append(x)
        return ResNetFeatures(*features)
