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
    rotation: Float[Array, ""],
) -> Float[Array, " batch"]:
    """Rotates the images, predicts their directions, and turns these back.

    The predictions for several rotations are fused by ``ops.mean_direction.arc_mean`` (the paper's rule)
    or ``circular_mean``; any part of them is a smaller ensemble, so one set serves every n of Table 5.

    Args:
        predict: Images to angles in radians.
        images: Standardised images; what a rotation uncovers is filled with 0, their mean.
        rotation: Radians, counter-clockwise; ``vmap`` over it for a whole ensemble at once.

    Returns:
        Angles in [0, 2 pi) in the frame of the unrotated images.
    """
    rotated = jax.vmap(lambda image: rotate(image, rotation, fill=0.0))(images)
    return rotate_heading(predict(rotated), -rotation)
