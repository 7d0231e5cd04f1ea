"""Names and shapes of a network's tensors, and their comparison with those of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

MOST_NAMED = 12  # Tensors named in a refusal before it says how many more there are.


def variable_shapes(module: nn.Module, image_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter and batch statistic of a network; nothing is computed.

    Args:
        module: Called as ``module(images, train=False)``.
        image_shape: (y, x, channel) of an image that it takes, or (time, y, x, channel) of a window.

    Returns:
        Shapes by path, such as ``params/head/kernel``.
    """
    images = jnp.zeros((1, *image_shape))
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), images, train=False))
    flat = jax.tree_util.tree_leaves_with_path(variables)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def misfits(
    tensors: Mapping[str, Shaped[np.ndarray, "..."]], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Names of tensors that are missing, unknown or of another shape, in alphabetical order."""
    return [
        name
        for name in sorted(expected.keys() | tensors.keys())
        if name not in expected or name not in tensors or expected[name] != tensors[name].shape
    ]


def some_names(names: Iterable[str]) -> str:
    """The first names of a list as a part of a sentence, and how many more there are."""
    names = list(names)
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
