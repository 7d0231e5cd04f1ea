"""Networks that predict the migration direction of a cell from one image (Bruns et al. 2024)."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.layers import max_pool_2x2
from cellmotion_jax.models.network import Network
from cellmotion_jax.ops.host_arguments import check_axes
from cellmotion_jax.settings import Range

SMALLEST_IMAGE = 12  # 12 -> 8 -> 4 -> 2 -> 1.


class DirectionOutputs(NamedTuple):
    """Output of a direction network, always float32."""

    encoding: Float[Array, "batch neurons"]
    """The last layer before the output activation: one neuron for an angle, two for a point (cos, sin)."""
    concentration: Float[Array, " batch"] | None
    """The concentration kappa before its softplus, None for a network without that head."""


class DirectionHead(nn.Module):
    """The last dense layer of Tables 1 and 2, with an optional second output for the concentration."""

    neurons: int
    """Output neurons: 1 encodes the angle, 2 a point on the circle."""
    kappa_head: bool
    """Also predict the concentration of a von Mises distribution."""
    dtype: Dtype | None = None
    """Compute type."""

    @nn.compact
    def __call__(self, features: Float[Array, "batch feature"]) -> DirectionOutputs:
        """Maps the features of a cell to its raw direction encoding."""
        encoding = nn.Dense(self.neurons, dtype=self.dtype, name="direction")(features)
        concentration = None
        if self.kappa_head:
            concentration = nn.Dense(1, dtype=self.dtype, name="concentration")(features)[:, 0]
            concentration = concentration.astype(jnp.float32)
        return DirectionOutputs(encoding.astype(jnp.float32), concentration)


class ProbingCNN(Network):
    """The probing CNN of Table 1: two convolutions, two poolings, three dense layers.

    With images of 128 x 128 its layers have 416, 4,640, 7,373,056, 4,112 and 17 (one neuron) or 34
    (two neurons) parameters; other sizes change the third number. Padding is VALID:
    128 -> 124 -> 62 -> 60 -> 30.

    References:
        Bruns et al., Single Image Estimation of Cell Migration Direction by Deep Circular
        Regression, Table 1.
    """

    neurons: Annotated[int, Range(1, 2)] = 2
    """Output neurons: 1 encodes the angle, 2 a point on the circle."""
    kappa_head: bool = False
    """Also predict the concentration of a von Mises distribution."""
    dtype: Dtype | None = None
    """Compute type, for example bfloat16; parameters stay float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x 1"], *, train: bool) -> DirectionOutputs:
        """Estimates directions.

        Args:
            images: Cells, one per image, standardised.
            train: Without effect here, the network has neither dropout nor batch normalisation.

        Returns:
            Raw encodings, one row per image.

        Raises:
            ValueError: The images have other axes, or are too small for two convolutions and two poolings.
        """
        del train
        check_axes("images", images.shape, "batch y x 1")
        if min(images.shape[1:3]) < SMALLEST_IMAGE:
            raise ValueError(f"images of shape {images.shape} have sides below {SMALLEST_IMAGE} pixels")
        x = nn.Conv(16, (5, 5), padding="VALID", dtype=self.dtype, name="conv1")(images)
        x = max_pool_2x2(nn.relu(x))
        x = nn.Conv(32, (3, 3), padding="VALID", dtype=self.dtype, name="conv2")(x)
        x = max_pool_2x2(nn.relu(x))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(256, dtype=self.dtype, name="dense1")(x))
        x = nn.relu(nn.Dense(16, dtype=self.dtype, name="dense2")(x))
        return DirectionHead(self.neurons, self.kappa_head, dtype=self.dtype, name="head")(x)


class FineTunedCNN(Network):
    """A pretrained backbone under the head of Table 2: average pooling, Dense 1024, Dense 256, direction.

    The backbone is one of ``models.backbones``, or any Linen module called as ``backbone(images, train=...)``
    that returns a tuple of feature maps ``[batch, y, x, channel]``, of which the last is pooled; its
    parameters live under ``backbone``, so that ``Phase(frozen=("backbone",))`` freezes exactly those.

    References:
        Bruns et al., Table 2. Dense 256 has 262,400 parameters.
    """

    backbone: nn.Module
    """Feature extractor."""
    scaling: InputScaling
    """Input scaling that the weights of the backbone expect."""
    neurons: Annotated[int, Range(1, 2)] = 2
    """Output neurons: 1 encodes the angle, 2 a point on the circle."""
    kappa_head: bool = False
    """Also predict the concentration of a von Mises distribution."""
    dtype: Dtype | None = None
    """Compute type of the head; the backbone has its own."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch y x 1"], *, train: bool) -> DirectionOutputs:
        """Estimates directions.

        Args:
            images: Cells, one per image, standardised, as for ``ProbingCNN``.
            train: Passed to the backbone (batch normalisation, stochastic depth).

        Returns:
            Raw encodings, one row per image.

        Raises:
            ValueError: The images have other axes, or are too small for the backbone.
        """
        check_axes("images", images.shape, "batch y x 1")
        features = self.backbone(self.scaling.of_standardized(images), train=train)[-1]
        x = jnp.mean(features, axis=(1, 2))
        x = nn.relu(nn.Dense(1024, dtype=self.dtype, name="dense1")(x))
        x = nn.relu(nn.Dense(256, dtype=self.dtype, name="dense2")(x))
        return DirectionHead(self.neurons, self.kappa_head, dtype=self.dtype, name="head")(x)
