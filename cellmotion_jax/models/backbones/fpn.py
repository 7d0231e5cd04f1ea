"""Feature pyramid network (Lin et al. 2017) as in torchvision."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.backbones.resnet import ResNet50
from cellmotion_jax.models.layers import Conv3x3, PointwiseConv
from cellmotion_jax.models.network import Network
from cellmotion_jax.settings import Width


class FPNFeatures(NamedTuple):
    """Feature maps from fine to coarse, all with the same number of channels."""

    p2: Float[Array, "batch y/4 x/4 channel"]
    p3: Float[Array, "batch y/8 x/8 channel"]
    p4: Float[Array, "batch y/16 x/16 channel"]
    p5: Float[Array, "batch y/32 x/32 channel"]
    p6: Float[Array, "batch y/64 x/64 channel"]
    """Every second pixel of ``p5``, for the largest anchors."""


class FPN(Network):
    """Feature pyramid: adds the semantic features of a backbone's coarse maps to its fine maps.

    From coarse to fine, every level of the backbone passes a 1 x 1 convolution, ``inner_5`` to ``inner_2``,
    and is added to the level above it, enlarged by nearest neighbours; a 3 x 3 convolution of each sum,
    ``layer_5`` to ``layer_2``, is a level of the pyramid. All have a bias and neither normalisation nor
    activation. The parameters of the backbone live under ``backbone``.

    In torchvision, ``inner_{l}`` is ``inner_blocks.{l-2}.0`` and ``layer_{l}`` is ``layer_blocks.{l-2}.0``,
    both without the ``.0`` in older files, and ``p6`` is its ``LastLevelMaxPool``. The pyramids of its
    detectors named ``v2`` normalise after every convolution; this one does not.

    References:
        Lin et al., Feature Pyramid Networks for Object Detection, 2017, section 3.
        torchvision.ops.FeaturePyramidNetwork.
    """

    backbone: ResNet50 | MobileNetV2
    """Its features have a ``pyramid``: maps of stride 4 to 32, each half the size of the one before, rounded
    upwards."""
    channels: Width = 256
    """Channels of every level."""
    dtype: Dtype | None = None
    """Compute type of the pyramid; parameters stay float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x channel"], *, train: bool) -> FPNFeatures:
        """Extracts features.

        Args:
            images: Colours, scaled as the backbone expects.
            train: Passed to the backbone.

        Returns:
            Feature maps.

        Raises:
            ValueError: Images that the backbone refuses.
        """
        inner = functools.partial(PointwiseConv, self.channels, use_bias=True, dtype=self.dtype)
        layer = functools.partial(Conv3x3, self.channels, dtype=self.dtype)

        c2, c3, c4, c5 = self.backbone(images, train=train).pyramid
        merged5 = inner(name="inner_5")(c5)
        merged4 = inner(name="inner_4")(c4) + doubled(merged5, c4.shape[1:3])
        merged3 = inner(name="inner_3")(c3) + doubled(merged4, c3.shape[1:3])
        merged2 = inner(name="inner_2")(c2) + doubled(merged3, c2.shape[1:3])

        p5 = layer(name="layer_5")(merged5)
        return FPNFeatures(
            p2=layer(name="layer_2")(merged2),
            p3=layer(name="layer_3")(merged3),
            p4=layer(name="layer_4")(merged4),
            p5=p5,
            p6=p5[:, ::2, ::2],
        )


def doubled(
    images: Float[Array, "batch y x channel"], size: Sequence[int]
) -> Float[Array, "batch y2 x2 channel"]:
    """Upsamples maps by nearest neighbours to twice their size, or to one pixel less.

    Pixel ``i`` of ``m`` shows pixel ``floor(i n / m)`` of ``n``, the rule of ``interpolate(mode="nearest")``
    in torch. For ``m = 2 n`` and for ``m = 2 n - 1`` that is ``floor(i / 2)``: every pixel twice, the last
    one perhaps once. So written, its gradient is a sum of neighbours; that of an index is a scatter.

    Args:
        images: Feature maps.
        size: Pixels wanted along y and along x.

    Returns:
        The enlarged maps.

    Raises:
        ValueError: A side wanted is neither twice the one given nor one pixel less.
    """
    for given, wanted in zip(images.shape[1:3], size):
        if wanted not in (2 * given - 1, 2 * given):
            raise ValueError(f"maps of shape {images.shape} cannot be doubled to {tuple(size)}")
    twice = jnp.repeat(jnp.repeat(images, 2, axis=1), 2, axis=2)
    return twice[:, : size[0], : size[1]]
