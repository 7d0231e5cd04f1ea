"""EfficientNetV2 computes what Keras computes, layer by layer, and leaves out whole samples in training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.efficientnet_v2 import EfficientNetV2, EfficientNetV2Variant
from tests.models.backbones import keras_originals
from tests.models.backbones.keras_originals import keras
from tests.models.backbones.parity import (
    assert_moved_alike,
    imported,
    jit,
    random_images,
    relative_errors,
    shapes_of,
)

B0, S = EfficientNetV2Variant.B0, EfficientNetV2Variant.S
NAMES = {B0: "efficientnet-v2-b0", S: "efficientnet-v2-s"}
ODD = (75, 97)
KERAS_LEAVES = {
    "kernel": "kernel",
    "bias": "bias",
    "gamma": "scale",
    "beta": "bias",
    "moving_mean": "mean",
    "moving_variance": "var",
}


@functools.cache
def original(variant):
    return keras_originals.build(NAMES[variant])


@functools.cache
def variables_of_original(variant):
    model = NAMES[variant]
    return imported(model, functools.partial(keras_originals.save, original(variant), model))


@functools.cache
def original_layers(variant):
    """Outputs by name: features, and layers with weights unless Keras activates them."""
    network = original(variant)
    names = {layer.name: layer.name for layer in network.layers if layer.weights and "_se_" not in layer.name}
    return keras_originals.with_outputs(network, names | keras_originals.PUBLISHED[NAMES[variant]].stages)


def run_ours(model, variables, images, *, train):
    """Features and outputs of all layers by name, and the batch statistics after the call."""

    def apply(variables, images):
        return model.apply(
            variables,
            images,
            train=train,
            rngs={"dropout": jax.random.key(3)},
            capture_intermediates=True,
            mutable=["intermediates", "batch_stats"],
        )

    features, state = jax.device_get(jit(apply)(variables, images))
    calls = state["intermediates"]
    layers = {name: calls[name]["__call__"][0] for name in calls if isinstance(calls[name], dict)}
    return features._asdict() | layers, state["batch_stats"]


@pytest.mark.parametrize(("variant", "count"), [(B0, 5_919_312), (S, 20_331_360)])
def test_names_and_shapes_are_those_of_keras(variant, count):
    expected = {}
    for weight in original(variant).weights:
        layer, leaf = weight.path.split("/")
        shape = tuple(weight.shape)
        swapped = (*shape[:2], shape[3], shape[2]) if "_dwconv2" in layer else shape
        expected[layer, KERAS_LEAVES[leaf]] = swapped
    features, variables = shapes_of(EfficientNetV2(variant), (1, *ODD, 3))
    paths = jax.tree_util.tree_leaves_with_path(variables)
    assert {(layer.key, leaf.key): value.shape for (_, layer, leaf), value in paths} == expected
    assert sum(value.size for _, value in paths) == count
    assert [maps.shape[1:3] for maps in features] == [(38, 49), (19, 25), (10, 13), (5, 7), (3, 4), (3, 4)]


@pytest.mark.parametrize(
    ("variant", "size"), [(B0, (64, 64)), pytest.param(S, (33, 50), marks=pytest.mark.slow)]
)
def test_every_layer_equals_keras(variant, size):
    images, variables = random_images(size), variables_of_original(variant)
    expected, _ = keras_originals.run(original_layers(variant), images, training=False)
    ours, _ = run_ours(EfficientNetV2(variant), variables, images, train=False)
    errors = relative_errors(ours, expected)
    assert max(errors.values()) < 1e-4, errors


def test_every_layer_and_batch_statistic_in_training_equal_keras_with_odd_sides(monkeypatch):
    images, variables = random_images(ODD), variables_of_original(B0)
    for layer in original(B0).layers:
        if isinstance(layer, keras.layers.Dropout):
            monkeypatch.setattr(layer, "rate", 0.0)
    expected, moved = keras_originals.run(original_layers(B0), images, training=True)
    ours, statistics = run_ours(EfficientNetV2(drop_connect_rate=0.0), variables, images, train=True)
    errors = relative_errors(ours, expected)
    assert max(errors.values()) < 1e-4, errors
    assert_moved_alike(variables["batch_stats"], statistics, moved)


def test_blocks_are_left_out_for_whole_samples_as_often_as_in_keras():
    """What is kept is scaled up, so that the expectation stays."""
    batch, times = 16, 3
    rates = {
        layer.name: times * layer.rate
        for layer in original(B0).layers
        if isinstance(layer, keras.layers.Dropout)
    }
    assert len(rates) == 15
    images, variables = random_images((32, 32), batch), variables_of_original(B0)
    layers, _ = run_ours(EfficientNetV2(drop_connect_rate=times * 0.2), variables, images, train=True)
    kept_samples = 0
    for name, rate in rates.items():
        before, after = layers[name.replace("drop", "project_bn")], layers[name]
        kept = np.any(after != 0, axis=(1, 2, 3), keepdims=True)
        np.testing.assert_allclose(after, np.where(kept, before / (1 - rate), 0), rtol=1e-5)
        kept_samples += np.sum(kept)
    mean = batch * sum(1 - rate for rate in rates.values())
    variance = batch * sum(rate * (1 - rate) for rate in rates.values())
    assert abs(kept_samples - mean) < 3 * variance**0.5


def test_in_bfloat16_features_are_that_and_parameters_float32():
    features, variables = shapes_of(EfficientNetV2(dtype=jnp.bfloat16), (1, 32, 32, 3))
    assert all(maps.dtype == jnp.bfloat16 for maps in features)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 64, 64, 1), "3 channels"), ((1, 64, 31, 3), "sides below 32")]
)
def test_images_it_cannot_take_are_refused_by_shape(shape, message):
    with pytest.raises(ValueError, match=rf"\(1, 64, .*{message}"):
        shapes_of(EfficientNetV2(), shape)
