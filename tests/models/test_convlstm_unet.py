"""The ConvLSTM U-Net has the parameters of Table 2, equals Keras, and streaming equals windows."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet, Table1
from tests.models import keras_convlstm_unet

KEY = jax.random.key(0)
CHEAP = {"xla_backend_optimization_level": 0}
jit = functools.partial(jax.jit, compiler_options=CHEAP)


def shapes(network, windows_shape=(1, 1, 32, 32, 1)):
    return jax.eval_shape(lambda: network.init(KEY, jnp.zeros(windows_shape), train=False))


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def windows_of(batch, frames, height, width):
    rng = np.random.default_rng(1)
    return rng.uniform(-1, 1, (batch, frames, height, width, 1)).astype(np.float32)


@functools.cache
def logits_of(network):
    return jit(lambda variables, windows: network.apply(variables, windows, train=False).logits)


SMALL = ConvLSTMUNet(base_filters=5, levels=3)
WINDOWS = windows_of(2, 3, 40, 32)


@pytest.fixture(scope="module")
def keras_small():
    """Keras's network of random weights and our variables of it."""
    network = keras_convlstm_unet.build(SMALL, WINDOWS.shape[2:4], frames=3)
    return network, keras_convlstm_unet.variables_of(network)


@pytest.fixture(scope="module")
def variables(keras_small):
    return keras_small[1]


@pytest.fixture(scope="module")
def logits(variables):
    """Of a window of three frames."""
    return logits_of(SMALL)(variables, WINDOWS)


@pytest.mark.parametrize(
    ("name", "frozen", "trainable", "total"),
    [
        ("B1", 227_266, 477_250, 490_530),
        ("B2", 188_358, 280_326, 288_370),
        ("B3", 188_358, 280_326, 288_370),
        ("B4", 622_008, 713_976, 723_520),
        ("B5", 83_430, 99_270, 101_714),
    ],
)
def test_parameters_are_those_of_table_2(name, frozen, trainable, total):
    variables = shapes(ConvLSTMUNet(**Table1[name].value._asdict()))
    params = variables["params"]
    assert count(params) - count(params["encoder"]) == frozen
    assert count(params) == trainable
    assert count(variables) == total


def test_numbers_are_those_of_keras_at_three_levels(keras_small, logits):
    expected = keras_convlstm_unet.run(keras_small[0], WINDOWS)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.1  # Or the tolerance would say nothing.


@pytest.mark.parametrize(("levels", "size"), [(5, (32, 64)), (3, (45, 38))])
def test_numbers_are_those_of_keras_at_five_levels_and_with_odd_sides(levels, size):
    network, windows = ConvLSTMUNet(base_filters=4, levels=levels), windows_of(1, 2, *size)
    theirs = keras_convlstm_unet.build(network, size, frames=2)
    variables = keras_convlstm_unet.variables_of(theirs)
    chex.assert_trees_all_equal_shapes(variables, shapes(network))
    expected = keras_convlstm_unet.run(theirs, windows)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(logits_of(network)(variables, windows), expected, atol=1e-4)


def test_a_stream_gives_what_a_window_of_all_frames_so_far_gives(variables, logits):
    step = jit(functools.partial(SMALL.apply, method="stream"))
    state = None
    for time in range(3):
        outputs, state = step(variables, WINDOWS[:, time], state)
    np.testing.assert_allclose(outputs.logits, logits, atol=1e-5)


def test_windows_of_a_batch_do_not_see_one_another(variables, logits):
    changed = logits_of(SMALL)(variables, np.stack([-WINDOWS[0], WINDOWS[1]]))
    np.testing.assert_allclose(changed[1], logits[1], atol=1e-5)
    assert np.abs(changed[0] - logits[0]).max() > 1e-3


def test_the_order_of_frames_matters_and_the_last_is_not_all(variables, logits):
    swapped = logits_of(SMALL)(variables, WINDOWS[:, [1, 0, 2]])
    assert np.abs(swapped - logits).max() > 1e-3


def test_without_recurrence_the_last_frame_is_all_and_nothing_remembers(variables):
    network = SMALL.clone(recurrent=False)
    assert "memory" not in shapes(network)["params"]
    last = logits_of(network)(variables, WINDOWS)
    before = WINDOWS * np.array([-1, 2, 1], np.float32)[:, None, None, None]
    np.testing.assert_array_equal(logits_of(network)(variables, before), last)
    outputs, _ = jit(functools.partial(network.apply, method="stream"))(variables, WINDOWS[:, 2])
    np.testing.assert_allclose(outputs.logits, last, atol=1e-6)


def test_training_has_finite_gradients_drops_and_moves_statistics():
    network = ConvLSTMUNet(base_filters=2, levels=2, dropout=0.5)
    windows = jnp.asarray(WINDOWS[:1, :2])
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: rng.uniform(0.1, 0.5, leaf.shape).astype(np.float32), shapes(network)
    )

    @jit
    def step(params, key):
        def loss(params):
            outputs, updates = network.apply(
                {**variables, "params": params},
                windows,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            return jnp.mean(jnp.square(outputs.logits)), updates["batch_stats"]

        return jax.value_and_grad(loss, has_aux=True)(params)

    (first, moved), gradient = step(variables["params"], KEY)
    chex.assert_tree_all_finite(gradient)
    for part in ("encoder", "decoder", "memory", "classifier"):
        kernels = [leaf for leaf in jax.tree.leaves(gradient[part]) if leaf.ndim == 4]
        assert all(np.any(kernel != 0) for kernel in kernels), part
    (second, _), _ = step(variables["params"], jax.random.key(1))
    assert first != second
    for new, old in zip(jax.tree.leaves(moved), jax.tree.leaves(variables["batch_stats"]), strict=True):
        assert np.any(new != old)


def test_half_precision_is_near_and_parameters_stay_single(variables, logits):
    half = SMALL.clone(dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes(half))} == {jnp.dtype("float32")}
    found = logits_of(half)(variables, WINDOWS)
    np.testing.assert_allclose(found.astype(jnp.float32), logits, atol=0.05 * np.abs(logits).max())


@pytest.mark.parametrize(
    ("changes", "shape", "words"),
    [
        ({}, (1, 0, 32, 32, 1), r"\(1, 0, 32, 32, 1\).*at least one frame"),
        ({}, (1, 2, 32, 32, 3), r"\(1, 2, 32, 32, 3\).*one channel"),
        ({}, (1, 2, 32, 31, 1), "sides below 32"),
        ({"levels": 0}, (1, 1, 32, 32, 1), "levels is 0"),
        ({"levels": 6}, (1, 1, 32, 32, 1), "levels is 6"),
    ],
)
def test_what_cannot_be_is_refused(changes, shape, words):
    with pytest.raises(ValueError, match=words):
        shapes(SMALL.clone(**changes), shape)
