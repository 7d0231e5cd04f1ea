"""Test-time augmentation by rotation."""

import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.methods.direction.evaluation import directions_of_rotated, random_rotations
from cellmotion_jax.ops.angles import absolute_difference
from cellmotion_jax.ops.mean_direction import arc_mean

ROWS, COLUMNS = jnp.meshgrid(jnp.arange(48.0) - 23.5, jnp.arange(48.0) - 23.5, indexing="ij")
DISC = jnp.hypot(ROWS, COLUMNS) < 20


def brightest_side(images):
    """A perfect, rotation-equivariant estimator for the images below."""
    weights = images[..., 0] * (jnp.hypot(ROWS, COLUMNS) < 15)[None]
    return jnp.arctan2(-jnp.sum(weights * ROWS[None], (1, 2)), jnp.sum(weights * COLUMNS[None], (1, 2)))


def test_predictions_are_turned_back_with_the_image():
    angle = jnp.linspace(0.0, 6.0, 7)
    ahead = COLUMNS[None] * jnp.cos(angle)[:, None, None] - ROWS[None] * jnp.sin(angle)[:, None, None]
    images = jnp.where(DISC[None], ahead, 0.0)[..., None]
    rotations = random_rotations(jax.random.key(0), 5)
    versions = jax.vmap(lambda r: directions_of_rotated(brightest_side, images, r))(rotations)
    assert versions.shape == (5, 7)
    assert np.all(absolute_difference(versions, jnp.broadcast_to(angle, (5, 7))) < 0.05)
    np.testing.assert_allclose(absolute_difference(arc_mean(versions.T), angle), 0.0, atol=0.05)


def test_the_first_version_is_the_original():
    rotations = random_rotations(jax.random.key(3), 14)
    assert rotations[0] == 0
    assert len(np.unique(rotations)) == 14
    assert np.all((rotations >= 0) & (rotations < 2 * np.pi))
