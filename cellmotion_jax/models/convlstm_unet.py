"""MobileNetV2 U-Net with a ConvLSTM for video segmentation (Gomez-de-Mariscal et al. 2021)."""

from __future__ import annotations

import enum
from typing import Annotated, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.convlstm import ConvLSTM, ConvLSTMState
from cellmotion_jax.models.layers import DepthwiseConv, PointwiseConv
from cellmotion_jax.models.network import Network
from cellmotion_jax.ops.host_arguments import check_axes
from cellmotion_jax.settings import Range, ShareBelowOne, Width

WINDOW = 5
"""Number of input frames of the paper's network, which segments the last of them."""


class Setup(NamedTuple):
    """A row of Table 1."""

    base_filters: int
    """Filters of the finest level, of the ConvLSTM, and of the last two blocks."""
    levels: int
    """Levels of the encoder, each at half the resolution of the one before; the poolings of the table."""


class Table1(enum.Enum):
    """The five networks of Table 1; B2 and B3 differ in their batches of 1 and 2 alone.

    The table prints filters 16-32-64 for B5. The parameter counts of Table 2 and the authors' configuration
    say 25-50-100, which it is here.
    """

    B1 = Setup(16, 5)
    B2 = Setup(25, 4)
    B3 = Setup(25, 4)
    B4 = Setup(50, 4)
    B5 = Setup(25, 3)


class SegmentationOutputs(NamedTuple):
    """Output of the network for the last frame."""

    logits: Float[Array, "batch y x 2"]
    """Logits of background and cell, before the softmax; always float32."""


class ConvLSTMUNet(Network):
    """Segments the last frame of a window from all frames; shared weights encode every frame.

    An encoder, MobileNetV2 of width 0.35, gives feature maps at 1/2, 1/4, ... of the resolution. The decoder
    walks up from the coarsest: two depth-wise separable convolutions, twice the size by repetition, the next
    finer maps alongside; the last two convolutions are at full resolution. There a ConvLSTM reads the maps of
    the frames in time order, and a 1 x 1 convolution makes two logits of its last state.

    Frames are grey, -1 at the percentile 0.1 and 1 at 99.1 (``ops.intensity.normalize_percentiles``), and are
    repeated for the three colours of the encoder. Sides are best multiples of ``multiple``; of others,
    the last row or column of what is repeated is dropped. Frames have at least 32 pixels a side.

    Parameters of B1 to B5, and those that train when the encoder is frozen, are those of Table 2.

    References:
        Gomez-de-Mariscal et al. 2021, Section 3.1, Figures 2 and 5, Tables 1 and 2.
    """

    base_filters: Width = Table1.B5.value.base_filters
    """Filters of the finest level; every coarser one has twice as many."""
    levels: Annotated[int, Range(1, 5)] = Table1.B5.value.levels
    """Levels of the encoder, 1 to 5."""
    recurrent: bool = True
    """Whether there is a ConvLSTM. Without it only the last frame is used."""
    dropout: ShareBelowOne = 0.05
    """Share of activations dropped in the decoder while training."""
    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32."""

    @property
    def multiple(self) -> int:
        """Sides of frames that are multiples of this are halved and doubled without loss."""
        return 2**self.levels

    def setup(self) -> None:
        """Defines the submodules encoder, decoder, memory and classifier."""
        if not 1 <= self.levels <= 5:
            raise ValueError(f"levels is {self.levels}, but the encoder has 1 to 5")
        self.encoder = MobileNetV2(levels=self.levels, bare_projection=True, dtype=self.dtype)
        self.decoder = Decoder(self.base_filters, self.dropout, self.dtype)
        if self.recurrent:
            self.memory = ConvLSTM(self.base_filters, self.dtype)
        glorot = nn.initializers.glorot_uniform()
        self.classifier = PointwiseConv(2, use_bias=True, dtype=jnp.float32, kernel_init=glorot)

    def __call__(
        self, windows: Float[Array, "batch time y x channel"], *, train: bool
    ) -> SegmentationOutputs:
        """Segments the last frame of every window.

        Args:
            windows: Consecutive frames, the last one to be segmented. Any number; the paper's are 5.
            train: Drop activations and normalise by the statistics of the batch.

        Returns:
            Logits.

        Raises:
            ValueError: There is no frame, or it is not grey, or has a side below 32 pixels.
        """
        return self._classified(self.remember(windows, train=train))

    def stream(
        self, frames: Float[Array, "batch y x channel"], state: ConvLSTMState | None = None
    ) -> tuple[SegmentationOutputs, ConvLSTMState]:
        """Segments the next frame of movies from the state after the earlier frames.

        After n frames from an empty state, the outputs are those of a window of these n frames.

        Args:
            frames: The next frame of every movie.
            state: State from the previous call; None for the first frame.

        Returns:
            Logits, and the state for the next frame.

        Raises:
            ValueError: A frame is not grey, has a side below 32 pixels, or is not of the size of the state.
        """
        check_axes("frames", frames.shape, "batch y x channel")
        state = self.remember(frames[:, None], state, train=False)
        return self._classified(state), state

    def remember(
        self,
        windows: Float[Array, "batch time y x channel"],
        state: ConvLSTMState | None = None,
        *,
        train: bool,
    ) -> ConvLSTMState:
        """The state after some frames; without a ConvLSTM, the maps of the last frame."""
        if windows.ndim != 5 or windows.shape[1] == 0 or windows.shape[4] != 1:
            raise ValueError(
                f"windows of shape {windows.shape} must be [batch, time, y, x, channel] "
                "with at least one frame, of one channel"
            )
        if not self.recurrent:
            maps = self._encoded(windows[:, -1], train=train)
            return ConvLSTMState(maps, maps)
        batch, time, y, x, _ = windows.shape
        maps = self._encoded(windows.reshape(-1, y, x, 1), train=train)
        return self.memory(maps.reshape(batch, time, y, x, -1), state)

    def _encoded(self, frames: Float[Array, "frame y x 1"], *, train: bool) -> Array:
        """Encoded maps of every frame."""
        features = self.encoder(jnp.repeat(frames, 3, axis=-1), train=train)
        skips = [level for level in features if level is not None]
        return self.decoder(skips, frames.shape[1:3], train=train)

    def _classified(self, state: ConvLSTMState) -> SegmentationOutputs:
        return SegmentationOutputs(self.classifier(state.hidden))


class Decoder(nn.Module):
    """From the encoder's levels back to full resolution (Figure 2)."""

    base_filters: int
    """Filters of the finest level."""
    dropout: float
    """Share of activations dropped in training."""
    dtype: Dtype | None
    """Compute type."""

    @nn.compact
    def __call__(
        self, skips: list[Array], size: tuple[int, ...], *, train: bool
    ) -> Float[Array, "frame y x filter"]:
        """Decodes the maps, from the coarsest level to the finest.

        Args:
            skips: Feature maps from fine to coarse.
            size: Rows and columns of the frames.
            train: Drop activations and normalise by the statistics of the batch.

        Returns:
            Maps at full resolution.
        """

        def twice(maps: Array, filters: int, dropout: float, name: str) -> Array:
            for part in ("a", "b"):
                block = SeparableBlock(filters, dropout, self.dtype, name=f"{name}{part}")
                maps = block(maps, train=train)
            return maps

        maps = skips[-1]
        for level in range(len(skips) - 1, 0, -1):
            maps = twice(maps, self.base_filters * 2**level, self.dropout, f"level_{level}")
            finer = skips[level - 1]
            doubled = _doubled(maps, finer.shape[1:3])
            maps = jnp.concatenate([doubled, finer.astype(doubled.dtype)], axis=-1)
        return twice(_doubled(maps, size), self.base_filters, 0.0, "level_0")


