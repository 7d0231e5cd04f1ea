"""Windows and positions are transformed together; brightness changes only windows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_embedding.augmentation import NETWORK_SIDE, UNCHANGED, PairAugmentation
from cellmotion_jax.methods.celltrack_embedding.pairs import FARTHEST

PAIRS = 24
DARK = dataclasses.replace(PairAugmentation(), contrast=0.0, brightness=0.0, bleaching=0.0, noise=0.0)
STILL = dataclasses.replace(UNCHANGED, prediction_error=0.0)


def compiled(augmentation):
    return jax.jit(augmentation, compiler_options={"xla_backend_optimization_level": 0})


augment, leave = compiled(dataclasses.replace(DARK, place_error=0.0)), compiled(STILL)


def spots():
    """Pairs of windows with one spot each, at the true places."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :80] - 40
    places = {
        "place": rng.uniform(-0.5, 0.5, (PAIRS, 2)),
        "true": rng.uniform(-9, 9, (PAIRS, 2)),
        "previous": rng.uniform(-0.5, 0.5, (PAIRS, 2)),
    }
    image = [
        [np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / 8) for place in pair]
        for pair in zip(places["place"], places["true"])
    ]
    return {name: jnp.asarray(value, jnp.float32) for name, value in {"image": image, **places}.items()}


def spot_places(images):
    y, x = np.mgrid[:NETWORK_SIDE, :NETWORK_SIDE] - NETWORK_SIDE // 2
    weights = images / images.sum(axis=(1, 2), keepdims=True)
    return np.stack([(weights * axis).sum(axis=(1, 2)) for axis in (y, x)], axis=-1)


@pytest.fixture(scope="module")
def moved():
    return jax.device_get(augment(jax.random.key(0), spots()))


def test_places_follow_the_windows(moved):
    np.testing.assert_allclose(spot_places(moved["image"][:, 0]), moved["offset"], atol=0.05)
    np.testing.assert_allclose(spot_places(moved["image"][:, 1]), moved["true"], atol=0.05)


def test_windows_lie_around_whole_pixels_near_where_the_cell_is_believed(moved):
    largest = 0.5 * np.exp(DARK.scale)
    assert np.abs(moved["offset"]).max() <= largest
    assert np.abs(moved["predicted"]).max() <= largest
    assert np.abs(moved["true"]).max() <= FARTHEST * np.exp(DARK.scale)


def test_half_of_the_pairs_are_not_resampled():
    image = jnp.round(10 * jax.random.normal(jax.random.key(1), (PAIRS, 2, 80, 80)))
    moved = augment(jax.random.key(2), {**spots(), "image": image})["image"]
    # Values of a resampled window lie between those there were.
    exact = np.asarray(jnp.all(moved == jnp.round(moved), axis=(1, 2, 3)))
    assert 0.25 < exact.mean() < 0.75


def test_without_any_change_the_middle_of_the_window_is_seen():
    pairs = spots() | {"previous": jnp.full((PAIRS, 2), 3.0), "true": jnp.zeros((PAIRS, 2))}
    seen = leave(jax.random.key(0), pairs)
    np.testing.assert_allclose(seen["image"][:, 0], pairs["image"][:, 0, 8:72, 8:72], atol=1e-6)
    np.testing.assert_allclose(seen["image"][:, 1], pairs["image"][:, 1, 11:75, 11:75], atol=1e-6)
    np.testing.assert_array_equal(seen["offset"], pairs["place"])
    np.testing.assert_array_equal(seen["true"], -3 * np.ones((PAIRS, 2)))


def test_light_changes_both_windows_alike_but_for_bleaching():
    pairs = spots()
    light = dataclasses.replace(STILL, contrast=0.5, brightness=0.5)
    before = leave(jax.random.key(0), pairs)["image"]
    after = compiled(light)(jax.random.key(0), pairs)["image"]
    for one, other in zip(np.asarray(before), np.asarray(after)):
        gain, shift = np.polyfit(one.ravel(), other.ravel(), 1)
        np.testing.assert_allclose(other, gain * one + shift, atol=1e-4)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"place_error is -1"):
        PairAugmentation(place_error=-1.0)
