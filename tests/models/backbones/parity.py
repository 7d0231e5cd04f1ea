"""What all comparisons of a backbone with its original share."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import warnings
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Keras imports what numpy has deprecated.
    import keras

LEAVES = {
    "kernel": "kernel",
    "bias": "bias",
    "gamma": "scale",
    "beta": "bias",
    "moving_mean": "mean",
    "moving_variance": "var",
}


def randomise(model: keras.Model, seed: int = 0) -> None:
    """Random weights, statistics of normalisation included, that keep activations in range."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = np.asarray(weight.value)
        kind = weight.path.split("/")[-1]
        if kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.7, 1.3, value.shape))
        elif kind in ("beta", "moving_mean", "bias"):
            weight.assign(rng.normal(0, 0.2, value.shape))
        else:
            fan_in = value.size // value.shape[2 if is_depthwise(value) else 3]
            weight.assign(rng.normal(0, (2 / fan_in) ** 0.5, value.shape))


def is_depthwise(kernel: np.ndarray) -> bool:
    """Whether a kernel is of a depth-wise convolution: Keras has its channels before a last axis of 1."""
    return kernel.ndim == 4 and kernel.shape[3] == 1


def variables_of(model: keras.Model) -> dict[str, dict[str, dict[str, jax.Array]]]:
    """A Keras model's weights as Flax variables under the same layer names."""
    variables: dict = {"params": {}, "batch_stats": {}}
    for weight in model.weights:
        layer, kind = weight.path.split("/")[-2:]
        collection = "batch_stats" if kind.startswith("moving") else "params"
        value = np.asarray(weight.value)
        value = value.swapaxes(2, 3) if is_depthwise(value) else value
        variables[collection].setdefault(layer, {})[LEAVES[kind]] = jnp.asarray(value)
    return variables


def relative_errors(ours: Mapping[str, jax.Array], theirs: Mapping[str, jax.Array]) -> dict[str, float]:
    """Largest deviation of every map, relative to its largest value; shapes must be equal."""
    errors = {}
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        errors[name] = float(jnp.max(jnp.abs(ours[name] - expected)) / jnp.max(jnp.abs(expected)))
    return errors
