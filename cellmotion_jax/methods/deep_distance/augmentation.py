"""Augmentation of tiles and their targets, inside the compiled step."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.ops.warp import affine_warp, similarity_matrix, turn_square
from cellmotion_jax.settings import Exponent, NotNegative, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileAugmentation(Settings):
    """Random rotation, mirroring and scale of a tile with all its maps, and random brightness and contrast.

    Quarter turns and mirroring only move pixels. Other rotations and scaling resample; scaling changes the
    inner distance, which is recomputed exactly, while the outer distance is a ratio and does not change.
    (Widened boundaries are scaled with their cells.) Pixels from outside of the tile count as not annotated.
    Brightness and contrast change the standardised image only.
    """

    turns: bool = True
    """Turn by a random quarter and mirror in half of the cases."""
    rotation: NotNegative = 0.1
    """Largest further rotation either way, as a fraction of half a turn."""
    scale: Exponent = 0.2
    """Largest change of scale either way: lengths are multiplied by the exponential of it."""
    contrast: Exponent = 0.3
    """Largest change of contrast either way: the image is multiplied by the exponential of it."""
    brightness: NotNegative = 0.3
    """Largest shift of brightness either way, in standard deviations of the image."""
    noise: NotNegative = 0.1
    """Largest standard deviation of white noise, in standard deviations of the image."""

    MAPS: ClassVar = ("image", "inner", "outer", "classification", "boundary", "annotated")

    def __call__(self, key: Array, batch: Mapping[str, Array], *, squared: bool = False) -> dict[str, Array]:
        """Transforms square tiles [batch, y, x, ...]: ``image`` together with its maps.

        ``squared`` says that the inner distance was made of squared distances.
        """
        keys = jax.random.split(key, batch["image"].shape[0])
        maps = {name: batch[name] for name in self.MAPS}
        return {**batch, **jax.vmap(functools.partial(self._one, squared=squared))(keys, maps)}

    def _one(self, key: Array, maps: dict[str, Array], *, squared: bool) -> dict[str, Array]:
        position_key, warp_key, light_key, level_key, noise_key = jax.random.split(key, 5)
        maps = turn_square(position_key, maps, turns=self.turns)
        if self.rotation or self.scale:
            maps = self._warped(warp_key, maps, squared=squared)
        gain, shift = jax.random.uniform(light_key, (2,), minval=-1, maxval=1)
        level = self.noise * jax.random.uniform(level_key)
        image = maps["image"] * jnp.exp(self.contrast * gain) + self.brightness * shift
        noise = level * jax.random.normal(noise_key, image.shape, image.dtype)
        return {**maps, "image": image + noise}

    def _warped(self, key: Array, maps: dict[str, Array], *, squared: bool) -> dict[str, Array]:
        angle, size = jax.random.uniform(key, (2,), minval=-1, maxval=1)
        scale = jnp.exp(self.scale * size)
        y, x = maps["inner"].shape
        matrix = similarity_matrix(rotation=jnp.pi * self.rotation * angle, scale=scale, shape=(y, x))
        # All maps are looked up at the same places, as channels of one image.
        channels = maps["image"].shape[-1]
        flat = [maps[name][..., None].astype(maps["image"].dtype) for name in self.MAPS[1:]]
        warped = affine_warp(jnp.concatenate([maps["image"], *flat], axis=-1), matrix)
        new = dict(zip(self.MAPS[1:], jnp.moveaxis(warped[..., channels:], -1, 0)))
        # What was (1 / inner - 1) / alpha away from the centre is farther now by this factor.
        farther = scale**2 if squared else scale
        inner = new["inner"] / (new["inner"] + farther * (1 - new["inner"]))
        # A pixel is known if all that it was interpolated from is.
        return {**new, "image": warped[..., :channels], "inner": inner, "annotated": new["annotated"] > 0.999}
