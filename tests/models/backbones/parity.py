"""What all comparisons of a backbone with its original share."""

import functools
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import skimage.data
import skimage.transform

from cellmotion_jax.weights.convert import import_weights, load_weights

# Compiled in a third of the time; the numbers differ by rounding.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def random_images(size: tuple[int, int], batch: int = 2) -> np.ndarray:
    """Colours from -1 to 1."""
    return np.random.default_rng(1).uniform(-1, 1, (batch, *size, 3)).astype(np.float32)


def photographs(size: tuple[int, int]) -> jax.Array:
    """Five pictures that come with scikit-image, red, green and blue from 0 to 255."""
    data = skimage.data
    pictures = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.stereo_motorcycle()[0]]
    resized = [skimage.transform.resize(picture, size, anti_aliasing=True) for picture in pictures]
    return 255 * jnp.stack(resized).astype(jnp.float32)


@functools.cache
def shapes_of(model: nn.Module, image_shape: tuple[int, ...] = (1, 64, 64, 3)) -> tuple[Any, Any]:
    """Shapes of the features and of the variables."""
    return jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), jnp.zeros(image_shape), train=False)
    )


def random_variables(model: nn.Module) -> dict[str, Any]:
    """Values as after training, drawn without compiling the initialisation."""
    rng = np.random.default_rng(0)

    def random(path, leaf):
        if path[-1].key == "kernel":
            return rng.normal(0, (2 / np.prod(leaf.shape[:3])) ** 0.5, leaf.shape).astype(np.float32)
        spread = rng.uniform(-0.3, 0.3, leaf.shape).astype(np.float32)
        return 1 + spread if path[-1].key in ("scale", "var") else spread

    return jax.tree_util.tree_map_with_path(random, shapes_of(model)[1])


def imported(model: str, save: Callable[[pathlib.Path], pathlib.Path]) -> dict[str, Any]:
    """Variables of one of our networks, from the file that its original saves in a folder.

    Args:
        model: Name in the catalogue of weights.
        save: Writes into a folder and returns the path.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        import_weights(save(folder), model=model, out=folder / "ours.safetensors")
        return load_weights(folder / "ours.safetensors").variables


def infer(
    model: nn.Module, variables: Mapping[str, Any], images: np.ndarray, levels: int | None = None
) -> dict[str, jax.Array]:
    """The finest feature maps by name; the compiler leaves out what only the others need."""
    features = _inference(model, levels)(variables, images)
    return {name: maps for name, maps in features._asdict().items() if maps is not None}


@functools.cache
def _inference(model, levels):
    def run(variables, images):
        features = model.apply(variables, images, train=False)
        kept = features[:levels]
        return features._replace(**dict.fromkeys(features._fields[len(kept) :]))

    return jit(run)


def train(
    model: nn.Module, variables: Mapping[str, Any], images: np.ndarray
) -> tuple[dict[str, jax.Array], dict[str, Any]]:
    """Feature maps by name and batch statistics of a forward pass in training."""

    def run(variables, images):
        features, updates = model.apply(variables, images, train=True, mutable=["batch_stats"])
        return features, updates["batch_stats"]

    features, statistics = jit(run)(variables, images)
    return features._asdict(), statistics


def relative_errors(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    """Largest deviation of every map of theirs, relative to its largest value; shapes must be equal."""
    errors = {}
    for name, expected in theirs.items():
        found, expected = np.asarray(ours[name]), np.asarray(expected)
        assert found.shape == expected.shape, name
        errors[name] = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
    return errors


def assert_moved_alike(before: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Batch statistics after a step of training: equal, and none is where it was."""
    chex.assert_trees_all_close(ours, theirs, rtol=1e-4, atol=1e-5)
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(ours)):
        assert not np.allclose(new, old, rtol=1e-4, atol=1e-5), path
