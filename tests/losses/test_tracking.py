"""Cross entropy of a position: comparison with an oracle, its minimum, and invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax import losses
from cellmotion_jax.ops.fourier import gaussian_target, signed_shifts

place_cross_entropy = jax.jit(losses.place_cross_entropy, static_argnames="sigma")


def test_it_is_the_sum_over_all_shifts():
    rng = np.random.default_rng(0)
    logits, place = rng.normal(size=(6, 8)).astype(np.float32), np.array([1.2, -2.6], np.float32)
    y, x = np.meshgrid(signed_shifts(6), signed_shifts(8), indexing="ij")
    # Once around the border and back, the nearer way counts.
    dy, dx = ((y - place[0] + 3) % 6) - 3, ((x - place[1] + 4) % 8) - 4
    weight = np.exp(-(dy**2 + dx**2) / 2 / 0.8**2)
    expected = -(weight / weight.sum() * (logits - np.log(np.exp(logits).sum()))).sum()
    found = place_cross_entropy(jnp.asarray(logits), jnp.asarray(place), sigma=0.8)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_it_is_smallest_where_the_map_is_the_gaussian_itself():
    place = jnp.array([2.3, -4.7])
    best = jnp.log(gaussian_target(place, shape=(32, 32), sigma=1.0) + 1e-30)
    loss, gradient = jax.value_and_grad(place_cross_entropy)(best, place, sigma=1.0)
    assert float(loss) == pytest.approx(1 + np.log(2 * np.pi), abs=1e-3)
    assert float(jnp.abs(gradient).max()) < 1e-5
    other = best + jax.random.normal(jax.random.key(0), best.shape)
    assert float(place_cross_entropy(other, place, sigma=1.0)) > float(loss)


def test_a_constant_more_everywhere_changes_nothing():
    logits = jax.random.normal(jax.random.key(1), (3, 8, 8))
    places = jnp.array([[0.0, 0.0], [1.5, -2.0], [-3.0, 3.0]])
    np.testing.assert_allclose(
        place_cross_entropy(logits + 50.0, places, sigma=1.0),
        place_cross_entropy(logits, places, sigma=1.0),
        rtol=1e-5,
    )


def test_what_is_masked_reaches_neither_value_nor_gradient():
    logits = jnp.stack([jnp.zeros((4, 4)), jnp.full((4, 4), jnp.nan)])
    where = jnp.array([True, False])

    def total(logits):
        return place_cross_entropy(logits, jnp.zeros((2, 2)), sigma=1.0, where=where).sum()

    value, gradient = jax.value_and_grad(total)(logits)
    assert float(value) == pytest.approx(np.log(16), rel=1e-5)
    assert np.isfinite(gradient).all()
    assert not np.asarray(gradient[1]).any()
