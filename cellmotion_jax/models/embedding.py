"""Network for features of correlation filters, trained through the filter.

The filter is learned in closed form from one window (`tracking.correlation_filter.LinearFilter`), so that the
gradient of how well it finds the cell in a later frame flows through it to the features, as in CFNet.

References:
    Valmadre, Bertinetto, Henriques, Vedaldi, Torr. End-to-end Representation Learning for Correlation Filter
        based Tracking. CVPR 2017.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.network import Network
from cellmotion_jax.ops.host_arguments import check_axes
from cellmotion_jax.settings import NotNegative, Positive, Width

_MULTIPLE = 4
"""Images are padded to multiples of this: two poolings."""


class EmbeddingMaps(NamedTuple):
    """Output of the network for every pixel."""

    features: Float[Array, "*batch y x feature"]
    """Features for the filters."""
    centre: Float[Array, "*batch y x"] | None
    """Log evidence that the centre of any cell lies at the pixel, up to a constant."""


class TrackingEmbedding(Network):
    """A small U-Net with two poolings, without normalisation: features of every pixel of a grid image.

    A window that is cut from an image and the image as a whole see the same features, up to the border.
    """

    features: Width = 8
    """Number of feature channels for the filters."""
    base_width: Width = 16
    """Channels of the first level; the others have twice as many."""
    centre: bool = True
    """Whether the network also predicts evidence for the centres of cells."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x 1"], *, train: bool) -> EmbeddingMaps:
        """Features of images of any size.

        Args:
            images: Compressed intensities on the grid (`methods.celltrack.grid.grid_frame`).
            train: Without effect: nothing is dropped or normalised.

        Returns:
            Maps of the size of the images, float32.

        Raises:
            ValueError: Images without these axes.
        """
        del train
        check_axes("images", images.shape, "batch y x 1")
        y, x = images.shape[1:3]
        borders = ((0, 0), (0, -y % _MULTIPLE), (0, -x % _MULTIPLE), (0, 0))
        padded = jnp.pad(images, borders, mode="edge")
        wide = 2 * self.base_width
        fine = self._conv("fine_1", padded, self.base_width, size=5)
        fine = self._conv("fine_2", fine, self.base_width)
        middle = self._conv("middle_1", _mean_pool(fine), wide)
        middle = self._conv("middle_2", middle, wide)
        coarse = self._conv("coarse_1", _mean_pool(middle), wide)
        coarse = self._conv("coarse_2", coarse, wide)
        middle = self._conv("middle_3", jnp.concatenate([middle, _repeat(coarse)], axis=-1), wide)
        fine = self._conv("fine_3", jnp.concatenate([fine, _repeat(middle)], axis=-1), self.base_width)
        out = nn.Conv(self.features + self.centre, (3, 3), dtype=self.dtype, name="out")(fine)
        out = out[:, :y, :x].astype(jnp.float32)
        return EmbeddingMaps(
            features=out[..., : self.features], centre=out[..., self.features] if self.centre else None
        )

    def _conv(self, name: str, maps: Array, width: int, *, size: int = 3) -> Array:
        return nn.gelu(nn.Conv(width, (size, size), dtype=self.dtype, name=name)(maps))


class PairOutputs(NamedTuple):
    """Output for a batch of pairs, for the training objective."""

    first: EmbeddingMaps
    """Maps of the windows in which the filters are learned."""
    second: EmbeddingMaps
    """Maps of the windows in which the cells are located."""
    regularization: Float[Array, ""]
    """Lambda of the filter."""
    sharpness: Float[Array, ""]
    """Factor from response to log probability."""
    spread: Float[Array, ""]
    """Standard deviation of a cell's position around the predicted one, in grid pixels."""


class PairEmbedding(Network):
    """Embeds both windows of pairs; holds the three scalar parameters that are trained with the network."""

    embedding: TrackingEmbedding
    """The network."""
    regularization: Positive = 0.01
    """Lambda before training."""
    sharpness: NotNegative = 10.0
    """Sharpness before training."""
    spread: Positive = 6.0
    """Spread before training, in grid pixels."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch 2 y x"], *, train: bool) -> PairOutputs:
        """Maps of both windows, computed in one batch; ``train`` is passed to the network."""
        check_axes("images", images.shape, "batch 2 y x")
        batch = images.shape[0]
        maps = self.embedding(jnp.concatenate([images[:, 0], images[:, 1]])[..., None], train=train)
        first, second = (
            EmbeddingMaps(maps.features[part], None if maps.centre is None else maps.centre[part])
            for part in (slice(batch), slice(batch, None))
        )
        # Logarithms are learned: the numbers stay positive, and a step means the same at any size.
        numbers = {
            name: jnp.exp(self.param(name, nn.initializers.constant(math.log(getattr(self, name))), ()))
            for name in LEARNED_NUMBERS
        }
        return PairOutputs(first, second, **numbers)


LEARNED_NUMBERS = ("regularization", "sharpness", "spread")
"""Scalar parameters of `PairEmbedding`; their logarithms are stored."""


def _mean_pool(maps: Float[Array, "batch y x channel"]) -> Float[Array, "batch y/2 x/2 channel"]:
    """Means over disjoint 2 x 2 windows of maps of even size."""
    batch, y, x, channels = maps.shape
    return maps.reshape(batch, y // 2, 2, x // 2, 2, channels).mean(axis=(2, 4))


def _repeat(maps: Float[Array, "batch y x channel"]) -> Float[Array, "batch 2*y 2*x channel"]:
    """Upsampling by repetition of every pixel in 2 x 2 blocks."""
    return jnp.repeat(jnp.repeat(maps, 2, axis=1), 2, axis=2)
