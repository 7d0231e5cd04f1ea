"""Tiny tracking embeddings with random weights for tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.methods.celltrack_embedding.model_file import EmbeddingModel
from cellmotion_jax.models.embedding import TrackingEmbedding


@functools.cache
def tiny_embedding() -> EmbeddingModel:
    network = TrackingEmbedding(features=3, base_width=2)
    # Random variables of the right shapes: the drawing of real ones takes long to compile.
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)), train=False))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes["params"])
    return EmbeddingModel(
        network=network,
        variables={"params": params},
        diameter=16.0,
        window=32,
        filter_sigma=1.5,
        regularization=0.013,
        sharpness=9.4,
        spread=4.2,
    )
