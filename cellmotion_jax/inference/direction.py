"""Directions from images, with test-time augmentation (Bruns et al., Section 2.5)."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.ops.angles import rotate_heading
from cellmotion_jax.ops.warp import rotate


def random_rotations(key: Array, versions: int) -> Float[Array, " versions"]:
    """Angles of the versions of an image: the original first, then uniformly random rotations."""
    angles = jax.random.uniform(key, (versions,), minval=0.0, maxval=2 * jnp.pi)
    return angles.at[0].set(0.0)


def directions_of_rotated(
    predict: Callable[[Float[Array, "batch y x channel"]], Float[Array, " batch"]],
    images: Float[Array, "batch y x channel"],
    rotations: Float[Array, " versions"],
) -> Float[Array, "batch versions"]:
    """Predicts every rotated version of every image and turns the predictions back.

    The versions are fused by ``ops.mean_direction.arc_mean`` (the paper's rule) or ``circular_mean``; any
    leading part of them is a smaller ensemble, so one call serves every n of Table 5.

    Args:
        predict: Images to angles in radians.
        images: Standardised images; what a rotation uncovers is filled with 0, their mean.
        rotations: Angles in radians, counter-clockwise.

    Returns:
        Angles in [0, 2 pi) in the frame of the unrotated images.
    """

    def one(rotation: Array) -> Array:
        rotated = jax.vmap(lambda image: rotate(image, rotation, fill=0.0))(images)
        return rotate_heading(predict(rotated), -rotation)

    return jax.lax.map(one, rotations).T
