"""Random variables of networks for tests, drawn by NumPy: compiling the networks' own takes long."""

import jax
import jax.numpy as jnp
import numpy as np


def draw_variables(network, image_shape):
    """Variables of a network called as ``network(images, train=False)``, kernels scaled as by He."""
    images = jnp.zeros(image_shape)
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), images, train=False))
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        if "kernel" in path[-1].key:
            draws = rng.normal(size=leaf.shape) * np.sqrt(2 / np.prod(leaf.shape[:-1]))
        else:
            draws = np.full(leaf.shape, {"bias": 0.1, "mean": 0.0, "scale": 1.0, "var": 1.0}[path[-1].key])
        return draws.astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)
