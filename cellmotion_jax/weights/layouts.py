"""Names and memory layouts of our tensors in Keras and torch files."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Shaped


class Slot(NamedTuple):
    """One parameter or batch statistic of a network."""

    module: str
    """Path of its submodule, for example ``block_1_expand_BN``."""
    leaf: str
    """Name in that submodule: kernel, bias, scale, mean or var."""
    of_norm: bool
    """Whether the submodule is a batch normalisation; both it and a convolution have a bias."""
    shape: tuple[int, ...]


Turn: TypeAlias = Callable[[Shaped[np.ndarray, "..."], Slot], Shaped[np.ndarray, "..."]]


class Layout(NamedTuple):
    """How a family of files stores a network."""

    names: Callable[[Slot], tuple[str, ...]]
    """Names that the tensor of a slot may have in the file, the usual one first."""
    turn: Turn
    """Transposes a tensor of the file to our order of axes, if it has the right number of axes."""
    other: tuple[re.Pattern[str], ...]
    """Whether a tensor belongs to a part that the network does not have: head, input scaling, counter."""


KERAS_NORM = {"scale": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"}
KERAS1_KINDS = {"conv": "convolution2d", "norm": "batchnormalization", "dense": "dense"}
KERAS1_LAYER = {"kernel": "W", "bias": "b"}
KERAS1_NORM = {"scale": "gamma", "bias": "beta", "mean": "running_mean", "var": "running_std"}
TORCH_NORM = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
TORCH_LAYER = {"kernel": "weight", "bias": "bias"}


def keras(*, other: tuple[str, ...]) -> Layout:
    """Layout of a network whose submodules have the layer names of Keras.

    Args:
        other: Patterns of tensors of parts that the network does not have.
    """

    def names(slot: Slot) -> tuple[str, ...]:
        if slot.of_norm:
            return (f"{slot.module}/{KERAS_NORM[slot.leaf]}",)
        # Keras 3 calls the kernel of a depth-wise convolution like any other.
        older = (f"{slot.module}/depthwise_kernel",) if slot.leaf == "kernel" else ()
        return (f"{slot.module}/{slot.leaf}", *older)

    return Layout(names, _turn_keras, _compiled(other))


def keras1_theano(*, other: tuple[str, ...]) -> Layout:
    """The layout of files that Keras 1 wrote on Theano, where ``conv3`` of ours is ``convolution2d_3``.

    Kernels are ``[output input y x]`` of a true convolution, which turns them by half a turn before it
    multiplies; ours are those of a cross-correlation. ``running_std`` holds variances.

    Args:
        other: Patterns of tensors of parts that the network does not have.
    """

    def names(slot: Slot) -> tuple[str, ...]:
        kind, number = re.fullmatch(r"([a-z]+)(\d+)", slot.module).groups()  # type: ignore[union-attr]
        leaf = (KERAS1_NORM if slot.of_norm else KERAS1_LAYER)[slot.leaf]
        return (f"{KERAS1_KINDS[kind]}_{number}/{leaf}",)

    return Layout(names, _turn_theano, _compiled(other))


def torch(
    module: Callable[[str], tuple[str, ...]], *, other: tuple[str, ...], turn: Turn | None = None
) -> Layout:
    """The layout of a state dict.

    Args:
        module: Path of a submodule of ours to the names that it may have in torch.
        other: Patterns of tensors of parts that the network does not have.
        turn: As in `Layout`; None for one that moves the axes of torch's dense and convolution layers.
    """

    def names(slot: Slot) -> tuple[str, ...]:
        leaf = (TORCH_NORM if slot.of_norm else TORCH_LAYER)[slot.leaf]
        return tuple(f"{name}.{leaf}" for name in module(slot.module))

    return Layout(names, turn or _turn_torch, _compiled((r".*\.num_batches_tracked", *other)))


def torchvision_resnet(module: str) -> str:
    """``conv2_block1_1_conv`` is ``layer1.0.conv1``; ``_0_bn``, the shortcut's, ``layer1.0.downsample.1``."""
    stem = {"conv1_conv": "conv1", "conv1_bn": "bn1"}
    if module in stem:
        return stem[module]
    stage, block, number, kind = module.split("_")
    inner = f"downsample.{0 if kind == 'conv' else 1}" if number == "0" else f"{kind}{number}"
    return f"layer{int(stage[-1]) - 1}.{int(block[-1]) - 1}.{inner}"


