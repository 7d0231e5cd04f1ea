"""Augmentation of crops and their directions, inside the compiled step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.ops.angles import mirror_heading_horizontal, mirror_heading_vertical, rotate_heading
from cellmotion_jax.ops.intensity import standardize
from cellmotion_jax.ops.warp import affine_warp, similarity_matrix
from cellmotion_jax.settings import NotNegative, Settings, Share, ShareBelowOne


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionAugmentation(Settings):
    """Random rotation, shift, scale and mirroring of a cell and its heading (Bruns et al., Section 3.1).

    Images are standardised first, so that the border uncovered by a shift is filled with their mean.
    """

    rotation: NotNegative = 1.0
    """Largest rotation either way, as a fraction of half a turn; 1 is any angle, 0 none."""
    shift: Share = 0.2
    """Largest shift along y and along x, as a fraction of the image size."""
    scale: ShareBelowOne = 0.1
    """Largest relative change of scale, up or down."""
    mirror: bool = True
    """Mirror horizontally and vertically, each in half of the cases."""

    def __call__(self, key: Array, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Transforms ``image`` [batch, y, x, channel] and ``angle`` [batch] together, nothing else."""
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
