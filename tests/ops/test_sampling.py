"""Pixels are drawn with exactly the probability of their weight."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.ops.sampling import draw_pixel

CELLS = np.zeros((5, 7), bool)
CELLS[1, 2:4] = CELLS[4, 6] = True
EVERYWHERE = np.ones_like(CELLS)
DRAWS = 20_000


@functools.partial(jax.jit, static_argnames="weight")
def _draws(foreground, where, *, weight):
    keys = jax.random.split(jax.random.key(0), DRAWS)
    return jax.vmap(lambda key: draw_pixel(key, foreground, weight=weight, where=where))(keys)


def frequencies(foreground=CELLS, where=EVERYWHERE, *, weight):
    y, x = np.asarray(_draws(jnp.asarray(foreground), jnp.asarray(where), weight=weight)).T
    counts = np.zeros(foreground.shape)
    np.add.at(counts, (y, x), 1)
    return counts / DRAWS


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_every_pixel_comes_as_often_as_its_weight_says(weight):
    where = EVERYWHERE.copy()
    where[0, :3] = where[1, 2] = False
    expected = np.where(CELLS, weight, 1.0) * where
    expected /= expected.sum()
    error = 4.5 * np.sqrt(expected.max() / DRAWS)
    np.testing.assert_allclose(frequencies(where=where, weight=weight), expected, atol=error)


def test_a_background_pixel_is_rare_but_possible_beside_a_huge_weight():
    share = frequencies(weight=500.0)[~CELLS].sum()
    assert share == pytest.approx(32 / (32 + 1500), rel=0.15)


@pytest.mark.parametrize("weight", [0.0, 1.0, 50_000.0])
@pytest.mark.parametrize("foreground", [np.zeros_like(CELLS), EVERYWHERE], ids=["no cell", "all cells"])
def test_images_of_one_kind_are_drawn_from_alike(foreground, weight):
    np.testing.assert_allclose(frequencies(foreground, weight=weight), 1 / 35, atol=0.006)


def test_where_nothing_may_be_drawn_the_middle_is_taken():
    assert frequencies(where=np.zeros_like(CELLS), weight=3.0)[2, 3] == 1
