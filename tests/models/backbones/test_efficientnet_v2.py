"""EfficientNetV2 computes what Keras computes, layer by layer, and leaves out whole samples in training."""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.efficientnet_v2 import EfficientNetV2, EfficientNetV2Variant
from tests.models.backbones.parity import LEAVES, keras, randomise, relative_errors, variables_of

B0, S = EfficientNetV2Variant.B0, EfficientNetV2Variant.S
ORIGINALS = {B0: keras.applications.EfficientNetV2B0, S: keras.applications.EfficientNetV2S}
STAGES = {
    B0: {
        "stage1": "block1a_project_activation",
        "stage2": "block2b_add",
        "stage3": "block3b_add",
        "stage5": "block5e_add",
        "stage6": "block6h_add",
        "top_activation": "top_activation",
    },
    S: {
        "stage1": "block1b_add",
        "stage2": "block2d_add",
        "stage3": "block3d_add",
        "stage5": "block5i_add",
        "stage6": "block6o_add",
        "top_activation": "top_activation",
    },
}
ODD = (75, 97)
# Compiled in a third of the time.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@functools.cache
def keras_network(variant):
    """The original with weights of zero; drawing others would take Keras half a minute."""
    with mock.patch.object(
        keras.initializers.VarianceScaling, "__call__", lambda self, shape, dtype: np.zeros(shape, dtype)
    ):
        return ORIGINALS[variant](
            weights=None, include_top=False, include_preprocessing=False, input_shape=(None, None, 3)
        )


@functools.cache
def keras_layers(variant):
    """With random weights; outputs by name: features, and layers with weights unless Keras activates them."""
    network = keras_network(variant)
    randomise(network)
    for weight in network.weights:
        if weight.path.endswith("kernel"):
            # Shortcuts add up; smaller kernels keep the sums in range.
            weight.assign(0.7 * np.asarray(weight.value))
    names = {layer.name: layer.name for layer in network.layers if layer.weights and "_se_" not in layer.name}
    outputs = {ours: network.get_layer(theirs).output for ours, theirs in (STAGES[variant] | names).items()}
    return keras.Model(network.inputs[0], outputs)


def run_keras(model, images, *, training):
    """Outputs, and the moving averages after the call by path."""
    weights = [[w.value for w in ws] for ws in (model.trainable_variables, model.non_trainable_variables)]
    outputs, moved = jit(lambda w, x: model.stateless_call(*w, x, training=training))(weights, images)
    return outputs, {weight.path: value for weight, value in zip(model.non_trainable_variables, moved)}


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


def random_images(size, batch=2):
    return np.random.default_rng(1).normal(0, 1, (batch, *size, 3)).astype(np.float32)


def shapes_of(model, image_shape):
    return jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), jnp.zeros(image_shape), train=False)
    )


@pytest.mark.parametrize(("variant", "count"), [(B0, 5_919_312), (S, 20_331_360)])
def test_names_and_shapes_are_those_of_keras(variant, count):
    expected = {}
    for weight in keras_network(variant).weights:
        layer, leaf = weight.path.split("/")
        shape = tuple(weight.shape)
        swapped = (*shape[:2], shape[3], shape[2]) if "_dwconv2" in layer else shape
        expected[layer, LEAVES[leaf]] = swapped
    features, variables = shapes_of(EfficientNetV2(variant), (1, *ODD, 3))
    paths = jax.tree_util.tree_leaves_with_path(variables)
    assert {(layer.key, leaf.key): value.shape for (_, layer, leaf), value in paths} == expected
    assert sum(value.size for _, value in paths) == count
    assert [maps.shape[1:3] for maps in features] == [(38, 49), (19, 25), (10, 13), (5, 7), (3, 4), (3, 4)]


@pytest.mark.parametrize(
    ("variant", "size"), [(B0, (64, 64)), pytest.param(S, (33, 50), marks=pytest.mark.slow)]
)
def test_every_layer_equals_keras(variant, size):
    images, original = random_images(size), keras_layers(variant)
    expected, _ = run_keras(original, images, training=False)
    ours, _ = run_ours(EfficientNetV2(variant), variables_of(original), images, train=False)
    errors = relative_errors(ours, expected)
    assert max(errors.values()) < 1e-4, errors


def test_every_layer_and_batch_statistic_in_training_equal_keras_with_odd_sides(monkeypatch):
    images, original = random_images(ODD), keras_layers(B0)
    for layer in original.layers:
        if isinstance(layer, keras.layers.Dropout):
            monkeypatch.setattr(layer, "rate", 0.0)
    expected, moved = run_keras(original, images, training=True)
    variables = variables_of(original)
    ours, statistics = run_ours(EfficientNetV2(drop_connect_rate=0.0), variables, images, train=True)
    errors = relative_errors(ours, expected)
    assert max(errors.values()) < 1e-4, errors
    for layer, values in statistics.items():
        for ours, theirs in (("mean", "moving_mean"), ("var", "moving_variance")):
            np.testing.assert_allclose(values[ours], moved[f"{layer}/{theirs}"], rtol=1e-4, atol=1e-5)
            before = variables["batch_stats"][layer][ours]
            assert not np.allclose(values[ours], before, rtol=1e-4, atol=1e-5)


def test_blocks_are_left_out_for_whole_samples_as_often_as_in_keras():
    """What is kept is scaled up, so that the expectation stays."""
    batch, times = 16, 3
    rates = {
        layer.name: times * layer.rate
        for layer in keras_network(B0).layers
        if isinstance(layer, keras.layers.Dropout)
    }
    assert len(rates) == 15
    images, variables = random_images((32, 32), batch), variables_of(keras_layers(B0))
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
