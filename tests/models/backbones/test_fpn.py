"""The pyramid computes what torchvision computes, alone and on a ResNet-50."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.fpn import FPN, doubled
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.backbones.resnet import ResNet50, ResNetFeatures, ResNetVariant
from tests.models.backbones.parity import (
    imported,
    infer,
    random_images,
    random_variables,
    relative_errors,
    shapes_of,
)

CHANNELS = (64, 256, 512, 1024, 2048)
ON_RESNET = FPN(backbone=ResNet50(ResNetVariant.TORCHVISION, epsilon=0.0))


class Strided(MobileNetV2):
    """Features of the sizes of a ResNet-50, without its cost: colours repeated, every so many pixels."""

    @nn.compact
    def __call__(self, images, *, train: bool):
        maps = [
            jnp.tile(images[:, :: 2**level, :: 2**level], (1, 1, 1, channels // 3 + 1))[..., :channels]
            for level, channels in enumerate(CHANNELS, start=1)
        ]
        return ResNetFeatures(*maps)


def by_definition(image, size):
    rows, columns = image.shape[:2]
    pixels = [
        [
            image[int(np.floor(i * rows / size[0])), int(np.floor(j * columns / size[1]))]
            for j in range(size[1])
        ]
        for i in range(size[0])
    ]
    return np.array(pixels)


@pytest.mark.parametrize("sides", [(1, 2), (2, 5), (7, 8), (13, 32)])
def test_doubling_takes_the_nearest_pixel_to_even_and_odd_sizes(sides):
    images = jnp.asarray(np.random.default_rng(0).normal(0, 1, (1, *sides, 2)), jnp.float32)
    for drop_y, drop_x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        size = (2 * sides[0] - drop_y, 2 * sides[1] - drop_x)
        np.testing.assert_array_equal(doubled(images, size)[0], by_definition(np.asarray(images[0]), size))


@pytest.mark.parametrize("size", [(5, 6), (9, 8), (8, 3)])
def test_sizes_that_are_not_double_are_refused(size):
    with pytest.raises(ValueError, match=rf"\(1, 4, 4, 2\) cannot be doubled to \({size[0]}, {size[1]}\)"):
        doubled(jnp.zeros((1, 4, 4, 2)), size)


@pytest.mark.parametrize(("size", "sides"), [((64, 64), (16, 8, 4, 2, 1)), ((75, 97), (19, 10, 5, 3, 2))])
def test_levels_have_the_sizes_of_the_backbone_and_one_channel_count(size, sides):
    model, images = FPN(backbone=Strided(), channels=8), random_images(size)
    variables = random_variables(model)
    names = {f"{kind}_{level}" for kind in ("inner", "layer") for level in (2, 3, 4, 5)}
    assert set(variables["params"]) == names
    features = infer(model, variables, images)
    assert tuple(maps.shape[1] for maps in features.values()) == sides
    assert {maps.shape[-1] for maps in features.values()} == {8}
    np.testing.assert_array_equal(features["p6"], features["p5"][:, ::2, ::2])


def test_a_coarse_level_reaches_every_finer_one_and_none_that_is_coarser():
    """Black images, a bias of 1 in every 1 x 1 convolution: every level sums those above it and its own."""
    model, images = FPN(backbone=Strided(), channels=4), np.zeros((1, 96, 96, 3), np.float32)
    ones = jax.tree.map(jnp.ones_like, random_variables(model))
    features = infer(model, ones, images)
    for levels, name in enumerate(("p5", "p4", "p3", "p2"), start=1):
        inside = features[name][:, 1:-1, 1:-1]  # Of 9 pixels with 4 channels each, and a bias.
        np.testing.assert_allclose(inside, np.full(inside.shape, 36 * levels + 1), rtol=1e-6)


def test_the_pyramid_of_mask_rcnn_has_its_parameters():
    _, shapes = shapes_of(ON_RESNET)
    pyramid = {name: leaf for name, leaf in shapes["params"].items() if name != "backbone"}
    assert sum(leaf.size for leaf in jax.tree.leaves(pyramid)) == 3_344_384
    assert shapes["params"]["backbone"]["conv1_conv"]["kernel"].shape == (7, 7, 3, 64)


def test_bfloat16_is_close_and_leaves_the_parameters_alone():
    images = random_images((64, 64))
    exact, half = (FPN(backbone=Strided(), channels=8, dtype=dtype) for dtype in (None, jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes_of(half)[1])} == {jnp.dtype(jnp.float32)}
    variables = random_variables(exact)
    features = infer(half, variables, images)
    for name, expected in infer(exact, variables, images).items():
        rough = features[name]
        assert rough.dtype == jnp.bfloat16
        largest = float(jnp.max(jnp.abs(expected)))
        np.testing.assert_allclose(rough.astype(jnp.float32), expected, atol=0.03 * largest)


@pytest.fixture(scope="module")
def of_torchvision(torch_originals):
    """The original as in detectors trained on COCO, and its weights in ours.

    Statistics are so small that an epsilon of 1e-5 would show, as in some channels of the COCO weights.
    """
    network = torch_originals.resnet50_fpn(epsilon=0.0)
    tensors = network.state_dict()
    for name, value in tensors.items():
        if name.endswith("running_var"):
            value *= 1e-5
            tensors[name.replace("running_var", "weight")] *= 1e-5**0.5
    return network, imported("resnet50-fpn", functools.partial(torch_originals.save, network))


@pytest.mark.parametrize("size", [(64, 64), (75, 97)])
def test_a_pyramid_equals_torchvision(torch_originals, of_torchvision, size):
    (network, variables), images = of_torchvision, random_images(size)
    maps = list(infer(Strided(), {}, images).values())[1:]
    inputs = {str(level): torch_originals.channels_first(np.asarray(m)) for level, m in enumerate(maps)}
    expected = torch_originals.pyramid_levels(network.fpn(inputs))
    params = {name: leaves for name, leaves in variables["params"].items() if name != "backbone"}
    errors = relative_errors(infer(FPN(backbone=Strided()), {"params": params}, images), expected)
    assert max(errors.values()) < 1e-4, errors


def test_the_whole_of_a_pretrained_detector_equals_torchvision(torch_originals, of_torchvision):
    (network, variables), images = of_torchvision, random_images((75, 97))
    expected = torch_originals.fpn_stages(network, images)
    errors = relative_errors(infer(ON_RESNET, variables, images), expected)
    assert max(errors.values()) < 1e-4, errors
