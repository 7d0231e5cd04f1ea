"""The layers equal the flax layers they replace, in value and in gradient."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.models.layers import (
    DepthwiseConv,
    PointwiseConv,
    conv_same,
    depthwise_conv,
    explicit_padding,
    max_pool,
    max_pool_2x2,
)

KEY = jax.random.key(0)
sizes = st.integers(2, 9)
# One program per computation in place of one per operation, compiled in half the time.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def maps(height, width, channels=3):
    rng = np.random.default_rng(height * 31 + width)
    return jnp.asarray(rng.normal(size=(2, height, width, channels)), jnp.float32)


@settings(max_examples=12)  # Every shape is compiled anew.
@given(height=sizes, width=sizes)
def test_pooling_equals_flax(height, width):
    ours, theirs = both_pools(maps(height, width))
    chex.assert_trees_all_equal(ours, theirs)


@jit
def both_pools(images):
    return max_pool_2x2(images), nn.max_pool(images, (2, 2), (2, 2))


def test_pooling_gradient_equals_flax_without_ties():
    images = maps(7, 6)
    ours = jit(jax.grad(lambda x: jnp.sum(jnp.sin(max_pool_2x2(x)))))(images)
    theirs = jit(jax.grad(lambda x: jnp.sum(jnp.sin(nn.max_pool(x, (2, 2), (2, 2))))))(images)
    chex.assert_trees_all_close(ours, theirs)


@pytest.mark.parametrize(("window", "strides", "padding"), [(3, 2, 1), (5, 1, 2), (2, 2, 0), (3, 3, 0)])
@pytest.mark.parametrize("size", [(8, 8), (9, 6)])
def test_overlapping_pooling_equals_flax(window, strides, padding, size):
    images = maps(*size)

    def ours(x):
        return max_pool(x, window, strides=strides, padding=padding)

    def theirs(x):
        return nn.max_pool(x, (window, window), (strides, strides), [(padding, padding)] * 2)

    @jit
    def pooled_and_gradients(images):
        return [
            (pool(images), jax.grad(lambda x, pool=pool: jnp.sum(jnp.sin(pool(x))))(images))
            for pool in (ours, theirs)
        ]

    (of_ours, our_gradient), (of_theirs, their_gradient) = pooled_and_gradients(images)
    chex.assert_trees_all_equal(of_ours, of_theirs)
    chex.assert_trees_all_close(our_gradient, their_gradient, atol=1e-6)


def test_pooling_shares_the_gradient_of_ties_and_has_no_nan():
    gradient = jit(jax.grad(lambda x: jnp.sum(max_pool(x, 3, strides=2, padding=1))))(np.zeros((1, 5, 5, 1)))
    assert np.all(np.isfinite(gradient))
    assert float(gradient.sum()) == pytest.approx(9.0)


DEPTHWISE_VARIABLES = {
    "params": {"kernel": np.random.default_rng(1).normal(0, 1 / 3, (3, 3, 1, 3)).astype("f4")}
}


@settings(max_examples=6)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    strides=st.integers(1, 2),
    padding=st.sampled_from(["SAME", ((1, 1), (1, 1)), ((2, 0), (1, 3))]),
)
def test_depthwise_convolution_and_its_gradients_equal_the_grouped_one(height, width, strides, padding):
    images = maps(height, width)
    ours = DepthwiseConv(strides=strides, padding=padding)
    theirs = nn.Conv(3, (3, 3), strides, padding=padding, feature_group_count=3, use_bias=False)
    variables = DEPTHWISE_VARIABLES

    def loss(variables, images, module):
        outputs = module.apply(variables, images)
        return jnp.sum(jnp.sin(outputs)), outputs

    @jit
    def both(variables, images):
        gradient = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        return [gradient(variables, images, module) for module in (ours, theirs)]

    chex.assert_trees_all_equal_shapes(variables, jax.eval_shape(ours.init, KEY, images))
    ((of_ours, our_outputs), our_gradients), ((of_theirs, their_outputs), their_gradients) = both(
        variables, images
    )
    chex.assert_trees_all_close((of_ours, our_gradients), (of_theirs, their_gradients), atol=1e-4)
    chex.assert_trees_all_close(our_outputs, their_outputs, atol=1e-5)


def test_depthwise_convolution_with_a_kernel_that_is_not_square():
    images = maps(8, 9)
    ours = DepthwiseConv(kernel_size=(5, 2), strides=2)
    theirs = nn.Conv(3, (5, 2), 2, feature_group_count=3, use_bias=False)

    @jit
    def both(images):
        variables = ours.init(jax.random.key(1), images)
        return [module.apply(variables, images) for module in (ours, theirs)]

    chex.assert_trees_all_close(*both(images), atol=1e-5)


def test_depthwise_initialisation_keeps_the_variance():
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 64)).astype(np.float32)
    outputs, _ = jit(DepthwiseConv().init_with_output)(jax.random.key(1), images)
    assert float(outputs.var()) == pytest.approx(1.0, rel=0.2)


def test_depthwise_convolution_is_vmapped_over_members():
    images = np.stack([maps(6, 5)] * 2)
    kernels = np.random.default_rng(0).normal(size=(2, 3, 3, 1, 3)).astype(np.float32)
    padding = explicit_padding((6, 5), (3, 3), 1, "SAME")

    def gradient(images, kernel):
        return jax.grad(lambda k: jnp.sum(depthwise_conv(images, k, 1, padding) ** 2))(kernel)

    together, alone = jit(jax.vmap(gradient))(images, kernels), jit(gradient)
    chex.assert_trees_all_close(
        together, np.stack([alone(*pair) for pair in zip(images, kernels)]), rtol=1e-5
    )


@pytest.mark.parametrize("layer", [DepthwiseConv(dtype=jnp.bfloat16), PointwiseConv(4, dtype=jnp.bfloat16)])
def test_compute_type_leaves_parameters_and_their_gradients_in_float32(layer):
    images = maps(6, 6)
    variables = jax.eval_shape(layer.init, KEY, images)
    assert jax.eval_shape(layer.apply, variables, images).dtype == jnp.bfloat16
    gradient = jax.eval_shape(
        jax.grad(lambda v: jnp.sum(layer.apply(v, images).astype(jnp.float32) ** 2)), variables
    )
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, gradient))} == {np.dtype("float32")}


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("use_bias", [True, False])
def test_pointwise_convolution_equals_flax(strides, use_bias):
    images = maps(7, 6)
    ours = PointwiseConv(5, strides=strides, use_bias=use_bias)
    theirs = nn.Conv(5, (1, 1), strides, padding="VALID", use_bias=use_bias)

    @jit
    def both(images):
        variables = jax.tree.map(lambda leaf: leaf + 0.1, theirs.init(KEY, images))
        return variables, [module.apply(variables, images) for module in (ours, theirs)]

    variables, outputs = both(images)
    chex.assert_trees_all_equal_shapes(variables, jax.eval_shape(ours.init, KEY, images))
    chex.assert_trees_all_close(*outputs, atol=1e-5)


@pytest.mark.parametrize("kernel_size", [(3, 3), (5, 1)])
def test_dense_convolution_and_its_gradients_equal_those_of_jax(kernel_size):
    images = maps(7, 6)
    kernel = np.random.default_rng(1).normal(size=(*kernel_size, 3, 4)).astype(np.float32)

    def theirs(images, kernel):
        return jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    chex.assert_trees_all_close(jit(conv_same)(images, kernel), jit(theirs)(images, kernel), atol=1e-5)
    members = np.stack([images, images[::-1]]), np.stack([kernel, -2 * kernel])
    of_ours, of_theirs = (
        jit(jax.vmap(jax.grad(lambda *pair, conv=conv: jnp.sum(jnp.sin(conv(*pair))), argnums=(0, 1))))(
            *members
        )
        for conv in (conv_same, theirs)
    )
    chex.assert_trees_all_close(of_ours, of_theirs, atol=1e-4)


def test_dense_convolution_in_half_precision_sums_the_gradient_in_single():
    images, kernel = jnp.ones((1, 64, 64, 1), jnp.bfloat16), jnp.zeros((1, 1, 1, 1), jnp.bfloat16)
    gradient = jit(jax.grad(lambda kernel: conv_same(images, kernel).astype(jnp.float32).sum()))(kernel)
    assert gradient.dtype == jnp.bfloat16
    assert float(gradient[0, 0, 0, 0]) == 64 * 64  # A sum of ones in half precision stops at 256.


@pytest.mark.parametrize("layer", [DepthwiseConv, functools.partial(PointwiseConv, 4)])
def test_kernels_are_drawn_as_asked(layer):
    variables = jit(layer(kernel_init=nn.initializers.constant(0.5)).init)(KEY, maps(4, 4))
    np.testing.assert_array_equal(variables["params"]["kernel"], 0.5)
