"""The layers equal the flax layers they replace."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.models.layers import max_pool_2x2

sizes = st.integers(2, 9)


@settings(max_examples=12)  # Every shape is compiled anew.
@given(height=sizes, width=sizes)
def test_pooling_equals_flax(height, width):
    images = jax.random.normal(jax.random.key(0), (2, height, width, 3))
    chex.assert_trees_all_equal(max_pool_2x2(images), nn.max_pool(images, (2, 2), (2, 2)))


def test_pooling_gradient_equals_flax_without_ties():
    images = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    ours = jax.grad(lambda x: jnp.sum(jnp.sin(max_pool_2x2(x))))(images)
    theirs = jax.grad(lambda x: jnp.sum(jnp.sin(nn.max_pool(x, (2, 2), (2, 2)))))(images)
    chex.assert_trees_all_close(ours, theirs)
