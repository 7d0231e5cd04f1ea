"""ResNet-50 equals Keras and torchvision, and refuses unsupported inputs."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.resnet import ResNet50, ResNetVariant
from tests.models.backbones import keras_originals
from tests.models.backbones.parity import (
    assert_moved_alike,
    imported,
    infer,
    jit,
    random_images,
    random_variables,
    relative_errors,
    shapes_of,
    train,
)

KERAS, TORCHVISION = ResNet50(ResNetVariant.KERAS), ResNet50(ResNetVariant.TORCHVISION)
SIZES = [(64, 64), (75, 97)]
CHANNELS = {"conv1": 64, "conv2": 256, "conv3": 512, "conv4": 1024, "conv5": 2048}


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def of_keras():
    """The original and its weights in ours."""
    model = "resnet50-keras"
    network = keras_originals.build(model)
    variables = imported(model, functools.partial(keras_originals.save, network, model))
    return network, variables


@pytest.mark.parametrize("size", SIZES)
def test_every_stage_equals_keras(of_keras, size):
    (network, variables), images = of_keras, random_images(size)
    expected, _ = keras_originals.run(network, images, training=False)
    errors = relative_errors(infer(KERAS, variables, images), expected)
    assert max(errors.values()) < 1e-4, errors


def test_features_and_statistics_of_a_training_step_equal_keras(of_keras):
    (network, variables), images = of_keras, random_images((64, 64), batch=4)
    expected, moved = keras_originals.run(network, images, training=True)
    features, statistics = train(KERAS, variables, images)
    errors = relative_errors(features, expected)
    assert max(errors[name] for name in ("conv1", "conv2", "conv3", "conv4")) < 1e-4, errors
    # Both are this far from what float64 gives: 53 normalisations in a row magnify what rounding leaves.
    assert errors["conv5"] < 1e-3, errors
    assert_moved_alike(variables["batch_stats"], statistics, moved)


@pytest.fixture(scope="module")
def of_torchvision(torch_originals):
    """The original and its weights in ours."""
    network = torch_originals.resnet50()
    return network, imported("resnet50-torchvision", functools.partial(torch_originals.save, network))


@pytest.mark.parametrize("size", SIZES)
def test_every_stage_equals_torchvision(torch_originals, of_torchvision, size):
    (network, variables), images = of_torchvision, random_images(size)
    expected = torch_originals.resnet_stages(network, images)
    errors = relative_errors(infer(TORCHVISION, variables, images), expected)
    assert max(errors.values()) < 1e-4, errors


@pytest.fixture(scope="module")
def variables():
    return random_variables(TORCHVISION)


def outputs_of(layers, model, variables, images):
    """Outputs of some layers; the compiler leaves out what they do not need."""

    def run(variables, images):
        _, state = model.apply(variables, images, train=False, capture_intermediates=True)
        return [state["intermediates"][layer]["__call__"][0] for layer in layers]

    return jit(run)(variables, images)


@pytest.mark.parametrize("size", [(64, 64), (42, 50)])  # The sides that are halved are even, and odd.
def test_torchvision_halves_in_the_3x3_around_every_second_pixel(variables, size):
    layers = ["conv2_block3_3_bn", "conv3_block1_1_conv", "conv3_block1_1_bn", "conv3_block1_2_conv"]
    stage2, narrow, normalised, halved = outputs_of(layers, TORCHVISION, variables, random_images(size))
    assert narrow.shape[1:3] == stage2.shape[1:3]
    everywhere = jax.lax.conv_general_dilated(
        jax.nn.relu(normalised),
        variables["params"]["conv3_block1_2_conv"]["kernel"],
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    chex.assert_trees_all_close(halved, everywhere[:, ::2, ::2], rtol=1e-4, atol=1e-4)


def test_the_variants_agree_until_the_first_block_that_halves(variables):
    params = {
        layer: {"bias": jnp.zeros(leaves["kernel"].shape[-1]), **leaves} if "kernel" in leaves else leaves
        for layer, leaves in variables["params"].items()
    }
    images, keras_like = random_images((64, 64)), ResNet50(ResNetVariant.KERAS, epsilon=1e-5)
    ours = infer(TORCHVISION, variables, images, levels=3)
    others = infer(keras_like, {**variables, "params": params}, images, levels=3)
    errors = relative_errors(ours, others)
    assert max(errors["conv1"], errors["conv2"]) < 1e-5, errors
    assert errors["conv3"] > 0.1, errors


def test_statistics_of_torchvision_move_by_a_tenth_of_those_of_the_batch(variables):
    images = random_images((64, 64))
    (stem,) = outputs_of(["conv1_conv"], TORCHVISION, variables, images)
    old = variables["batch_stats"]["conv1_bn"]
    expected = {
        "mean": 0.9 * old["mean"] + 0.1 * jnp.mean(stem, axis=(0, 1, 2)),
        "var": 0.9 * old["var"] + 0.1 * jnp.var(stem, axis=(0, 1, 2)),
    }

    def moved(variables, images):
        _, updates = TORCHVISION.apply(variables, images, train=True, mutable=["batch_stats"])
        return updates["batch_stats"]["conv1_bn"]

    chex.assert_trees_all_close(jit(moved)(variables, images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("epsilon", "variance"), [(None, 4e-5), (0.0, 3e-5), (1e-3, 103e-5)])
def test_epsilon_is_what_is_added_to_the_variance(variables, epsilon, variance):
    normal = {"scale": jnp.ones(64), "bias": jnp.zeros(64)}
    statistics = {"mean": jnp.zeros(64), "var": jnp.full(64, 3e-5)}
    changed = {
        "params": {**variables["params"], "conv1_bn": normal},
        "batch_stats": {**variables["batch_stats"], "conv1_bn": statistics},
    }
    model = ResNet50(ResNetVariant.TORCHVISION, epsilon=epsilon)
    stem, normalised = outputs_of(["conv1_conv", "conv1_bn"], model, changed, random_images((32, 32)))
    np.testing.assert_allclose(normalised, stem / variance**0.5, rtol=1e-4)


@pytest.mark.parametrize(
    ("model", "parameters"), [(KERAS, 23_587_712 - 53_120), (TORCHVISION, 25_557_032 - 2_049_000)]
)
def test_parameter_counts_without_the_classifier_are_those_published(model, parameters):
    _, structure = shapes_of(model)
    assert (count(structure["params"]), count(structure["batch_stats"])) == (parameters, 53_120)


@pytest.mark.parametrize("model", [KERAS, TORCHVISION], ids=["keras", "torchvision"])
@pytest.mark.parametrize("size", [*SIZES, (32, 33)])
def test_every_level_is_half_of_the_one_before_rounded_upwards(model, size):
    features, _ = shapes_of(model, (1, *size, 3))
    for name, channels in CHANNELS.items():
        size = tuple((side + 1) // 2 for side in size)
        assert getattr(features, name).shape == (1, *size, channels)


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 64, 64, 1), "3 channels"), ((1, 64, 31, 3), "sides below 32")]
)
def test_images_it_cannot_take_are_refused_by_shape(shape, message):
    with pytest.raises(ValueError, match=rf"\(1, 64, .*{message}"):
        shapes_of(KERAS, shape)


def test_bfloat16_is_close_and_leaves_the_parameters_alone(variables):
    images, half = random_images((64, 64)), ResNet50(ResNetVariant.TORCHVISION, dtype=jnp.bfloat16)
    exact, rough = (infer(model, variables, images, levels=2)["conv2"] for model in (TORCHVISION, half))
    assert rough.dtype == jnp.bfloat16
    assert float(jnp.mean(jnp.abs(rough - exact)) / jnp.mean(exact)) < 0.05
    chex.assert_trees_all_equal_dtypes(shapes_of(half)[1], shapes_of(TORCHVISION)[1])
