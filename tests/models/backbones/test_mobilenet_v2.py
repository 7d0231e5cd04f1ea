"""MobileNetV2 equals Keras, and refuses unsupported inputs."""

import functools

import chex
import jax
import jax.numpy as jnp
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
ODD = (75, 97)


@functools.cache
def original(size=(64, 64)):
    """The same weights at every size."""
    return keras_originals.build(MODEL, size)


@pytest.fixture(scope="module")
def variables():
    return imported(MODEL, functools.partial(keras_originals.save, original(), MODEL))


@pytest.fixture(scope="module")
def features(variables):
    """Of random images of 64 x 64."""
    return infer(MobileNetV2(), variables, random_images((64, 64)))


def test_every_stage_equals_keras(features):
    expected, _ = keras_originals.run(original(), random_images((64, 64)), training=False)
    errors = relative_errors(features, expected)
    assert max(errors.values()) < 1e-4, errors


def test_every_stage_equals_keras_with_odd_sides(variables):
    images = random_images(ODD)
    expected, _ = keras_originals.run(original(ODD), images, training=False)
    errors = relative_errors(infer(MobileNetV2(), variables, images), expected)
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.real_data
def test_every_stage_with_the_real_weights_equals_keras_on_photographs(real_weights):
    source = real_weights / "mobilenet_v2_0.35_224_no_top.npz"
    images = CATALOGUE[MODEL].scaling.of_colours(photographs(ODD)[:2])
    with keras_originals.assigned(original(ODD), source):
        expected, _ = keras_originals.run(original(ODD), images, training=False)
    features = infer(MobileNetV2(), imported(MODEL, lambda folder: source), images)
    errors = relative_errors(features, expected)
    assert max(errors.values()) < 1e-4, errors


def test_batch_statistics_move_as_in_keras(variables):
    images = random_images((64, 64), batch=4)
    expected, moved = keras_originals.run(original(), images, training=True)
    ours, statistics = train(MobileNetV2(), variables, images)
    errors = relative_errors(ours, expected)
    # The deepest statistics are over 16 pixels, and small variances magnify what rounding leaves.
    assert max(errors.values()) < 1e-2, errors
    assert max(errors[name] for name in list(ours)[:4]) < 1e-4, errors
    assert_moved_alike(variables["batch_stats"], statistics, moved)


def test_fewer_levels_are_the_first_levels_with_fewer_parameters(variables, features):
    cut = MobileNetV2(levels=3)
    _, needed = shapes_of(cut)
    assert set(needed["params"]) < set(variables["params"])
    used = {kind: {name: variables[kind][name] for name in needed[kind]} for kind in variables}
    expected = dict(list(features.items())[:3])
    chex.assert_trees_all_close(infer(cut, used, random_images((64, 64))), expected, rtol=1e-5, atol=1e-6)


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
    with pytest.raises(ValueError, match="levels is 7; it must be a whole number from 1 to 6"):
        shapes_of(MobileNetV2(levels=7))


def test_bfloat16_is_close(variables, features):
    exact, half = features["block_6_expand"], MobileNetV2(dtype=jnp.bfloat16)
    rough = infer(half, variables, random_images((64, 64)), levels=3)["block_6_expand"]
    assert rough.dtype == jnp.bfloat16
    assert float(jnp.mean(jnp.abs(rough - exact)) / jnp.mean(exact)) < 0.05
