"""EfficientNetV2 (Tan & Le 2021) as in Keras, with the same layer names."""

from __future__ import annotations

import dataclasses
import enum
import string
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.inputs import check_images
from cellmotion_jax.models.layers import DepthwiseConv, PointwiseConv
from cellmotion_jax.models.network import Network
from cellmotion_jax.settings import ShareBelowOne

SMALLEST_IMAGE = 32  # Five halvings.
TOP_CHANNELS = 1280


@dataclasses.dataclass(frozen=True)
class Stage:
    """Blocks of one kind, a row of the architecture's table."""

    blocks: int
    """Number of blocks."""
    channels: int
    """Output channels of every block."""
    strides: int
    """Stride of the first block along y and x; the others have 1."""
    expansion: int
    """Factor from a block's input channels to those inside of it."""
    fused: bool
    """Fused-MBConv, one dense 3 x 3 convolution, or MBConv, a depth-wise one with squeeze and excitation."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One network of the family."""

    stem: int
    """Channels of the first convolution."""
    stages: tuple[Stage, Stage, Stage, Stage, Stage, Stage]
    """From fine to coarse."""


class EfficientNetV2Variant(enum.Enum):
    """Available networks of the family."""

    B0 = Architecture(
        32,
        (
            Stage(1, 16, 1, 1, fused=True),
            Stage(2, 32, 2, 4, fused=True),
            Stage(2, 48, 2, 4, fused=True),
            Stage(3, 96, 2, 4, fused=False),
            Stage(5, 112, 1, 6, fused=False),
            Stage(8, 192, 2, 6, fused=False),
        ),
    )
    """The smallest; 5,858,704 parameters."""
    S = Architecture(
        24,
        (
            Stage(2, 24, 1, 1, fused=True),
            Stage(4, 48, 2, 4, fused=True),
            Stage(4, 64, 2, 4, fused=True),
            Stage(6, 128, 2, 4, fused=False),
            Stage(9, 160, 1, 6, fused=False),
            Stage(15, 256, 2, 6, fused=False),
        ),
    )
    """Table 4 of the paper; 20,177,488 parameters."""


class EfficientNetV2Features(NamedTuple):
    """Feature maps from fine to coarse: the output of the last stage at each resolution, and the top."""

    stage1: Float[Array, "batch y/2 x/2 channel"]
    """16 channels in B0, 24 in S."""
    stage2: Float[Array, "batch y/4 x/4 channel"]
    """32 channels in B0, 48 in S."""
    stage3: Float[Array, "batch y/8 x/8 channel"]
    """48 channels in B0, 64 in S."""
    stage5: Float[Array, "batch y/16 x/16 channel"]
    """112 channels in B0, 160 in S."""
    stage6: Float[Array, "batch y/32 x/32 channel"]
    """192 channels in B0, 256 in S."""
    top_activation: Float[Array, "batch y/32 x/32 1280"]
    """Output of the last 1 x 1 convolution, the input of a classifier's pooling."""


