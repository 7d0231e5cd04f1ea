"""Names and shapes of a network's tensors, and their comparison with those of a file."""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp


def variable_shapes(module: nn.Module, image_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter and batch statistic of a network; nothing is computed or allocated.

    Args:
        module: Called as ``module(images, train=False)``.
        image_shape: (y, x, channel) of an image that it takes, or (time, y, x, channel) of a window.

    Returns:
        Shapes by path, such as ``params/head/kernel``.
    """
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = jax.eval_shape(lambda seen: module.init(jax.random.key(0), seen, train=False), images)
    flat = jax.tree_util.tree_leaves_with_path(variables)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def misfits(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Names of tensors that are missing, unknown or of another shape, in alphabetical order."""
    return [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
