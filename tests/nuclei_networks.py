"""Tiny feature nets with random weights for tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.methods.deepcell.model_file import DeepCellModel
from cellmotion_jax.methods.deepcell.nuclei import NucleiSettings
from cellmotion_jax.models.feature_net import Conv, FeatureNet, Pool


@functools.cache
def tiny_nuclei_network(*, seed=0) -> DeepCellModel:
    """One replicate; those of different seeds are of one kind."""
    network = FeatureNet((Conv(2, 3), Pool(), Conv(3, 4), Conv(2, 4)), dense_width=6)
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, 9, 9, 1)), train=False))
    rng = np.random.default_rng(seed)

    def draw(leaf):
        low = -0.5 if leaf.ndim > 1 else 0.2
        return rng.uniform(low, 0.5, leaf.shape).astype(np.float32)

    return DeepCellModel(
        network=network, variables=jax.tree.map(draw, shapes), settings=NucleiSettings(stride=2)
    )
