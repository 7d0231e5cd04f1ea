"""Features for the tracker from networks: DeepCell's feature nets, RecogNet, MobileNetV2.

All are `tracking.features.Features`: pytrees with the variables as leaves, so that they are arguments of the
compiled program. Windows of dense maps are cut from one pass over the frame; RecogNet may also run on each
cell's window, as CellTrack does.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.methods.recognet.model_file import RecogNetModel
from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.feature_net import FeatureNet
from cellmotion_jax.models.recognet import RecogNet
from cellmotion_jax.ops.intensity import local_contrast, standardize
from cellmotion_jax.ops.windows import sample_windows
from cellmotion_jax.tracking.features import DenseFeatures, Maps, Windows


@flax.struct.dataclass
class DeepCellFeatures(DenseFeatures):
    """The first layers of a feature net, after their ReLU, for every pixel of the frame.

    The frame's local contrast is continued beyond the border by its mirror image, so that the maps are as
    large as the frame. CellTrack uses layers 1 to 4 of the network with a receptive field of 31 x 31 pixels.
    """

    network: FeatureNet = flax.struct.field(pytree_node=False)
    """The module."""
    variables: dict[str, Any]
    """Variables of one replicate of the network."""
    layers: int = flax.struct.field(pytree_node=False, default=4)
    """Number of convolutions, one level each."""
    stride: int = flax.struct.field(pytree_node=False, default=1)
    """Pixels between samples of all levels; 2 needs a quarter of the memory of 1. Samples then lie up to 1.5
    pixels before the position that the tracker assumes, equally in every frame."""
    offset: ArrayLike = 0.0
    """Intensity of the dark image, see `ops.intensity.local_contrast`."""

    @property
    def compressed(self) -> bool:
        """Frames are given in their own intensities."""
        return False

    @property
    def strides(self) -> tuple[int, ...]:
        """The same for all levels."""
        return (self.stride,) * self.layers

    def prepare(self, frame: Float[Array, "y x"]) -> Maps:
        """All levels of the frame."""
        contrast = local_contrast(frame[..., None], window=self.network.receptive_field, offset=self.offset)
        field = self.network.field_of(self.layers)
        before = (field - 1) // 2
        around = (before, field - 1 - before)
        mirrored = jnp.pad(contrast, (around, around, (0, 0)), mode="symmetric")
        maps = self.network.apply(
            self.variables, mirrored[None], train=False, layers=self.layers, stride=self.stride
        )
        return Maps(tuple(level[0] for level in maps.features))  # type: ignore[union-attr]


@flax.struct.dataclass
class RecogNetFeatures:
    """RecogNet applied to the window of each cell, all cells in one batch, one level per convolution.

    In this form, that of CellTrack, the network pads every window with zeros, and the features of that border
    lie at the same position in every window, wherever the cell is. They bias the filter to zero displacement
    ("a persistent positive at the dead-center of the search window", Section 7). ``debiased`` removes the
    cause: windows are cut larger by the receptive field of the layers, and maps are cropped to the window
    after the last convolution, so that no padding reaches them.

    The taper of `tracking.correlation_filter` hides most of that border as well: of 58 cells of
    Fluo-N2DL-HeLa/01 whose window was moved by 4 and 8 pixels in one frame, filters on layers 1 to 4 found
    0.97 to 1.00 at the right position with the padding and without it, and those on layers 5 and 6 0.98 to
    1.00 with it and all without. The drift to a corner in the paper is more likely caused by its Eq. (3),
    which, as printed, is not a correlation.
    """

    network: RecogNet = flax.struct.field(pytree_node=False)
    """The module."""
    variables: dict[str, Any]
    """Variables of the network."""
    mean: ArrayLike
    """See `methods.recognet.model_file.RecogNetModel`."""
    scale: ArrayLike
    """See `methods.recognet.model_file.RecogNetModel`."""
    downsample: int = flax.struct.field(pytree_node=False, default=1)
    """See `methods.recognet.model_file.RecogNetModel`."""
    layers: int = flax.struct.field(pytree_node=False, default=4)
    """Number of convolutions, one level each."""
    debiased: bool = flax.struct.field(pytree_node=False, default=True)
    """Keep the influence of the padding out of the maps; False is the method of the paper."""

    @property
    def compressed(self) -> bool:
        """Frames are given in their own intensities."""
        return False

    @property
    def strides(self) -> tuple[int, ...]:
        """1, 1, 2, 2, 4, 4 downsampled pixels; a window's side is a multiple of the last."""
        return tuple(self.downsample * 2 ** (layer // 2) for layer in range(self.layers))

    def prepare(self, frame: Float[Array, "y x"]) -> Float[Array, "small_y small_x 1"]:
        """The frame, standardised as in training; the network is applied to windows later."""
        small = _block_means(frame, self.downsample)[..., None]
        return (standardize(small) - self.mean) / self.scale

    def windows(
        self,
        prepared: Float[Array, "small_y small_x 1"],
        centres: Float[Array, "cell 2"],
        scales: Float[Array, " cell"] | None,
        *,
        size: int,
    ) -> Windows:
        """See `tracking.features.Features`."""
        margin = padding_reach(self.layers) if self.debiased else 0
        steps = jnp.ones(len(centres)) if scales is None else scales
        side = size // self.downsample + 2 * margin
        raw = sample_windows(prepared, (centres + 0.5) / self.downsample - 0.5, steps, size=side)
        maps = self.network.apply(self.variables, raw, train=False, head=False, layers=self.layers)
        levels = []
        for layer, level in enumerate(maps.features):  # type: ignore[union-attr]
            rim = margin // 2 ** (layer // 2)
            levels.append(level[:, rim : level.shape[1] - rim, rim : level.shape[2] - rim])
        return Windows(tuple(levels), None)


@flax.struct.dataclass
class RecogNetMaps(DenseFeatures):
    """RecogNet applied once to the whole frame, so that windows have no padded border.

    For many cells this is cheaper than one pass per window. The pooling grid is fixed in the frame, so that
    deep maps move with a cell in steps of their stride, whereas windows move pixel by pixel.
    """

    windowed: RecogNetFeatures
    """The features on windows, with the network and its preprocessing."""

    @property
    def compressed(self) -> bool:
        """Frames are given in their own intensities."""
        return False

    @property
    def strides(self) -> tuple[int, ...]:
        """As in `RecogNetFeatures`."""
        return self.windowed.strides

    def prepare(self, frame: Float[Array, "y x"]) -> Maps:
        """All levels of the frame."""
        seen, network = self.windowed.prepare(frame), self.windowed
        maps = network.network.apply(
            network.variables, seen[None], train=False, head=False, layers=network.layers
        )
        return Maps(tuple(level[0] for level in maps.features))  # type: ignore[union-attr]


@flax.struct.dataclass
class MobileNetFeatures(DenseFeatures):
    """Stages of a MobileNetV2 for natural images, one level each, over the whole frame."""

    network: MobileNetV2 = flax.struct.field(pytree_node=False)
    """The module; its ``levels``, at most 4, are the levels here."""
    variables: dict[str, Any]
    """Variables of the network."""
    scaling: InputScaling = flax.struct.field(pytree_node=False)
    """Input scaling that the weights expect."""

    @property
    def compressed(self) -> bool:
        """Frames are given in their own intensities."""
        return False

    @property
    def strides(self) -> tuple[int, ...]:
        """2, 4, 8, 16 pixels."""
        return tuple(2 ** (level + 1) for level in range(self.network.levels))

    def prepare(self, frame: Float[Array, "y x"]) -> Maps:
        """All levels of the frame, whose sides are at least 32 pixels."""
        colours = self.scaling.of_standardized(standardize(frame[None, ..., None]))
        levels = self.network.apply(self.variables, colours, train=False)
        return Maps(tuple(level[0] for level in levels if level is not None))  # type: ignore[union-attr]


def recognet_features(model: RecogNetModel, *, layers: int = 4, debiased: bool = True) -> RecogNetFeatures:
    """Features of a trained RecogNet.

    Args:
        model: Model from `methods.recognet.model_file.load_recognition_model`.
        layers: Number of convolutions.
        debiased: Whether the influence of the padding is kept out of the maps.

    Returns:
        The features.
    """
    return RecogNetFeatures(
        network=model.network,
        variables=model.variables,
        mean=model.mean,
        scale=model.scale,
        downsample=model.downsample,
        layers=layers,
        debiased=debiased,
    )


def padding_reach(layers: int) -> int:
    """Distance in pixels from the border of a window up to which its padding affects RecogNet's first layers.

    It is a multiple of the last layer's stride, by which maps can be cropped.

    >>> [padding_reach(layers) for layers in range(1, 7)]
    [1, 2, 4, 6, 12, 16]
    """
    reach = 0
    for layer in range(layers):
        stride = 2 ** (layer // 2)
        # A pool at stride 2 turns a rim of r pixels into one of r / 2, rounded up.
        reach = (-(-reach // stride) + 1) * stride
    return reach


def _block_means(frame: Float[Array, "y x"], side: int) -> Float[Array, "small_y small_x"]:
    """Mean of every whole block; rows and columns at the end that do not fill a block are dropped."""
    y, x = (length // side for length in frame.shape)
    return frame[: y * side, : x * side].reshape(y, side, x, side).mean(axis=(1, 3))
