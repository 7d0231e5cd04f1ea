"""Whether images cause the activations in YOLOv8-n that its weights were trained with."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from cellmotion_jax.models.backbones.yolov8 import YOLOv8Backbone
from tests.models.backbones.parity import jit


def what_is_normalised(
    variables: Mapping[str, Any], images: np.ndarray, *, train: bool
) -> tuple[dict[tuple[str, ...], np.ndarray], dict[tuple[str, ...], np.ndarray]]:
    """Mean and variance of what enters every batch normalisation, and the statistics it has after it."""
    return jax.device_get(_moments(train)(variables, images))


@functools.cache
def _moments(train):
    def moments(variables, images):
        _, state = YOLOv8Backbone().apply(
            variables,
            images,
            train=train,
            capture_intermediates=lambda module, _: module.name == "conv",
            mutable=["intermediates", "batch_stats"],
        )
        found = {}
        for path, (maps,) in flatten_dict(state["intermediates"]).items():
            norm = (*path[:-2], "bn")
            found[(*norm, "mean")] = jnp.mean(maps, axis=(0, 1, 2))
            found[(*norm, "var")] = jnp.var(maps, axis=(0, 1, 2))
        return found, flatten_dict(state["batch_stats"])

    return jit(moments)


def agreement(variables: Mapping[str, Any], images: np.ndarray) -> dict[tuple[str, ...], float]:
    """Per normalisation, the correlation over channels of the mean that enters with the one in training."""
    found, running = what_is_normalised(variables, images, train=False)
    return {
        path[:-1]: float(np.corrcoef(found[path], running[path])[0, 1])
        for path in found
        if path[-1] == "mean"
    }
