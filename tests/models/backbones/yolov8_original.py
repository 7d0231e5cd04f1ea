"""The published structure of YOLOv8-n written down once more, in plain JAX and in torch."""

import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from cellmotion_jax.models.backbones.yolov8 import YOLOv8Backbone, YOLOv8Features
from cellmotion_jax.weights import layouts
from tests.models.backbones.parity import jit, random_variables

BLOCKS = ((1, 1), (3, 2), (5, 2), (7, 1))
"""Modules that halve the resolution, and bottlenecks of the C2f block that follows."""
OF_NORM = ("bn.running_mean", "bn.running_var", "bn.weight", "bn.bias")


def random_weights() -> dict[str, np.ndarray]:
    """A torch state dict that keeps activations in range."""
    weights = {}
    for (_, *module, leaf), value in flatten_dict(random_variables(YOLOv8Backbone())).items():
        names = layouts.TORCH_NORM if module[-1] == "bn" else layouts.TORCH_LAYER
        turned = value.transpose(3, 2, 0, 1) if leaf == "kernel" else value
        weights[f"{layouts.yolov8('/'.join(module))[0]}.{names[leaf]}"] = turned
    return weights


def save(weights: Mapping[str, np.ndarray], folder: pathlib.Path) -> pathlib.Path:
    """Writes a state dict where torch is not installed."""
    np.savez(folder / "original.npz", **weights)
    return folder / "original.npz"


class LaxLayers:
    """Layers on channels-first arrays in plain JAX."""

    def __init__(self, weights):
        self.weights = weights

    def unit(self, x, name, strides=1):
        kernel = self.weights[f"{name}.conv.weight"]
        border = (kernel.shape[-1] // 2,) * 2
        x = jax.lax.conv_general_dilated(x, kernel, (strides, strides), (border, border))
        mean, var, scale, bias = (self.weights[f"{name}.{leaf}"][None, :, None, None] for leaf in OF_NORM)
        x = (x - mean) / jnp.sqrt(var + 1e-3) * scale + bias
        return x / (1 + jnp.exp(-x))

    def pool(self, x):
        border = ((0, 0), (0, 0), (2, 2), (2, 2))
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 5, 5), (1, 1, 1, 1), border)

    def concatenate(self, parts):
        return jnp.concatenate(parts, 1)


class TorchLayers:
    """The same in torch, which in training normalises by the batch and moves the averages."""

    def __init__(self, weights, *, training=False):
        import torch

        self.torch, self.weights, self.training = torch, weights, training

    def unit(self, x, name, strides=1):
        functional, kernel = self.torch.nn.functional, self.weights[f"{name}.conv.weight"]
        x = functional.conv2d(x, kernel, stride=strides, padding=kernel.shape[-1] // 2)
        norm = [self.weights[f"{name}.{leaf}"] for leaf in OF_NORM]
        x = functional.batch_norm(x, *norm, training=self.training, momentum=0.03, eps=1e-3)
        return functional.silu(x)

    def pool(self, x):
        return self.torch.nn.functional.max_pool2d(x, 5, 1, 2)

    def concatenate(self, parts):
        return self.torch.cat(parts, 1)


def stages(x, layers):
    """The published structure, module by module."""
    features = [layers.unit(x, "model.0", 2)]
    for number, bottlenecks in BLOCKS:
        x = layers.unit(features[-1], f"model.{number}", 2)
        c2f = f"model.{number + 1}"
        x = layers.unit(x, f"{c2f}.cv1")
        half = x.shape[1] // 2
        parts = [x[:, :half], x[:, half:]]
        for index in range(bottlenecks):
            inner = layers.unit(parts[-1], f"{c2f}.m.{index}.cv1")
            parts.append(parts[-1] + layers.unit(inner, f"{c2f}.m.{index}.cv2"))
        features.append(layers.unit(layers.concatenate(parts), f"{c2f}.cv2"))
    x = layers.unit(features[-1], "model.9.cv1")
    pooled = [x, layers.pool(x), layers.pool(layers.pool(x)), layers.pool(layers.pool(layers.pool(x)))]
    return [*features[:-1], layers.unit(layers.concatenate(pooled), "model.9.cv2")]


def in_lax(weights: Mapping[str, np.ndarray], images: np.ndarray) -> dict[str, np.ndarray]:
    """Features by our names, computed by JAX."""
    return _named(jit(lambda w, x: stages(x, LaxLayers(w)))(dict(weights), images.transpose(0, 3, 1, 2)))


def in_torch(weights: Mapping[str, np.ndarray], images: np.ndarray) -> dict[str, np.ndarray]:
    """Features by our names, computed by torch."""
    import torch

    tensors = {name: torch.tensor(value) for name, value in weights.items()}
    return _named(stages(torch.tensor(images.transpose(0, 3, 1, 2)), TorchLayers(tensors)))


def _named(maps) -> dict[str, np.ndarray]:
    channels_last = [np.asarray(features).transpose(0, 2, 3, 1) for features in maps]
    return dict(zip(YOLOv8Features._fields, channels_last, strict=True))
