"""The networks of torchvision with random weights; neither it nor torch need be installed to import this."""

import importlib.util
import os
import pathlib
import re
import types

import numpy as np

from cellmotion_jax.models.backbones.fpn import FPNFeatures
from cellmotion_jax.models.backbones.resnet import ResNetFeatures

# Read by torch when it is imported: its threads, when idle, must not spin while JAX works.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["KMP_BLOCKTIME"] = "0"


def is_installed() -> bool:
    """Whether there are torch and torchvision."""
    return all(importlib.util.find_spec(name) for name in ("torch", "torchvision"))


def import_torchvision() -> types.ModuleType:
    """The torchvision module with its detection models."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        # Built for CUDA beside a torch for CPU, it cannot load its compiled operators. ResNet and FPN need
        # none, only the import insists on two.
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor boxes, Tensor scores, float iou) -> Tensor")
        import torchvision
    import torchvision.models.detection

    return torchvision


def resnet50():
    """A ResNet-50."""
    return randomised(import_torchvision().models.resnet50(weights=None))


def resnet50_fpn(epsilon: float | None = None):
    """A feature pyramid on a ResNet-50, whose frozen normalisation may have another epsilon."""
    detection = import_torchvision().models.detection
    network = detection.backbone_utils.resnet_fpn_backbone(backbone_name="resnet50", weights=None)
    if epsilon is not None:
        detection._utils.overwrite_eps(network, epsilon)
    return randomised(network)


def mask_rcnn():
    """A Mask R-CNN as with its weights COCO_V1: 91 classes, frozen normalisation without an epsilon.

    ``maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)`` would normalise otherwise.
    """
    detection = import_torchvision().models.detection
    backbone = detection.backbone_utils.resnet_fpn_backbone(backbone_name="resnet50", weights=None)
    network = detection.MaskRCNN(backbone, num_classes=91)
    detection._utils.overwrite_eps(network, 0.0)
    return randomised(network)


def adjusted_to(image: np.ndarray, network):
    """A random Mask R-CNN whose outputs vary over an image as those of a trained one, so that it detects.

    The statistics of every normalisation become those of its inputs, and the outputs of the pyramid's
    convolutions and of every head get the mean 0 and a fitting spread. With random weights alone the outputs
    are nearly the same everywhere.

    Args:
        image: Colours from 0 to 1, [y, x, channel].
        network: Changed in place, and returned.
    """
    import torch

    frozen = import_torchvision().ops.FrozenBatchNorm2d
    spreads = {
        r"backbone\.fpn\.\w+_blocks\.\d\.0": 1.0,
        r"rpn\.head\.cls_logits": 2.0,
        r"rpn\.head\.bbox_pred": 0.3,
        r"roi_heads\.box_predictor\.cls_score": 1.5,
        r"roi_heads\.box_predictor\.bbox_pred": 1.0,
        r"roi_heads\.mask_predictor\.mask_fcn_logits": 2.0,
        # Blocks that change their input little; otherwise 50 random layers make much of a rounding.
        r".*\.bn3": 0.3,
        r".*(bn\d|downsample\.1)": 1.0,
    }

    def statistics(maps):
        axes = (0, *range(2, maps.ndim))  # All but the channels.
        return maps.mean(axes), maps.std(axes)

    def adjust(layer, spread):
        def at_first_call(layer, inputs, output):
            handle.remove()
            if isinstance(layer, frozen):
                mean, deviation = statistics(inputs[0])
                layer.running_mean.copy_(mean)
                layer.running_var.copy_(deviation**2)
                layer.weight.mul_(spread)
            else:
                mean, deviation = statistics(output)
                factor = spread / deviation
                layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.ndim - 1)))
                layer.bias.sub_(mean).mul_(factor)
            return layer(*inputs)

        handle = layer.register_forward_hook(at_first_call)

    with torch.no_grad():
        for name, layer in network.named_modules():
            spread = next((spreads[pattern] for pattern in spreads if re.fullmatch(pattern, name)), None)
            if spread is not None:
                adjust(layer, spread)
        network([torch.from_numpy(image.transpose(2, 0, 1).copy())])
    return network


def randomised(network):
    """The network with random weights and statistics that keep activations in range, for inference."""
    import torch

    rng = np.random.default_rng(0)
    for name, value in network.state_dict().items():
        if value.ndim > 1:
            fan_in = np.prod(value.shape[1:])
            random = rng.normal(0, (2 / fan_in) ** 0.5, value.shape)
        elif name.endswith(("running_mean", "bias")):
            random = rng.normal(0, 0.2, value.shape)
        else:
            random = rng.uniform(0.7, 1.3, value.shape)
        if value.ndim > 0:  # num_batches_tracked is a scalar.
            value.copy_(torch.from_numpy(random))
    return network.eval()


def save(network, folder: pathlib.Path) -> pathlib.Path:
    """Writes the state dict as torch does."""
    import torch

    torch.save(network.state_dict(), folder / "original.pth")
    return folder / "original.pth"


def resnet_stages(network, images: np.ndarray) -> dict[str, np.ndarray]:
    """Features of a ResNet-50 by our names."""
    x = network.relu(network.bn1(network.conv1(channels_first(images))))
    stages = [x]
    x = network.maxpool(x)
    for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
        x = layer(x)
        stages.append(x)
    return dict(zip(ResNetFeatures._fields, map(channels_last, stages), strict=True))


def fpn_stages(network, images: np.ndarray) -> dict[str, np.ndarray]:
    """Levels of a pyramid with its backbone by our names."""
    return pyramid_levels(network(channels_first(images)))


def pyramid_levels(outputs) -> dict[str, np.ndarray]:
    """What a pyramid of torchvision returns, by our names."""
    return dict(zip(FPNFeatures._fields, map(channels_last, outputs.values()), strict=True))


def channels_first(images: np.ndarray):
    """NHWC to a torch tensor NCHW."""
    import torch

    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def channels_last(maps) -> np.ndarray:
    """A torch tensor NCHW to NHWC."""
    return maps.detach().numpy().transpose(0, 2, 3, 1)
