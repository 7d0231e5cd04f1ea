"""ResNet-50 computes what Keras and torchvision compute, and says what it cannot take."""

from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.resnet import ResNet50, ResNetFeatures, ResNetVariant
from tests.models.backbones import torch_parity
from tests.models.backbones.parity import keras, randomise, relative_errors, variables_of

KERAS, TORCHVISION = ResNet50(ResNetVariant.KERAS), ResNet50(ResNetVariant.TORCHVISION)
SIZES = [(64, 64), (75, 97)]
CHANNELS = {"conv1": 64, "conv2": 256, "conv3": 512, "conv4": 1024, "conv5": 2048}


def random_images(size, batch=2):
    return np.random.default_rng(1).uniform(-1, 1, (batch, *size, 3)).astype(np.float32)


def infer(model, variables, images, levels=5):
    """The finest levels; the compiler leaves out what only the others need."""
    return jax.jit(lambda v, x: model.apply(v, x, train=False)[:levels])(variables, images)


def train(model, variables, images):
    return jax.jit(lambda v, x: model.apply(v, x, train=True, mutable=["batch_stats"]))(variables, images)


def shapes_of(model, image_shape=(1, 64, 64, 3)):
    return jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), jnp.zeros(image_shape), train=False)
    )


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def keras_resnet():
    inputs, initialiser = keras.Input((None, None, 3)), keras.initializers.GlorotUniform
    # Drawing what is overwritten at once would take Keras ten seconds.
    with mock.patch.object(initialiser, "__call__", lambda self, shape, dtype: np.zeros(shape, dtype)):
        model = keras.applications.ResNet50(weights=None, include_top=False, input_tensor=inputs)
    randomise(model)
    last = ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"]
    return keras.Model(model.inputs[0], [model.get_layer(name).output for name in last])


def run_keras(model, images, *, training):
    """Features, and values of the moving averages, in one compiled program."""
    weights = [[w.value for w in ws] for ws in (model.trainable_variables, model.non_trainable_variables)]
    features, moved = jax.jit(lambda w, x: model.stateless_call(*w, x, training=training))(weights, images)
    return dict(zip(ResNetFeatures._fields, features)), moved


@pytest.mark.parametrize("size", SIZES)
def test_every_stage_equals_keras(keras_resnet, size):
    images = random_images(size)
    expected, _ = run_keras(keras_resnet, images, training=False)
    features = infer(KERAS, variables_of(keras_resnet), images)
    errors = relative_errors(dict(zip(ResNetFeatures._fields, features)), expected)
    assert max(errors.values()) < 1e-4, errors


def test_features_and_statistics_of_a_training_step_equal_keras(keras_resnet):
    images, variables = random_images((64, 64), batch=4), variables_of(keras_resnet)
    expected, moved = run_keras(keras_resnet, images, training=True)
    features, updates = train(KERAS, variables, images)
    errors = relative_errors(features._asdict(), expected)
    assert max(errors[name] for name in ("conv1", "conv2", "conv3", "conv4")) < 1e-4, errors
    # Both are this far from what float64 gives: 53 normalisations in a row magnify what rounding leaves.
    assert errors["conv5"] < 1e-3, errors
    for weight, value in zip(keras_resnet.non_trainable_variables, moved):
        layer, leaf = weight.path.split("/")[-2:]
        ours = updates["batch_stats"][layer]["mean" if leaf == "moving_mean" else "var"]
        np.testing.assert_allclose(ours, value, rtol=1e-4, atol=1e-5)
        assert not np.allclose(weight.value, value, rtol=1e-4, atol=1e-5), weight.path


@pytest.fixture(scope="module")
def torch_resnet():
    model = torch_parity.import_torchvision().models.resnet50(weights=None).eval()
    torch_parity.randomise(model)
    return model


def torch_stages(model, images):
    stages = [model.relu(model.bn1(model.conv1(torch_parity.channels_first(images))))]
    stages.append(model.layer1(model.maxpool(stages[0])))
    for layer in (model.layer2, model.layer3, model.layer4):
        stages.append(layer(stages[-1]))
    return dict(zip(ResNetFeatures._fields, map(torch_parity.channels_last, stages)))


@pytest.mark.parametrize("size", SIZES)
def test_every_stage_equals_torchvision(torch_resnet, size):
    images = random_images(size)
    features = infer(TORCHVISION, torch_parity.variables_of(torch_resnet), images)
    errors = relative_errors(dict(zip(ResNetFeatures._fields, features)), torch_stages(torch_resnet, images))
    assert max(errors.values()) < 1e-4, errors


def random_variables(model):
    """Values as after training, drawn without compiling the initialisation."""
    rng = np.random.default_rng(0)

    def random(path, leaf):
        if path[-1].key == "kernel":
            return rng.normal(0, (2 / np.prod(leaf.shape[:3])) ** 0.5, leaf.shape)
        spread = rng.uniform(-0.3, 0.3, leaf.shape)
        return 1 + spread if path[-1].key in ("scale", "var") else spread

    _, structure = shapes_of(model)
    return jax.tree_util.tree_map_with_path(lambda *leaf: jnp.asarray(random(*leaf), jnp.float32), structure)


@pytest.fixture(scope="module")
def variables():
    return random_variables(TORCHVISION)


def outputs_of(layers, model, variables, images):
    """Outputs of some layers; the compiler leaves out what they do not need."""

    def run(variables, images):
        _, state = model.apply(variables, images, train=False, capture_intermediates=True)
        return [state["intermediates"][layer]["__call__"][0] for layer in layers]

    return jax.jit(run)(variables, images)


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
    chex.assert_trees_all_close(ours[:2], others[:2], rtol=1e-5, atol=1e-5)
    assert float(jnp.max(jnp.abs(ours[2] - others[2]))) > 0.1 * float(jnp.max(others[2]))


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

    chex.assert_trees_all_close(jax.jit(moved)(variables, images), expected, rtol=1e-4, atol=1e-5)


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
    exact, rough = (infer(model, variables, images, levels=2)[1] for model in (TORCHVISION, half))
    assert rough.dtype == jnp.bfloat16
    assert float(jnp.mean(jnp.abs(rough - exact)) / jnp.mean(exact)) < 0.05
    chex.assert_trees_all_equal_dtypes(shapes_of(half)[1], shapes_of(TORCHVISION)[1])