class EfficientNetV2(Network):
    """Fused and depth-wise inverted residuals with squeeze and excitation.

    Every submodule has the name of its layer in Keras, for example ``block4a_se_reduce``; the classifier and
    the scaling of the input are not part of it. An odd side is halved upwards, as with the padding ``SAME``.
    In training, blocks with a shortcut are left out at random, sample by sample (stochastic depth), for which
    the stream of random numbers ``dropout`` is needed.

    References:
        Tan and Le, EfficientNetV2: Smaller Models and Faster Training, 2021, Table 4.
        keras.applications.EfficientNetV2B0 and EfficientNetV2S, whose tables, names and defaults these are.
    """

    variant: EfficientNetV2Variant = EfficientNetV2Variant.B0
    """Network of the family."""
    drop_connect_rate: ShareBelowOne = 0.2
    """Stochastic depth: in training, block k = 0, 1, ... of n is skipped with probability ``drop_connect_rate
    * k / n``."""
    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"], *, train: bool) -> EfficientNetV2Features:
        """Extracts features.

        Args:
            images: Colours, scaled as the weights expect: standardised by the statistics of ImageNet for
                B0, from -1 to 1 for S.
            train: Use, and update, batch statistics in normalisation, and leave out blocks at random.

        Returns:
            Feature maps.

        Raises:
            ValueError: Images without three channels or with sides below 32 pixels.
        """
        check_images(images, smallest=SMALLEST_IMAGE)
        architecture = self.variant.value
        depth = sum(stage.blocks for stage in architecture.stages)

        x = nn.swish(self._norm("stem_bn", train)(self._conv(architecture.stem, 2, "stem_conv")(images)))
        blocks_before = 0
        ends = []
        for number, stage in enumerate(architecture.stages, start=1):
            block = self._fused_block if stage.fused else self._block
            for index in range(stage.blocks):
                name = f"block{number}{string.ascii_lowercase[index]}"
                block_input = x
                x = block(x, stage, stage.strides if index == 0 else 1, name, train)
                if x.shape == block_input.shape:
                    rate = self.drop_connect_rate * blocks_before / depth
                    drop = nn.Dropout(rate, broadcast_dims=(1, 2, 3), name=f"{name}_drop")
                    x = drop(x, deterministic=not train) + block_input
                blocks_before += 1
            ends.append(x)
        x = self._pointwise(TOP_CHANNELS, "top_conv")(x)
        x = nn.swish(self._norm("top_bn", train)(x))
        stage1, stage2, stage3, _, stage5, stage6 = ends
        return EfficientNetV2Features(stage1, stage2, stage3, stage5, stage6, x)

    def _fused_block(self, x: Array, stage: Stage, strides: int, name: str, train: bool) -> Array:
        """Fused-MBConv without its shortcut; without an expansion it is the 3 x 3 convolution alone."""
        if stage.expansion == 1:
            x = self._conv(stage.channels, strides, f"{name}_project_conv")(x)
            return nn.swish(self._norm(f"{name}_project_bn", train)(x))
        x = self._conv(stage.expansion * x.shape[-1], strides, f"{name}_expand_conv")(x)
        x = nn.swish(self._norm(f"{name}_expand_bn", train)(x))
        x = self._pointwise(stage.channels, f"{name}_project_conv")(x)
        return self._norm(f"{name}_project_bn", train)(x)

    def _block(self, x: Array, stage: Stage, strides: int, name: str, train: bool) -> Array:
        """MBConv without its shortcut."""
        squeezed_channels, channels = x.shape[-1] // 4, stage.expansion * x.shape[-1]
        x = self._pointwise(channels, f"{name}_expand_conv")(x)
        x = nn.swish(self._norm(f"{name}_expand_bn", train)(x))
        x = DepthwiseConv(strides=strides, dtype=self.dtype, name=f"{name}_dwconv2")(x)
        x = nn.swish(self._norm(f"{name}_bn", train)(x))

        squeezed = jnp.mean(x, axis=(1, 2), keepdims=True)
        squeezed = nn.swish(self._pointwise(squeezed_channels, f"{name}_se_reduce", use_bias=True)(squeezed))
        x *= nn.sigmoid(self._pointwise(channels, f"{name}_se_expand", use_bias=True)(squeezed))

        x = self._pointwise(stage.channels, f"{name}_project_conv")(x)
        return self._norm(f"{name}_project_bn", train)(x)

    def _conv(self, channels: int, strides: int, name: str) -> nn.Conv:
        return nn.Conv(channels, (3, 3), strides, padding="SAME", use_bias=False, dtype=self.dtype, name=name)

    def _pointwise(self, channels: int, name: str, *, use_bias: bool = False) -> PointwiseConv:
        return PointwiseConv(channels, use_bias=use_bias, dtype=self.dtype, name=name)

    def _norm(self, name: str, train: bool) -> nn.BatchNorm:
        return nn.BatchNorm(
            use_running_average=not train, momentum=0.9, epsilon=1e-3, dtype=self.dtype, name=name
        )
