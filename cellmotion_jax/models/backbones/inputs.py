"""Conversion of microscopy images to the input for which the weights of a backbone were trained."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.settings import Positive, Range, Settings

# Mean and standard deviation of ImageNet in grey levels of 0 to 255, averaged over its three channels.
NATURAL_MEAN = 114.5
NATURAL_STD = 57.6
Level = Annotated[float, Range(-1e6, 1e6)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputScaling(Settings):
    """Scaling of colours from 0 to 255 to the input of a network: ``(colour - mean) / std`` per channel."""

    mean: tuple[Level, Level, Level]
    """Value subtracted from each channel, in the order of ``channels``."""
    std: tuple[Positive, Positive, Positive]
    """Divisor of each channel, in the order of ``channels``."""
    channels: Literal["RGB", "BGR"] = "RGB"
    """Order of the channels in the network's input; the caffe weights of Keras read BGR."""

    def of_colours(self, images: Float[Array, "*batch y x 3"]) -> Float[Array, "*batch y x 3"]:
        """Scales colour images.

        Args:
            images: Red, green and blue, from 0 to 255.

        Returns:
            Input for the network.
        """
        ordered = images[..., ::-1] if self.channels == "BGR" else images
        per_channel = (1,) * (images.ndim - 1) + (3,)
        return (ordered - jnp.reshape(jnp.array(self.mean), per_channel)) / jnp.reshape(
            jnp.array(self.std), per_channel
        )

    def of_standardized(self, images: Float[Array, "*batch y x 1"]) -> Float[Array, "*batch y x 3"]:
        """Converts standardised grey images to the statistics of natural images.

        The mean and the spread of every image become those of ImageNet, its grey levels are repeated in
        three channels. Levels outside of 0 to 255 are kept: the bright halo of a cell in phase contrast lies
        there, and it tells a direction.

        Args:
            images: Images of mean 0 and standard deviation 1, see ``ops.intensity.standardize``.

        Returns:
            Input for the network.

        Raises:
            ValueError: The images have more than one channel.
        """
        if images.shape[-1] != 1:
            raise ValueError(f"images of shape {images.shape} must have one channel, the last axis")
        return self.of_colours(jnp.repeat(NATURAL_MEAN + NATURAL_STD * images, 3, axis=-1))


def check_images(images: Array, *, smallest: int) -> None:
    """Raises ValueError for arrays that are not images, or too small for a backbone.

    Args:
        images: Input of a backbone.
        smallest: Least number of pixels along y and x.

    Raises:
        ValueError: The images have not three channels, or sides below ``smallest``.
    """
    if images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"images of shape {images.shape} must be [batch, y, x, channel] with 3 channels")
    if min(images.shape[1:3]) < smallest:
        raise ValueError(f"images of shape {images.shape} have sides below {smallest} pixels")
