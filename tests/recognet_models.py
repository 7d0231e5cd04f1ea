"""Tiny RecogNets with random weights for tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.methods.recognet.model_file import RecogNetModel
from cellmotion_jax.models.recognet import RecogNet


@functools.cache
def tiny_recognet() -> RecogNetModel:
    """A network of four convolutions."""
    network = RecogNet(nuclei=3, widths=(2, 2, 3, 3), dense_width=4)
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, 16, 16, 1)), train=False))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.5, leaf.shape).astype(np.float32), shapes)
    return RecogNetModel(
        network=network, variables=variables, mean=0.1, scale=2.0, window=16, downsample=1, names=("a", "b")
    )
