"""Intensity normalisation of images."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def standardize(images: Float[Array, "*batch y x channel"]) -> Float[Array, "*batch y x channel"]:
    """Shifts and scales every image to mean 0 and standard deviation 1 over its pixels and channels.

    Args:
        images: Images in any unit.

    Returns:
        Standardised images. A constant image becomes 0 everywhere, with zero gradient.
    """
    axes = (-3, -2, -1)
    centred = images - jnp.mean(images, axis=axes, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=axes, keepdims=True)
    varies = variance > 0
    return jnp.where(varies, centred / jnp.sqrt(jnp.where(varies, variance, 1.0)), 0.0)
