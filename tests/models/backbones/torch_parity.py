"""What comparisons with torchvision share; they are skipped where it is not installed."""

import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

LEAVES = {"weight": "kernel", "bias": "bias", "running_mean": "mean", "running_var": "var"}
OF_NORM = LEAVES | {"weight": "scale"}
OF_STATISTICS = ("mean", "var")


def import_torchvision() -> types.ModuleType:
    """The torchvision module with its detection models."""
    torch = pytest.importorskip("torch")
    try:
        torchvision = pytest.importorskip("torchvision")
    except RuntimeError:
        # Built for CUDA beside a torch for CPU, it cannot load its compiled operators. ResNet and FPN need
        # none, only the import insists on two.
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor boxes, Tensor scores, float iou) -> Tensor")
        torchvision = pytest.importorskip("torchvision")
    pytest.importorskip("torchvision.models.detection")
    return torchvision


def randomise(model, seed: int = 0) -> None:
    """Random weights, statistics of normalisation included, that keep activations in range."""
    import torch

    rng = np.random.default_rng(seed)
    for name, value in model.state_dict().items():
        if value.ndim == 4:
            fan_in = np.prod(value.shape[1:])
            random = rng.normal(0, (2 / fan_in) ** 0.5, value.shape)
        elif name.endswith(("running_mean", "bias")):
            random = rng.normal(0, 0.2, value.shape)
        else:
            random = rng.uniform(0.7, 1.3, value.shape)
        if value.ndim > 0:  # num_batches_tracked is a scalar.
            value.copy_(torch.from_numpy(random))


def our_layer(layer: str) -> str:
    """``layer1.0.conv1`` is our ``conv2_block1_1_conv``, ``inner_blocks.0.0`` our ``inner_2``."""
    if match := re.fullmatch(r"layer(\d)\.(\d)\.(conv|bn)(\d)", layer):
        stage, block, kind, number = match.groups()
        return f"conv{int(stage) + 1}_block{int(block) + 1}_{number}_{kind}"
    if match := re.fullmatch(r"layer(\d)\.(\d)\.downsample\.([01])", layer):
        stage, block, kind = match.groups()
        return f"conv{int(stage) + 1}_block{int(block) + 1}_0_{('conv', 'bn')[int(kind)]}"
    if match := re.fullmatch(r"(inner|layer)_blocks\.(\d)\.0", layer):
        return f"{match[1]}_{int(match[2]) + 2}"
    return {"conv1": "conv1_conv", "bn1": "conv1_bn"}[layer]


def variables_of(model) -> dict[str, dict[str, dict[str, jax.Array]]]:
    """The weights of a torch ResNet-50 or of a pyramid without its backbone as Flax variables."""
    variables: dict = {"params": {}, "batch_stats": {}}
    for name, value in model.state_dict().items():
        layer, _, leaf = name.rpartition(".")
        if layer == "fc" or leaf == "num_batches_tracked":
            continue
        ours = our_layer(layer)
        leaf = (OF_NORM if ours.endswith("_bn") else LEAVES)[leaf]
        value = value.numpy().transpose(2, 3, 1, 0) if leaf == "kernel" else value.numpy()
        kind = "batch_stats" if leaf in OF_STATISTICS else "params"
        variables[kind].setdefault(ours, {})[leaf] = jnp.asarray(value)
    return variables


def channels_first(images: np.ndarray):
    """NHWC to a torch tensor NCHW."""
    import torch

    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def channels_last(maps) -> jax.Array:
    """A torch tensor NCHW to NHWC."""
    return jnp.asarray(maps.detach().numpy().transpose(0, 2, 3, 1))
