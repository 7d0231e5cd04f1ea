"""MobileNetV2 computes what Keras computes, and says what it cannot take."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.weights.catalogue import CATALOGUE
from tests.models.backbones import keras_originals
from tests.models.backbones.parity import (
    assert_moved_alike,
    imported,
    infer,
    photographs,
    random_images,
    relative_errors,
    shapes_of,
    train,
)

MODEL = "mobilenet-v2-0.35"


@functools.cache
def original(size):
    return keras_originals.build(MODEL, size)


@functools.cache
def variables_of_original(size):
    return imported(MODEL, functools.partial(keras_originals.save, original(size), MODEL))


def run_original(network, images, *, training):
    return keras_originals.run(keras_originals.with_stages(network, MODEL), images, training=training)


@pytest.mark.parametrize("size", [(64, 64), (75, 97)])
def test_every_stage_equals_keras(size):
    images = random_images(size)
    expected, _ = run_original(original(size), images, training=False)
    errors = relative_errors(infer(MobileNetV2(), variables_of_original(size), images), expected)
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.real_data
def test_every_stage_with_the_real_weights_equals_keras_on_a_photograph(real_weights):
    source = real_weights / "mobilenet_v2_0.35_224_no_top.npz"
    images = CATALOGUE[MODEL].scaling.of_colours(photographs((96, 131))[:1])
    network = keras_originals.build(MODEL, (96, 131))
    with np.load(source, allow_pickle=False) as tensors:
        keras_originals.assign(network, tensors)
    expected, _ = run_original(network, images, training=False)
    variables = imported(MODEL, lambda folder: source)
    errors = relative_errors(infer(MobileNetV2(), variables, images), expected)
    assert max(errors.values()) < 1e-4, errors


def test_batch_statistics_move_as_in_keras():
    images, variables = random_images((64, 64), batch=4), variables_of_original((64, 64))
    expected, moved = run_original(original((64, 64)), images, training=True)
    features, statistics = train(MobileNetV2(), variables, images)
    errors = relative_errors(features, expected)
    # The deepest statistics are over 16 pixels, and small variances magnify what rounding leaves.
    assert max(errors.values()) < 1e-2, errors
    assert max(list(errors.values())[:4]) < 1e-4, errors
    assert_moved_alike(variables["batch_stats"], statistics, moved)


def test_fewer_levels_are_the_first_levels_with_fewer_parameters():
    images, cut = random_images((64, 64), batch=1), MobileNetV2(levels=3)
    variables = variables_of_original((64, 64))
    _, needed = shapes_of(cut)
    assert set(needed["params"]) < set(variables["params"])
    used = {kind: {name: variables[kind][name] for name in needed[kind]} for kind in variables}
    features = infer(cut, used, images)
    assert list(features.values())[3:] == [None] * 3
    expected = infer(MobileNetV2(), variables, images, levels=3)
    chex.assert_trees_all_close(infer(cut, used, images, levels=3), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("alpha", "count"), [(0.35, 410_208), (1.0, 2_257_984), (1.4, 4_363_712)])
def test_parameter_counts_without_the_classifier_are_those_of_keras(alpha, count):
    _, shapes = shapes_of(MobileNetV2(alpha=alpha))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 64, 64, 1), "3 channels"), ((1, 64, 31, 3), "sides below 32")]
)
def test_images_it_cannot_take_are_refused_by_shape(shape, message):
    with pytest.raises(ValueError, match=rf"\(1, 64, .*{message}"):
        shapes_of(MobileNetV2(), shape)


def test_a_number_of_levels_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="levels is 7, but MobileNetV2 has 1 to 6"):
        shapes_of(MobileNetV2(levels=7))


def test_bfloat16_is_close():
    images, variables = random_images((64, 64)), variables_of_original((64, 64))
    exact, rough = (
        infer(MobileNetV2(dtype=dtype), variables, images, levels=3)["block_6_expand"]
        for dtype in (None, jnp.bfloat16)
    )
    assert rough.dtype == jnp.bfloat16
    assert float(jnp.mean(jnp.abs(rough - exact)) / jnp.mean(exact)) < 0.05
