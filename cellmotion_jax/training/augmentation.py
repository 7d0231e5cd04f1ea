"""Augmentation inside the compiled step: images and labels move together."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.angles import mirror_heading_horizontal, mirror_heading_vertical, rotate_heading
from cellmotion_jax.ops.intensity import standardize
from cellmotion_jax.ops.warp import affine_warp, similarity_matrix


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionAugmentation:
    """Random rotation, shift, scale and mirroring of a cell and its heading (Bruns et al., Section 3.1).

    Images are standardised first, so that the border uncovered by a shift is filled with their mean.
    """

    rotation: float = 1.0
    """Largest rotation either way, as a fraction of half a turn; 1 is any angle, 0 none."""
    shift: float = 0.2
    """Largest shift along y and along x, as a fraction of the image size."""
    scale: float = 0.1
    """Largest change of scale either way."""
    mirror: bool = True
    """Mirror horizontally and vertically, each in half of the cases."""

    def __call__(self, key: Array, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Moves ``image`` [batch, y, x, channel] and ``angle`` [batch] together; the rest passes through."""
        images = standardize(batch["image"])
        keys = jax.random.split(key, images.shape[0])
        images, angle = jax.vmap(self._one)(keys, images, batch["angle"])
        return {**batch, "image": images, "angle": angle}

    def _one(self, key: Array, image: Array, angle: Array) -> tuple[Array, Array]:
        rotation_key, shift_key, scale_key, mirror_key = jax.random.split(key, 4)
        rotation = self.rotation * jax.random.uniform(rotation_key, minval=-jnp.pi, maxval=jnp.pi)
        size = jnp.array(image.shape[:2], jnp.float32)
        shift = size * jax.random.uniform(shift_key, (2,), minval=-self.shift, maxval=self.shift)
        scale = 1.0 + jax.random.uniform(scale_key, minval=-self.scale, maxval=self.scale)
        horizontal, vertical = jax.random.bernoulli(mirror_key, shape=(2,)) & self.mirror
        matrix = similarity_matrix(
            rotation=rotation,
            scale=scale,
            shift=shift,
            mirror_horizontal=horizontal,
            mirror_vertical=vertical,
            shape=(image.shape[0], image.shape[1]),
        )
        # The matrix mirrors first and rotates afterwards; the label follows in the same order.
        angle = jnp.where(horizontal, mirror_heading_horizontal(angle), angle)
        angle = jnp.where(vertical, mirror_heading_vertical(angle), angle)
        return affine_warp(image, matrix), rotate_heading(angle, rotation)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileAugmentation:
    """Random turns, mirroring and scale of a tile with all its maps, and random light.

    Quarter turns and mirrors move pixels and change none. Smaller turns and the scale resample; a change of
    scale changes the inner distance, which follows exactly, while the outer distance is a ratio and stays.
    (Widened boundaries are scaled with their cells.) What moves in from outside of the tile is not annotated.
    Light changes the standardised image alone.
    """

    turns: bool = True
    """Turn by a random quarter and mirror in half of the cases."""
    rotation: float = 0.1
    """Largest further rotation either way, as a fraction of half a turn."""
    scale: float = 0.2
    """Largest change of scale either way: lengths are multiplied by the exponential of it."""
    contrast: float = 0.3
    """Largest change of contrast either way: the image is multiplied by the exponential of it."""
    brightness: float = 0.3
    """Largest shift of brightness either way, in standard deviations of the image."""
    noise: float = 0.1
    """Largest standard deviation of white noise, in standard deviations of the image."""

    MAPS: ClassVar = ("image", "inner", "outer", "classification", "boundary", "annotated")

    def __post_init__(self) -> None:
        """Refuses ranges that are no ranges."""
        for name in ("rotation", "scale", "contrast", "brightness", "noise"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"augmentation.{name} is {getattr(self, name)}; it is a number from 0 on.")

    def __call__(self, key: Array, batch: Mapping[str, Array], *, squared: bool = False) -> dict[str, Array]:
        """Changes square tiles [batch, y, x, ...]: ``image`` and the maps that move with it.

        ``squared`` says that the inner distance was made of squared distances.
        """
        keys = jax.random.split(key, batch["image"].shape[0])
        maps = {name: batch[name] for name in self.MAPS}
        return {**batch, **jax.vmap(functools.partial(self._one, squared=squared))(keys, maps)}

    def _one(self, key: Array, maps: dict[str, Array], *, squared: bool) -> dict[str, Array]:
        position_key, warp_key, light_key, level_key, noise_key = jax.random.split(key, 5)
        maps = _turned(position_key, maps, turns=self.turns)
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelAugmentation:
    """Random turns and mirroring of a crop with the classes of its pixels, and random contrast.

    The authors of DeepCell turn by any angle and shear as well; classes cannot be interpolated.
    """

    turns: bool = True
    """Turn by a random quarter and mirror in half of the cases."""
    contrast: float = 0.3
    """Largest change of contrast either way: the image is multiplied by the exponential of it. Its unit is
    the background, to which stains of another movie have another ratio."""

    def __post_init__(self) -> None:
        """Refuses a range that is none."""
        if not 0 <= self.contrast < float("inf"):
            raise InputError(f"augmentation.contrast is {self.contrast}; it is a number from 0 on.")

    def __call__(self, key: Array, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Changes square crops [batch, y, x, ...]: ``image``, ``target`` and ``annotated`` move together."""
        return jax.vmap(self._one)(jax.random.split(key, batch["image"].shape[0]), dict(batch))

    def _one(self, key: Array, crop: dict[str, Array]) -> dict[str, Array]:
        position_key, contrast_key = jax.random.split(key)
        crop = _turned(position_key, crop, turns=self.turns)
        gain = jnp.exp(self.contrast * jax.random.uniform(contrast_key, minval=-1, maxval=1))
        return {**crop, "image": gain * crop["image"]}


def _turned(key: Array, maps: Mapping[str, Array], *, turns: bool) -> dict[str, Array]:
    """All maps [y, x, ...] of a square in one of its eight positions, if there are turns."""
    turned, mirrored, flipped = jax.random.bernoulli(key, shape=(3,)) & turns

    def moved(tile: Array) -> Array:
        # A transposition and two mirrors reach all eight positions of a square.
        tile = jnp.where(turned, tile.swapaxes(0, 1), tile)
        tile = jnp.where(mirrored, tile[:, ::-1], tile)
        return jnp.where(flipped, tile[::-1], tile)

    return {name: moved(tile) for name, tile in maps.items()}
