"""Test-time augmentation by rotation."""

import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.methods.direction.evaluation import directions_of_rotated, random_rotations
from cellmotion_jax.ops.angles import absolute_difference
from cellmotion_jax.ops.mean_direction import arc_mean

ROWS, COLUMNS = (np.float32(side) - 23.5 for side in np.indices((48, 48)))
DISC = np.hypot(ROWS, COLUMNS) < 20


def brightest_side(images):
    """A perfect, rotation-equivariant estimator for the images below."""
    weights = images[..., 0] * (np.hypot(ROWS, COLUMNS) < 15)[None]
    return jnp.arctan2(-jnp.sum(weights * ROWS[None], (1, 2)), jnp.sum(weights * COLUMNS[None], (1, 2)))


def test_predictions_are_turned_back_with_the_image():
    angle = np.linspace(0, 6, 7, dtype=np.float32)
    ahead = COLUMNS[None] * np.cos(angle)[:, None, None] - ROWS[None] * np.sin(angle)[:, None, None]
    images = jnp.asarray(np.where(DISC[None], ahead, 0)[..., None])
    rotations = random_rotations(jax.random.key(0), 5)
    of_one = jax.jit(jax.vmap(lambda r: directions_of_rotated(brightest_side, images, r)))
    versions = of_one(rotations)
    assert versions.shape == (5, 7)
    assert np.all(absolute_difference(versions, np.broadcast_to(angle, (5, 7))) < 0.05)
    np.testing.assert_allclose(absolute_difference(arc_mean(versions.T), angle), 0.0, atol=0.05)


def test_the_first_version_is_the_original():
    rotations = random_rotations(jax.random.key(3), 14)
    assert rotations[0] == 0
    assert len(np.unique(rotations)) == 14
    assert np.all((rotations >= 0) & (rotations < 2 * np.pi))
