"""Augmentation of crops and their pixel classes, inside the compiled step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.ops.warp import turn_square
from cellmotion_jax.settings import Exponent, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelAugmentation(Settings):
    """Random quarter turns and mirroring of a crop with its pixel classes, and random contrast.

    The authors of DeepCell also rotate by any angle and shear; this is left out, since classes cannot be
    interpolated.
    """

    turns: bool = True
    """Turn by a random quarter and mirror in half of the cases."""
    contrast: Exponent = 0.3
    """Largest change of contrast either way: the image is multiplied by the exponential of it. The image is
    in units of its background, and the ratio of stain to background differs between movies."""

    def __call__(self, key: Array, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Transforms square crops [batch, y, x, ...]: ``image``, ``target`` and ``annotated`` together."""
        return jax.vmap(self._one)(jax.random.split(key, batch["image"].shape[0]), dict(batch))

    def _one(self, key: Array, crop: dict[str, Array]) -> dict[str, Array]:
        position_key, contrast_key = jax.random.split(key)
        crop = turn_square(position_key, crop, turns=self.turns)
        gain = jnp.exp(self.contrast * jax.random.uniform(contrast_key, minval=-1, maxval=1))
        return {**crop, "image": gain * crop["image"]}
