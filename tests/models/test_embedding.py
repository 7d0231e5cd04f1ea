"""The tracking embedding: any size, few parameters, the same features in a window as in the image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.embedding import LEARNED_NUMBERS, PairEmbedding, TrackingEmbedding

SMALL = TrackingEmbedding(features=3, base_width=2)


@functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def maps_of(params, images):
    return SMALL.apply(params, images, train=False)


def random_variables(network, images):
    """Variables of the right shapes: the drawing of real ones takes long to compile."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), images, train=False))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.3, leaf.shape), jnp.float32), shapes)


@pytest.fixture(scope="module")
def params():
    return random_variables(SMALL, jnp.zeros((1, 8, 8, 1)))


@pytest.mark.parametrize("shape", [(16, 16), (13, 22), (3, 5)])
def test_maps_have_the_size_of_the_image(params, shape):
    maps = maps_of(params, jnp.ones((2, *shape, 1)))
    assert maps.features.shape == (2, *shape, 3)
    assert maps.centre.shape == (2, *shape)


def test_sizes_between_multiples_of_four_are_continued_by_the_edge(params):
    image = jax.random.normal(jax.random.key(1), (1, 18, 15, 1))
    padded = jnp.pad(image, ((0, 0), (0, 2), (0, 1), (0, 0)), mode="edge")
    whole = maps_of(params, padded).features[:, :18, :15]
    np.testing.assert_allclose(maps_of(params, image).features, whole, atol=1e-6)


def test_a_window_sees_the_features_of_the_image(params):
    image = jax.random.normal(jax.random.key(2), (1, 96, 96, 1))
    whole = maps_of(params, image)
    window = maps_of(params, image[:, 16:80, 16:80])
    inner = np.s_[:, 24:40, 24:40]
    np.testing.assert_allclose(window.features[inner], whole.features[:, 40:56, 40:56], atol=1e-5)
    np.testing.assert_allclose(window.centre[inner], whole.centre[:, 40:56, 40:56], atol=1e-5)


def test_without_centre_there_is_no_channel_for_it():
    network = TrackingEmbedding(features=3, base_width=2, centre=False)
    variables = random_variables(network, jnp.zeros((1, 8, 8, 1)))
    assert variables["params"]["out"]["kernel"].shape[-1] == 3
    assert network.apply(variables, jnp.zeros((1, 8, 8, 1)), train=False).centre is None


def test_the_default_is_small():
    shapes = jax.eval_shape(
        lambda: TrackingEmbedding().init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) < 70_000


def test_both_windows_of_a_pair_see_the_same_network(params):
    network = PairEmbedding(SMALL)
    images = jax.random.normal(jax.random.key(3), (2, 2, 16, 16))
    variables = random_variables(network, images)
    outputs = jax.jit(lambda variables: network.apply(variables, images, train=True))(variables)
    alone = maps_of({"params": variables["params"]["embedding"]}, images[:, 1, ..., None])
    np.testing.assert_allclose(outputs.second.features, alone.features, atol=1e-6)
    np.testing.assert_allclose(outputs.second.centre, alone.centre, atol=1e-6)
    assert outputs.first.features.shape == (2, 16, 16, 3)
    for name in LEARNED_NUMBERS:
        np.testing.assert_allclose(jnp.log(getattr(outputs, name)), variables["params"][name], rtol=1e-5)
