"""RecogNet, a classifier of windows by nucleus, with 256 classes (Jackson-Smith, CellTrack, Section 6)."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.layers import max_pool
from cellmotion_jax.models.network import Network
from cellmotion_jax.settings import Range, ShareBelowOne, Width


class RecogOutputs(NamedTuple):
    """Output of the network for windows."""

    logits: Float[Array, "batch nucleus"] | None
    """Logits, one per nucleus, before the softmax, float32; None if only features are computed."""
    features: tuple[Float[Array, "batch y x channel"], ...]
    """One map per convolution, after its ReLU, the shallowest first. After each pair of convolutions height
    and width are halved, rounded down."""


class RecogNet(Network):
    """A classifier of nuclei; its convolutions are used as features that distinguish nuclei.

    Six 3 x 3 convolutions with ReLU, a max-pool after each pair, a dense layer of 1,024 neurons and one
    output per nucleus. Windows are centred on a nucleus, 40 x 40 pixels, minus the mean over the training set
    and scaled to +-1; the caller does that.

    The paper prints neither the widths, nor the padding, nor the shares of its "dropout at various levels".
    Here the widths double from pair to pair, images are padded so that maps keep their size (SAME), as maps
    that go into a correlation filter should, and dropout follows the usage of Keras at that time: a quarter
    after each pool, half before the outputs.

    The convolutions have no fixed size: with ``head=False`` the network gives the features of windows, or of
    whole images, of any size, with the same variables.

    References:
        Jackson-Smith, Cell Tracking using Convolutional Neural Networks, Section 6.
    """

    nuclei: Annotated[int, Range(2, 10**6)] = 256
    """Outputs, one per nucleus of the training set."""
    widths: tuple[Width, ...] = (32, 32, 64, 64, 128, 128)
    """Channels of the convolutions, two for each pool."""
    dense_width: Annotated[int, Range(1, 2**16)] = 1024
    """Neurons of the dense layer."""
    dropout: ShareBelowOne = 0.25
    """Share of the activations dropped after each pool in training."""
    dense_dropout: ShareBelowOne = 0.5
    """Share of the dense layer's activations dropped in training."""
    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32."""

    @nn.compact
    def __call__(
        self,
        windows: Float[Array, "batch y x channel"],
        *,
        train: bool,
        head: bool = True,
        layers: int | None = None,
    ) -> RecogOutputs:
        """Features of windows, and logits of the nucleus in each.

        Args:
            windows: Windows, centred and scaled as in training. With the head, of the size it was trained on.
            train: Whether activations are dropped, which needs a key named ``dropout``.
            head: Whether to compute the dense layers.
            layers: Number of convolutions to compute, without the head; all without one.

        Returns:
            Logits and feature maps.

        Raises:
            ValueError: An odd number of widths, a number of layers that there is not, fewer than all with
                the head, or windows of which a pool would leave nothing.
        """
        if len(self.widths) % 2:
            raise ValueError(f"widths must come in pairs, got {len(self.widths)} of them")
        wanted = len(self.widths) if layers is None else layers
        if not 1 <= wanted <= len(self.widths):
            raise ValueError(f"layers must be between 1 and {len(self.widths)}, got {layers}")
        if head and wanted < len(self.widths):
            raise ValueError(f"the head needs all layers, not {layers}; ask for head=False")
        smallest = 2 ** ((wanted - (not head)) // 2)
        if windows.ndim != 4 or min(windows.shape[1:3]) < smallest:
            raise ValueError(
                f"windows of shape {windows.shape} must be [batch, y, x, channel] with at least {smallest} "
                "pixels along y and x"
            )
        x, features = windows, []
        for number, width in enumerate(self.widths[:wanted], start=1):
            conv = nn.Conv(
                width,
                (3, 3),
                padding="SAME",
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
                name=f"conv{number}",
            )
            x = nn.relu(conv(x))
            features.append(x)
            if number % 2 == 0:
                x = max_pool(x, 2, strides=2, padding=0)
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
        if not head:
            return RecogOutputs(None, tuple(features))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(self.dense_width, dtype=self.dtype, name="dense1")(x))
        x = nn.Dropout(self.dense_dropout, deterministic=not train)(x)
        logits = nn.Dense(self.nuclei, dtype=jnp.float32, name="dense2")(x)
        return RecogOutputs(logits, tuple(features))
