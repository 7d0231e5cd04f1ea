"""Patches and the dense form give the same output, and features are computed without the deeper layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.feature_net import (
    FEATURE_NET_31,
    FEATURE_NET_61,
    Conv,
    FeatureNet,
    Pool,
    ensemble_probabilities,
)

KEY = jax.random.key(0)
CHEAP = {"xla_backend_optimization_level": 0}
TINY = (Conv(2, 3), Pool(), Conv(3, 4), Conv(2, 4), Pool(), Conv(3, 5))


def shapes(net, size):
    return jax.eval_shape(lambda: net.init(KEY, jnp.zeros((1, size, size, 1)), train=False))


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def drawn(net, seed=0):
    """Variables of all kinds at random: a fresh normalisation would not do anything."""
    rng = np.random.default_rng(seed)
    size = net.receptive_field
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.uniform(0.2, 1.0, leaf.shape) - 0.4 * (leaf.ndim > 1), jnp.float32),
        shapes(net, size),
    )


@functools.cache
def applied(net, **options):
    return jax.jit(lambda v, x: net.apply(v, x, train=False, **options), compiler_options=CHEAP)


@pytest.mark.parametrize(
    ("layers", "field", "fields", "parameters"),
    [
        # conv 544 + 18,496 + 36,928 + 73,856 + 230,600, dense 40,200 + 603, normalisations 2 x 688.
        (FEATURE_NET_31, 31, [4, 9, 13, 23, 31], 401_227 + 1_376),
        # conv 640 + 65,600 + 4 x 36,928 + 205,000, dense 40,200 + 603, normalisations 2 x 784.
        (FEATURE_NET_61, 61, [3, 6, 11, 15, 25, 33, 61], 459_755 + 1_568),
    ],
)
def test_published_constructions(layers, field, fields, parameters):
    net = FeatureNet(layers)
    assert net.receptive_field == net.field_of(None) == field
    assert [net.field_of(k) for k in range(1, net.depth + 1)] == fields
    variables = shapes(net, field)
    assert count(variables["params"]) == parameters
    assert count(shapes(FeatureNet(layers, batch_norm=False), field)) == parameters - count(
        variables["batch_stats"]
    )
    convs = {f"conv{k}" for k in range(1, net.depth + 1)}
    norms = {f"norm{k}" for k in range(1, net.depth + 2)}
    assert set(variables["params"]) == convs | norms | {"dense1", "dense2"}


@pytest.mark.parametrize(("size", "batch_norm"), [((22, 25), True), ((25, 21), False)])
def test_dense_and_patches_agree_on_every_pixel(size, batch_norm):
    net = FeatureNet(TINY, dense_width=6, batch_norm=batch_norm)
    variables = drawn(net)
    field = net.receptive_field
    images = jax.random.normal(KEY, (2, *size, 1))
    logits = applied(net)(variables, images).logits
    rows, columns = (side - field + 1 for side in size)
    assert logits.shape == (2, rows, columns, 3)
    patches = jnp.stack([
        images[b, y : y + field, x : x + field] for b in range(2) for y in range(rows) for x in range(columns)
    ])  # fmt: skip
    one_by_one = applied(net, method=FeatureNet.patches)(variables, patches)
    np.testing.assert_allclose(logits.reshape(-1, 3), one_by_one, rtol=1e-4, atol=1e-5)
    assert np.ptp(logits) > 0.1


def test_the_published_construction_agrees_too():
    narrow = tuple(Conv(layer.kernel, 3) if isinstance(layer, Conv) else layer for layer in FEATURE_NET_61)
    net = FeatureNet(narrow, dense_width=4)
    variables, field = drawn(net), net.receptive_field
    images = jax.random.normal(KEY, (1, field + 4, field + 1, 1))
    logits = applied(net)(variables, images).logits
    patches = jnp.stack([images[0, y : y + field, x : x + field] for y in range(5) for x in range(2)])
    one_by_one = applied(net, method=FeatureNet.patches)(variables, patches)
    np.testing.assert_allclose(logits.reshape(-1, 3), one_by_one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 4])
def test_a_stride_gives_every_second_or_fourth_answer(stride):
    net = FeatureNet(TINY, dense_width=6)
    variables, images = drawn(net), jax.random.normal(KEY, (1, 29, 26, 1))
    every = applied(net)(variables, images)
    some = applied(net, stride=stride)(variables, images)
    np.testing.assert_allclose(some.logits, every.logits[:, ::stride, ::stride], rtol=1e-4, atol=1e-5)
    assert [f.shape[:3] for f in some.features] == [some.logits.shape[:3]] * net.depth


def test_features_of_the_first_layers_are_cut_from_the_same_maps_and_centred():
    net = FeatureNet(TINY, dense_width=6)
    variables, images = drawn(net), jax.random.normal(KEY, (1, 24, 25, 1))
    whole = applied(net)(variables, images)
    first = applied(net, layers=3)(variables, images)
    assert first.logits is None
    assert len(first.features) == 3
    assert {f.shape[1:3] for f in first.features} == {(24 - 9 + 1, 25 - 9 + 1)}
    assert {f.shape[1:3] for f in whole.features} == {whole.logits.shape[1:3]}
    inside = (net.receptive_field - net.field_of(3)) // 2
    rows, columns = whole.logits.shape[1:3]
    for deep, shallow in zip(whole.features, first.features):
        cut = shallow[:, inside : inside + rows, inside : inside + columns]
        np.testing.assert_allclose(deep, cut, rtol=1e-5, atol=1e-6)


def test_a_pixel_of_a_feature_map_sees_around_the_pixel_it_stands_for():
    net = FeatureNet(TINY, dense_width=6)
    variables, size = drawn(net), 2 * net.receptive_field
    middle = net.receptive_field

    def seen(k):
        def feature(image):
            maps = net.apply(variables, image[None, ..., None], train=False).features[k]
            at = middle - net.receptive_field // 2
            return maps[0, at, at].sum()

        return jax.jit(jax.grad(feature), compiler_options=CHEAP)(jnp.ones((size, size)))

    for k in range(net.depth):
        touched = np.argwhere(np.asarray(seen(k)))
        first, last = touched.min(0), touched.max(0)
        # A field of an even side, here the whole network's as well, has no pixel in its middle.
        assert np.all(np.abs((first + last) / 2 - middle) <= 1)
        assert np.all(last - first < net.field_of(k + 1))


def test_nothing_deeper_than_what_is_asked_for_is_computed():
    net = FeatureNet(FEATURE_NET_31)
    variables = shapes(net, 31)

    four = jax.jit(lambda v, x: net.apply(v, x, train=False, layers=4).features)
    text = four.lower(variables, jax.ShapeDtypeStruct((1, 48, 48, 1), jnp.float32)).as_text()
    assert text.count("stablehlo.convolution") == 4
    assert "dot_general" not in text


def test_an_ensemble_is_the_mean_of_the_probabilities_of_its_members():
    net = FeatureNet(TINY, dense_width=6)
    members = [drawn(net, seed) for seed in range(3)]
    images = jax.random.normal(KEY, (1, 20, 21, 1))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    together = jax.jit(ensemble_probabilities, static_argnums=0, compiler_options=CHEAP)(net, stacked, images)
    alone = [jax.nn.softmax(applied(net)(member, images).logits) for member in members]
    np.testing.assert_allclose(together, np.mean(alone, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(together.sum(-1), 1, rtol=1e-5)


def test_training_moves_the_statistics_and_every_parameter_has_a_gradient():
    net = FeatureNet(TINY, dense_width=6)
    variables = drawn(net)
    patches = jax.random.normal(KEY, (8, net.receptive_field, net.receptive_field, 1))

    def loss(params):
        logits, moved = net.apply(
            {**variables, "params": params},
            patches,
            train=True,
            method=FeatureNet.patches,
            mutable=["batch_stats"],
        )
        return jnp.sum(jnp.square(logits - 1)), moved

    gradient, moved = jax.jit(jax.grad(loss, has_aux=True), compiler_options=CHEAP)(variables["params"])
    kernels = [layer["kernel"] for layer in gradient.values() if "kernel" in layer]
    assert all(np.any(np.asarray(kernel)) for kernel in kernels)
    before, after = variables["batch_stats"]["norm1"]["mean"], moved["batch_stats"]["norm1"]["mean"]
    assert not np.allclose(before, after)


def test_what_cannot_be_seen_or_asked_is_refused():
    net = FeatureNet(FEATURE_NET_31)
    variables = shapes(net, 31)

    def call(shape, **options):
        return jax.eval_shape(lambda v: net.apply(v, jnp.zeros(shape), train=False, **options), variables)

    with pytest.raises(ValueError, match=r"\(1, 30, 40, 1\).*at least 31 pixels"):
        call((1, 30, 40, 1))
    with pytest.raises(ValueError, match="layers must be between 1 and 5, got 6"):
        call((1, 31, 31, 1), layers=6)
    with pytest.raises(ValueError, match="stride must be a power of two up to 4, got 3"):
        call((1, 31, 31, 1), stride=3)
    with pytest.raises(ValueError, match=r"must be \[patch, 31, 31, channel\]"):
        call((1, 32, 31, 1), method=FeatureNet.patches)
