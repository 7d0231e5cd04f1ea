"""MobileNetV2 (Sandler et al. 2018) as in Keras, with the same layer names."""

from __future__ import annotations

import functools
from typing import Annotated, NamedTuple

import flax.linen as nn
import jax
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.inputs import check_images
from cellmotion_jax.models.layers import DepthwiseConv, PointwiseConv
from cellmotion_jax.models.network import Network
from cellmotion_jax.settings import Range

SMALLEST_IMAGE = 32  # Five halvings.
# Output channels at alpha 1 and stride of blocks 1 to 16 (Table 2 of the paper, unrolled).
BLOCKS = (
    (24, 2), (24, 1),
    (32, 2), (32, 1), (32, 1),
    (64, 2), (64, 1), (64, 1), (64, 1),
    (96, 1), (96, 1), (96, 1),
    (160, 2), (160, 1), (160, 1),
    (320, 1),
)  # fmt: skip
EXPANSION = 6
LEVEL_AFTER = {1: 1, 3: 2, 6: 3, 13: 4}
"""Blocks whose expanded features are a level, and the number of this level."""


class MobileNetV2Features(NamedTuple):
    """Feature maps from fine to coarse; those beyond the wanted levels are None."""

    block_1_expand: Float[Array, "batch y/2 x/2 channel"]
    """After the ReLU6 of the expansion of block 1, as all ``expand`` levels."""
    block_3_expand: Float[Array, "batch y/4 x/4 channel"] | None
    block_6_expand: Float[Array, "batch y/8 x/8 channel"] | None
    block_13_expand: Float[Array, "batch y/16 x/16 channel"] | None
    block_16_project: Float[Array, "batch y/32 x/32 channel"] | None
    """After the last projection and, unless it is to be bare, its batch normalisation; without activation."""
    out_relu: Float[Array, "batch y/32 x/32 channel"] | None
    """Output of the last layer, the input of a classifier's pooling."""

    @property
    def pyramid(self) -> tuple[Array, Array, Array, Array]:
        """Maps of stride 4, 8, 16 and 32, the deepest of each that is there.

        Raises:
            ValueError: If fewer than five levels were asked for.
        """
        last = self.block_16_project if self.out_relu is None else self.out_relu
        if last is None or self.block_3_expand is None:
            raise ValueError("levels must be 5 or 6 for a feature pyramid")
        return self.block_3_expand, self.block_6_expand, self.block_13_expand, last  # type: ignore[return-value]


class MobileNetV2(Network):
    """Inverted residuals with linear bottlenecks, of any width.

    An odd side is halved upwards, as with the padding ``SAME``; Keras does the same, except in a model built
    without an input size, which pads odd images differently. Without its top of 1280 channels or more, width
    0.35 has 410,208 parameters.

    References:
        Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018, Table 2.
        keras.applications.MobileNetV2, whose names and defaults of batch normalisation these are.
    """

    alpha: Annotated[float, Range(0.05, 4)] = 0.35
    """Width: factor on the channels of every layer, rounded to multiples of 8."""
    levels: Annotated[int, Range(1, 6)] = 6
    """Levels of features wanted, 1 to 6; only these are computed and have parameters."""
    bare_projection: bool = False
    """Of five levels, give the last before its batch normalisation, where a Keras model is cut by the name
    ``block_16_project``; no more levels follow."""
    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"], *, train: bool) -> MobileNetV2Features:
        """Extracts features.

        Args:
            images: Colours from -1 to 1.
            train: Use, and update, batch statistics in normalisation.

        Returns:
            Feature maps.

        Raises:
            ValueError: Images without three channels or with sides below 32 pixels.
        """
        check_images(images, smallest=SMALLEST_IMAGE)
        norm = functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=0.999,
            epsilon=1e-3,
            dtype=self.dtype,
        )
        pointwise = functools.partial(PointwiseConv, dtype=self.dtype)
        depthwise = functools.partial(DepthwiseConv, dtype=self.dtype)

        stem = _divisible(32 * self.alpha)
        x = nn.Conv(stem, (3, 3), 2, padding="SAME", use_bias=False, dtype=self.dtype, name="Conv1")(images)
        x = jax.nn.relu6(norm(name="bn_Conv1")(x))
        x = depthwise(name="expanded_conv_depthwise")(x)
        x = jax.nn.relu6(norm(name="expanded_conv_depthwise_BN")(x))
        x = pointwise(_divisible(16 * self.alpha), name="expanded_conv_project")(x)
        x = norm(name="expanded_conv_project_BN")(x)

        features = []
        for number, (channels, strides) in enumerate(BLOCKS, start=1):
            name, block_input = f"block_{number}", x
            x = pointwise(EXPANSION * x.shape[-1], name=f"{name}_expand")(x)
            x = jax.nn.relu6(norm(name=f"{name}_expand_BN")(x))
            if number in LEVEL_AFTER:
                features.append(x)
                if self.levels == LEVEL_AFTER[number]:
                    return _padded_with_none(features)
            x = depthwise(strides=strides, name=f"{name}_depthwise")(x)
            x = jax.nn.relu6(norm(name=f"{name}_depthwise_BN")(x))
            x = pointwise(_divisible(channels * self.alpha), name=f"{name}_project")(x)
            if number == len(BLOCKS) and self.levels == 5 and self.bare_projection:
                break
            x = norm(name=f"{name}_project_BN")(x)
            if x.shape == block_input.shape:
                x = x + block_input
        features.append(x)
        if self.levels == 6:
            x = pointwise(_divisible(1280 * max(self.alpha, 1.0)), name="Conv_1")(x)
            features.append(jax.nn.relu6(norm(name="Conv_1_bn")(x)))
        return _padded_with_none(features)


def _padded_with_none(features: list[Array]) -> MobileNetV2Features:
    return MobileNetV2Features(*features, *[None] * (6 - len(features)))


def _divisible(channels: float) -> int:
    """The multiple of 8 nearest to a number of channels, but never less than 90 % of it, and at least 8."""
    channels = round(channels, 6)
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
