"""The layers equal the flax layers they replace."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.models.layers import PatchConv, max_pool_2x2

sizes = st.integers(2, 9)


@given(height=sizes, width=sizes, seed=st.integers(0, 99))
def test_pooling_equals_flax(height, width, seed):
    images = jax.random.normal(jax.random.key(seed), (2, height, width, 3))
    chex.assert_trees_all_equal(max_pool_2x2(images), nn.max_pool(images, (2, 2), (2, 2)))


def test_pooling_gradient_equals_flax_without_ties():
    images = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    ours = jax.grad(lambda x: jnp.sum(jnp.sin(max_pool_2x2(x))))(images)
    theirs = jax.grad(lambda x: jnp.sum(jnp.sin(nn.max_pool(x, (2, 2), (2, 2)))))(images)
    chex.assert_trees_all_close(ours, theirs)


@pytest.mark.parametrize(("kernel", "channels"), [((5, 5), 1), ((3, 3), 4), ((1, 1), 2), ((2, 4), 3)])
def test_patch_convolution_equals_flax(kernel, channels):
    images = jax.random.normal(jax.random.key(1), (2, 9, 8, channels))
    ours, theirs = PatchConv(6, kernel), nn.Conv(6, kernel, padding="VALID")
    variables = theirs.init(jax.random.key(2), images)
    chex.assert_trees_all_equal_shapes_and_dtypes(ours.init(jax.random.key(2), images), variables)
    for layer_output in (
        lambda m, v: m.apply(v, images),
        lambda m, v: jax.grad(lambda v: jnp.sum(jnp.sin(m.apply(v, images))))(v),
    ):
        chex.assert_trees_all_close(layer_output(ours, variables), layer_output(theirs, variables), atol=1e-4)


def test_patch_convolution_computes_in_bfloat16_with_float32_parameters():
    images = jnp.ones((1, 5, 5, 1))
    layer = PatchConv(2, (3, 3), dtype=jnp.bfloat16)
    variables = layer.init(jax.random.key(0), images)
    assert variables["params"]["kernel"].dtype == jnp.float32
    assert layer.apply(variables, images).dtype == jnp.bfloat16


def test_an_image_smaller_than_the_kernel_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 4, 4, 1\) are smaller than the kernel of 5 x 5"):
        PatchConv(2, (5, 5)).init(jax.random.key(0), jnp.ones((1, 4, 4, 1)))