def torchvision_fpn(module: str) -> tuple[str, ...]:
    """A pyramid on its own, or in a detector; its convolutions lay one level higher until 2022."""
    if module.startswith("backbone/"):
        name = "body." + torchvision_resnet(module.removeprefix("backbone/"))
        return name, f"backbone.{name}"
    kind, level = module.split("_")
    name = f"fpn.{kind}_blocks.{int(level) - 2}"
    return f"{name}.0", f"backbone.{name}.0", name, f"backbone.{name}"


def torchvision_mask_rcnn() -> Layout:
    """The layout of ``maskrcnn_resnet50_fpn`` of torchvision, whose boxes begin with x and ours with y.

    Besides the axes, this differs from ours: every pair of offsets, of the region proposals as of the box
    head, is ``x y`` and becomes ``y x``; the first dense layer takes features ``[channel y x]`` and ours
    ``[y x channel]``; a transposed convolution of 2 x 2 is ``[input output y x]``, and ours a matrix with
    columns ``[y x output]``.
    """

    def turn(tensor: Shaped[np.ndarray, "..."], slot: Slot) -> Shaped[np.ndarray, "..."]:
        if slot.module == "mask_head/conv5_mask/kernels" and tensor.shape[2:] == (2, 2):
            return tensor.transpose(0, 2, 3, 1).reshape(1, 1, len(tensor), -1)
        turned = _turn_torch(tensor, slot)
        if turned.shape != slot.shape:
            return turned
        if slot.module in ("rpn/bbox_pred", "box_head/bbox_pred"):
            return turned.reshape(*turned.shape[:-1], -1, 2)[..., ::-1].reshape(turned.shape)
        if slot.module == "box_head/fc6" and slot.leaf == "kernel":
            channels_first = turned.reshape(-1, 7, 7, turned.shape[-1])
            return channels_first.transpose(1, 2, 0, 3).reshape(turned.shape)
        return turned

    return torch(_in_torchvision_mask_rcnn, other=(), turn=turn)


def _in_torchvision_mask_rcnn(module: str) -> tuple[str, ...]:
    """The convolutions of two heads lay one or two levels higher until 2022."""
    part, layer = module.split("/", 1)
    if part == "fpn":
        return tuple(name for name in torchvision_fpn(layer) if name.startswith("backbone."))
    if part == "rpn":
        return ("rpn.head.conv.0.0", "rpn.head.conv") if layer == "conv" else (f"rpn.head.{layer}",)
    if part == "box_head":
        return (f"roi_heads.{'box_head' if layer.startswith('fc') else 'box_predictor'}.{layer}",)
    if number := re.fullmatch(r"mask_fcn(\d+)", layer):
        newer = f"roi_heads.mask_head.{int(number[1]) - 1}.0"
        return newer, f"roi_heads.mask_head.{layer}"
    return (f"roi_heads.mask_predictor.{layer.removesuffix('/kernels')}",)


def yolov8(module: str) -> tuple[str, ...]:
    """``stage2/c2f/bottleneck_0/conv1/bn`` is ``model.2.m.0.cv1.bn``: modules are numbered in their order."""
    first, *inner = module.split("/")
    if first == "stem":
        return (f"model.0.{inner[0]}",)
    if first == "sppf":
        return (f"model.9.{ {'reduce': 'cv1', 'merge': 'cv2'}[inner[0]] }.{inner[1]}",)
    number = 2 * int(first.removeprefix("stage")) - 3
    if inner[0] == "down":
        return (f"model.{number}.{inner[1]}",)
    steps = {"split": "cv1", "merge": "cv2", "conv1": "cv1", "conv2": "cv2", "conv": "conv", "bn": "bn"}
    path = [steps.get(step, step.replace("bottleneck_", "m.")) for step in inner[1:]]
    return (".".join([f"model.{number + 1}", *path]),)


def _turn_keras(tensor: Shaped[np.ndarray, "..."], slot: Slot) -> Shaped[np.ndarray, "..."]:
    depthwise = len(slot.shape) == 4 and slot.shape[2] == 1
    return tensor.swapaxes(2, 3) if depthwise and tensor.ndim == 4 and tensor.shape[3] == 1 else tensor


def _turn_theano(tensor: Shaped[np.ndarray, "..."], slot: Slot) -> Shaped[np.ndarray, "..."]:
    return tensor.transpose(2, 3, 1, 0)[::-1, ::-1] if tensor.ndim == 4 else tensor


def _turn_torch(tensor: Shaped[np.ndarray, "..."], slot: Slot) -> Shaped[np.ndarray, "..."]:
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T


def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)
