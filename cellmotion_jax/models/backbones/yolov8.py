"""The backbone of YOLOv8-n (Jocher et al. 2023), written from its published structure."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.inputs import check_images
from cellmotion_jax.models.layers import PointwiseConv, max_pool

SMALLEST_IMAGE = 32  # Five halvings.
STEM_CHANNELS = 16
STAGES = ((2, 32, 1), (3, 64, 2), (4, 128, 2), (5, 256, 1))
"""Level of the feature pyramid, channels and bottlenecks of every stage."""
POOLING_WINDOW = 5


class YOLOv8Features(NamedTuple):
    """Feature maps from fine to coarse, named as levels of a feature pyramid."""

    p1: Float[Array, "batch y/2 x/2 16"]
    """After the stem."""
    p2: Float[Array, "batch y/4 x/4 32"]
    """After the C2f block of its stage, as p3 and p4."""
    p3: Float[Array, "batch y/8 x/8 64"]
    p4: Float[Array, "batch y/16 x/16 128"]
    p5: Float[Array, "batch y/32 x/32 256"]
    """After the spatial pyramid pooling, the last layer."""


class YOLOv8Backbone(nn.Module):
    """The feature extractor of the smallest YOLOv8: a stem, four stages, spatial pyramid pooling.

    Every convolution is followed by batch normalisation and SiLU. Those of 3 x 3 pad one pixel on every side:
    an odd side is halved upwards. 1,272,656 parameters. In training, the running variances take up the batch
    variance without the factor n / (n - 1) that torch gives it.

    References:
        Jocher, Chaurasia and Qiu, Ultralytics YOLOv8, 2023: the published model description.
        Terven et al., A Comprehensive Review of YOLO Architectures in Computer Vision, 2023.
    """

    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"], *, train: bool) -> YOLOv8Features:
        """Extracts features.

        Args:
            images: Colours (red, green, blue) from 0 to 1.
            train: Use, and update, batch statistics in normalisation.

        Returns:
            Feature maps.

        Raises:
            ValueError: Images without three channels or with sides below 32 pixels.
        """
        check_images(images, smallest=SMALLEST_IMAGE)
        x = ConvUnit(STEM_CHANNELS, kernel=3, strides=2, dtype=self.dtype, name="stem")(images, train=train)
        features = [x]
        for level, channels, bottlenecks in STAGES:
            stage = Stage(channels, bottlenecks, dtype=self.dtype, name=f"stage{level}")
            x = stage(x, train=train)
            features.append(x)
        features[-1] = PyramidPooling(dtype=self.dtype, name="sppf")(x, train=train)
        return YOLOv8Features(*features)


class ConvUnit(nn.Module):
    """Convolution, batch normalisation, SiLU."""

    channels: int
    """Output channels."""
    kernel: int = 1
    """Side of the kernel, 1 or 3."""
    strides: int = 1
    """Step along y and x."""
    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch y x channel"], *, train: bool
    ) -> Float[Array, "batch y2 x2 feature"]:
        """Applies the three in turn."""
        if self.kernel == 1:
            conv = PointwiseConv(self.channels, self.strides, dtype=self.dtype, name="conv")
        else:
            size, border = (self.kernel, self.kernel), self.kernel // 2
            conv = nn.Conv(
                self.channels,
                size,
                self.strides,
                padding=border,
                use_bias=False,
                dtype=self.dtype,
                name="conv",
            )
        norm = nn.BatchNorm(
            use_running_average=not train, momentum=0.97, epsilon=1e-3, dtype=self.dtype, name="bn"
        )
        return nn.silu(norm(conv(x)))


class Stage(nn.Module):
    """Halves the resolution, then refines with a C2f block."""

    channels: int
    """Output channels."""
    bottlenecks: int
    """Bottlenecks of the C2f block."""
    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch y x channel"], *, train: bool
    ) -> Float[Array, "batch y2 x2 feature"]:
        """Returns the maps of the next coarser level."""
        x = ConvUnit(self.channels, kernel=3, strides=2, dtype=self.dtype, name="down")(x, train=train)
        return C2f(self.channels, self.bottlenecks, dtype=self.dtype, name="c2f")(x, train=train)


class C2f(nn.Module):
    """Cross-stage partial block: the second half of the channels passes a chain of bottlenecks.

    Both halves and the output of every bottleneck are stacked in this order and mixed.
    """

    channels: int
    """Output channels."""
    bottlenecks: int
    """Length of the chain."""
    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch y x channel"], *, train: bool
    ) -> Float[Array, "batch y x feature"]:
        """Splits the channels, applies the bottlenecks, and merges."""
        x = ConvUnit(self.channels, dtype=self.dtype, name="split")(x, train=train)
        parts = jnp.split(x, 2, axis=-1)
        for index in range(self.bottlenecks):
            bottleneck = Bottleneck(dtype=self.dtype, name=f"bottleneck_{index}")
            parts.append(bottleneck(parts[-1], train=train))
        merged = jnp.concatenate(parts, axis=-1)
        return ConvUnit(self.channels, dtype=self.dtype, name="merge")(merged, train=train)


class Bottleneck(nn.Module):
    """Two 3 x 3 convolutions with a shortcut, all with the same number of channels."""

    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch y x channel"], *, train: bool
    ) -> Float[Array, "batch y x channel"]:
        """Adds the output of the convolutions to the input."""
        channels = x.shape[-1]
        found = ConvUnit(channels, kernel=3, dtype=self.dtype, name="conv1")(x, train=train)
        return x + ConvUnit(channels, kernel=3, dtype=self.dtype, name="conv2")(found, train=train)


class PyramidPooling(nn.Module):
    """Spatial pyramid pooling (SPPF): features and their maxima over windows of 5, 9 and 13 pixels.

    The larger windows come from pooling the smaller ones once more.
    """

    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch y x channel"], *, train: bool
    ) -> Float[Array, "batch y x channel"]:
        """Reduces, pools three times, merges."""
        channels = x.shape[-1]
        parts = [ConvUnit(channels // 2, dtype=self.dtype, name="reduce")(x, train=train)]
        for _ in range(3):
            parts.append(max_pool(parts[-1], POOLING_WINDOW, strides=1, padding=POOLING_WINDOW // 2))
        merged = jnp.concatenate(parts, axis=-1)
        return ConvUnit(channels, dtype=self.dtype, name="merge")(merged, train=train)
