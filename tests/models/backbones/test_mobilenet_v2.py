"""MobileNetV2 computes what Keras computes, and says what it cannot take."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from tests.models.backbones.parity import keras, randomise, relative_errors, variables_of

STAGES = {
    "block_1_expand": "block_1_expand_relu",
    "block_3_expand": "block_3_expand_relu",
    "block_6_expand": "block_6_expand_relu",
    "block_13_expand": "block_13_expand_relu",
    "block_16_project": "block_16_project_BN",
    "out_relu": "out_relu",
}


def keras_model(size):
    inputs = keras.Input((*size, 3))
    model = keras.applications.MobileNetV2(alpha=0.35, weights=None, include_top=False, input_tensor=inputs)
    randomise(model)
    return keras.Model(model.inputs[0], [model.get_layer(name).output for name in STAGES.values()])


@pytest.mark.parametrize("size", [(64, 64), (75, 97)])
def test_every_stage_equals_keras(size):
    model = keras_model(size)
    images = np.random.default_rng(1).uniform(-1, 1, (2, *size, 3)).astype(np.float32)
    ours = jax.jit(lambda v, x: MobileNetV2().apply(v, x, train=False))(variables_of(model), images)
    errors = relative_errors(ours._asdict(), dict(zip(STAGES, model(images))))
    assert max(errors.values()) < 1e-4, errors


def test_batch_statistics_move_as_in_keras():
    model = keras_model((64, 64))
    images = np.random.default_rng(1).uniform(-1, 1, (4, 64, 64, 3)).astype(np.float32)
    variables = variables_of(model)
    ours, updates = jax.jit(lambda v, x: MobileNetV2().apply(v, x, train=True, mutable=["batch_stats"]))(
        variables, images
    )
    errors = relative_errors(ours._asdict(), dict(zip(STAGES, model(images, training=True))))
    # The deepest statistics are over 16 pixels, and small variances magnify what rounding leaves.
    assert max(errors.values()) < 1e-2, errors
    assert max(list(errors.values())[:4]) < 1e-4, errors
    theirs = variables_of(model)["batch_stats"]
    assert not np.allclose(
        variables["batch_stats"]["bn_Conv1"]["mean"], theirs["bn_Conv1"]["mean"], rtol=1e-4
    )
    chex.assert_trees_all_close(updates["batch_stats"], theirs, rtol=1e-4, atol=1e-5)


def test_fewer_levels_are_the_first_levels_with_fewer_parameters():
    images = jax.random.uniform(jax.random.key(0), (1, 64, 64, 3), minval=-1.0)
    full, cut = MobileNetV2(), MobileNetV2(levels=3)
    variables = variables_of(keras_model((64, 64)))
    needed = jax.eval_shape(lambda: cut.init(jax.random.key(0), images, train=False))
    assert set(needed["params"]) < set(variables["params"])
    used = {kind: {name: variables[kind][name] for name in needed[kind]} for kind in variables}
    features = jax.jit(lambda v: cut.apply(v, images, train=False))(used)
    expected = jax.jit(lambda v: full.apply(v, images, train=False))(variables)
    chex.assert_trees_all_close(features[:3], expected[:3], rtol=1e-5, atol=1e-6)
    assert features[3:] == (None,) * 3


@pytest.mark.parametrize(("alpha", "count"), [(0.35, 410_208), (1.0, 2_257_984), (1.4, 4_363_712)])
def test_parameter_counts_without_the_classifier_are_those_of_keras(alpha, count):
    shapes = jax.eval_shape(
        lambda: MobileNetV2(alpha=alpha).init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 64, 64, 1), "3 channels"), ((1, 64, 31, 3), "sides below 32")]
)
def test_images_it_cannot_take_are_refused_by_shape(shape, message):
    with pytest.raises(ValueError, match=rf"\(1, 64, .*{message}"):
        jax.eval_shape(lambda: MobileNetV2().init(jax.random.key(0), jnp.zeros(shape), train=False))


def test_a_number_of_levels_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="levels is 7, but MobileNetV2 has 1 to 6"):
        MobileNetV2(levels=7).init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)


def test_bfloat16_is_close():
    images = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3), minval=-1.0)
    variables = variables_of(keras_model((64, 64)))
    exact, rough = (
        jax.jit(lambda v, net=net: net.apply(v, images, train=False))(variables).block_6_expand
        for net in (MobileNetV2(levels=3), MobileNetV2(levels=3, dtype=jnp.bfloat16))
    )
    assert rough.dtype == jnp.bfloat16
    assert float(jnp.mean(jnp.abs(rough - exact)) / jnp.mean(exact)) < 0.05
