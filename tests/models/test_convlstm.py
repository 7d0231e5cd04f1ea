"""The ConvLSTM follows its equations, frame after frame, forwards and backwards."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.convlstm import UNROLLED_STEPS, ConvLSTM, ConvLSTMState

KEY = jax.random.key(0)
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
MEMORY = ConvLSTM(4)
MANY = UNROLLED_STEPS + 4


def drawn(shape, key=1):
    return jax.random.normal(jax.random.key(key), shape)


@jit
def read(variables, maps, state=None):
    return MEMORY.apply(variables, maps, state)


def by_equations(variables, maps, state) -> ConvLSTMState:
    """One frame after the other, one convolution after the other."""
    weights = variables["params"]

    def conv(images, kernel):
        return jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    hidden, cell = state
    for time in range(maps.shape[1]):
        gates = conv(maps[:, time], weights["kernel"]) + conv(hidden, weights["recurrent_kernel"])
        i, f, g, o = jnp.split(gates + weights["bias"][None, None, None], 4, axis=-1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jax.nn.elu(g)
        hidden = jax.nn.sigmoid(o) * jax.nn.elu(cell)
    return ConvLSTMState(hidden, cell)


EMPTY = ConvLSTMState(*[jnp.zeros((2, 5, 6, 4))] * 2)


@pytest.fixture(scope="module")
def maps():
    return drawn((2, MANY, 5, 6, 3))


@pytest.fixture(scope="module")
def variables(maps):
    return jit(lambda: MEMORY.init(KEY, maps[:, :1]))()


@pytest.mark.parametrize("frames", [1, 2, 5, MANY])
def test_any_number_of_frames_is_read_as_the_equations_say(variables, maps, frames):
    expected = by_equations(variables, maps[:, :frames], EMPTY)
    chex.assert_trees_all_close(read(variables, maps[:, :frames]), expected, atol=1e-5)


def test_no_state_is_an_empty_memory(variables, maps):
    chex.assert_trees_all_close(read(variables, maps), read(variables, maps, EMPTY), atol=1e-6)


def test_reading_in_parts_is_reading_at_once(variables, maps):
    state = None
    for part in (maps[:, :1], maps[:, 1:6], maps[:, 6:]):
        state = read(variables, part, state)
    chex.assert_trees_all_close(state, read(variables, maps), atol=1e-6)


def test_gradients_through_time_are_those_of_the_equations(variables, maps):
    window = maps[:, :4]

    def loss(reader):
        return lambda *arguments: jnp.sum(jnp.sin(reader(*arguments).hidden))

    ours, theirs = (
        jit(jax.grad(loss(reader), argnums=(0, 1, 2)))(variables, window, EMPTY)
        for reader in (MEMORY.apply, by_equations)
    )
    chex.assert_trees_all_close(ours, theirs, atol=1e-4)


def test_movies_may_be_mapped_over_forwards_and_backwards(variables, maps):
    window = maps[:, :3]

    def loss(variables, window):
        return jnp.sum(jnp.sin(MEMORY.apply(variables, window[None]).hidden))

    gradients = jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(variables, window)
    alone = jit(jax.grad(loss))(variables, window[1])
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1], gradients), alone, atol=1e-5)


def test_only_the_forget_gate_begins_with_a_bias(variables):
    np.testing.assert_array_equal(variables["params"]["bias"], np.repeat([0, 1, 0, 0], 4))


def test_half_precision_is_near_and_stays_half(variables, maps):
    half = ConvLSTM(4, dtype=jnp.bfloat16)
    first = jit(half.apply)(variables, maps[:, :2])
    second = jit(half.apply)(variables, maps[:, 2:4], first)
    assert {leaf.dtype for leaf in (*first, *second)} == {jnp.dtype("bfloat16")}
    chex.assert_trees_all_close(
        jax.tree.map(lambda leaf: leaf.astype(jnp.float32), second), read(variables, maps[:, :4]), atol=0.1
    )


@pytest.mark.parametrize(
    ("maps_shape", "state_shape", "words"),
    [
        ((2, 0, 5, 6, 3), None, r"\(2, 0, 5, 6, 3\).*no frame"),
        ((2, 1, 5, 7, 3), (2, 5, 6, 4), r"\(2, 5, 6, 4\).*\(2, 1, 5, 7, 3\)"),
        ((2, 1, 5, 6, 3), (1, 5, 6, 4), r"\(1, 5, 6, 4\).*\(2, 1, 5, 6, 3\)"),
        ((2, 1, 5, 6, 3), (2, 5, 6, 8), r"\(2, 5, 6, 8\).*4 filters"),
    ],
)
def test_what_does_not_fit_is_refused_by_shape(variables, maps_shape, state_shape, words):
    state = None if state_shape is None else ConvLSTMState(*[jnp.zeros(state_shape)] * 2)
    with pytest.raises(ValueError, match=words):
        MEMORY.apply(variables, jnp.zeros(maps_shape), state)