class SeparableBlock(nn.Module):
    """Depth-wise separable 3 x 3 convolution, batch normalisation, ELU, dropout (Figure 5, b and c)."""

    filters: int
    """Output channels."""
    dropout: float
    """Share of activations dropped in training."""
    dtype: Dtype | None
    """Compute type."""

    @nn.compact
    def __call__(
        self, maps: Float[Array, "frame y x channel"], *, train: bool
    ) -> Float[Array, "frame y x filter"]:
        """Applies depth-wise and pointwise convolution, normalisation and activation."""
        glorot = nn.initializers.glorot_uniform()  # Section 3.2.
        maps = DepthwiseConv(dtype=self.dtype, kernel_init=glorot, name="depthwise")(maps)
        maps = PointwiseConv(
            self.filters, use_bias=True, dtype=self.dtype, kernel_init=glorot, name="pointwise"
        )(maps)
        norm = nn.BatchNorm(use_running_average=not train, epsilon=1e-3, dtype=self.dtype, name="norm")
        return nn.Dropout(self.dropout, deterministic=not train)(jax.nn.elu(norm(maps)))


def _doubled(maps: Float[Array, "frame y x channel"], size: tuple[int, ...]) -> Array:
    """Every pixel twice along y and x; a last row or column beyond the size is dropped."""
    frames, y, x, channels = maps.shape
    repeated = jnp.broadcast_to(maps[:, :, None, :, None], (frames, y, 2, x, 2, channels))
    return repeated.reshape(frames, 2 * y, 2 * x, channels)[:, : size[0], : size[1]]
