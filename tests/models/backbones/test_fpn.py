"""The pyramid computes what torchvision computes, alone and on a ResNet-50."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.fpn import FPN, FPNFeatures, doubled
from cellmotion_jax.models.backbones.resnet import ResNet50, ResNetFeatures, ResNetVariant
from tests.models.backbones import torch_parity
from tests.models.backbones.parity import relative_errors
from tests.models.backbones.test_resnet import infer, random_images, random_variables

CHANNELS = (64, 256, 512, 1024, 2048)
ON_RESNET = FPN(backbone=ResNet50(ResNetVariant.TORCHVISION, epsilon=0.0))


class Strided(nn.Module):
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
        np.testing.assert_array_equal(doubled(images, size)[0], by_definition(images[0], size))


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
    features = FPNFeatures(*infer(model, variables, images))
    assert tuple(maps.shape[1] for maps in features) == sides
    assert {maps.shape[-1] for maps in features} == {8}
    chex.assert_trees_all_equal(features.p6, features.p5[:, ::2, ::2])


def test_a_coarse_level_reaches_every_finer_one_and_none_that_is_coarser():
    """Black images, a bias of 1 in every 1 x 1 convolution: every level sums those above it and its own."""
    model, images = FPN(backbone=Strided(), channels=4), np.zeros((1, 96, 96, 3), np.float32)
    ones = jax.tree.map(jnp.ones_like, random_variables(model))
    features = FPNFeatures(*infer(model, ones, images))
    for levels, maps in enumerate((features.p5, features.p4, features.p3, features.p2), start=1):
        inside = maps[:, 1:-1, 1:-1]  # Of 9 pixels with 4 channels each, and a bias.
        np.testing.assert_allclose(inside, jnp.full_like(inside, 36 * levels + 1), rtol=1e-6)


def test_the_pyramid_of_mask_rcnn_has_its_parameters():
    shapes = jax.eval_shape(lambda: ON_RESNET.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)), train=False))
    pyramid = {name: leaf for name, leaf in shapes["params"].items() if name != "backbone"}
    assert sum(leaf.size for leaf in jax.tree.leaves(pyramid)) == 3_344_384
    assert shapes["params"]["backbone"]["conv1_conv"]["kernel"].shape == (7, 7, 3, 64)


def test_bfloat16_is_close_and_leaves_the_parameters_alone():
    images = random_images((64, 64))
    exact, half = (FPN(backbone=Strided(), channels=8, dtype=dtype) for dtype in (None, jnp.bfloat16))
    shapes = jax.eval_shape(lambda: half.init(jax.random.key(0), jnp.asarray(images), train=False))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype(jnp.float32)}
    variables = random_variables(exact)
    for rough, expected in zip(infer(half, variables, images), infer(exact, variables, images)):
        assert rough.dtype == jnp.bfloat16
        largest = float(jnp.max(jnp.abs(expected)))
        np.testing.assert_allclose(rough.astype(jnp.float32), expected, atol=0.03 * largest)


@pytest.mark.parametrize("size", [(64, 64), (75, 97)])
def test_a_pyramid_equals_torchvision(size):
    torchvision = torch_parity.import_torchvision()
    blocks = torchvision.ops.feature_pyramid_network
    pyramid = blocks.FeaturePyramidNetwork(CHANNELS[1:], 256, blocks.LastLevelMaxPool())
    torch_parity.randomise(pyramid)
    images = random_images(size)
    maps = Strided().apply({}, images, train=False)[1:]
    expected = pyramid({str(i): torch_parity.channels_first(np.asarray(m)) for i, m in enumerate(maps)})
    model = FPN(backbone=Strided())
    features = jax.jit(lambda v, x: model.apply(v, x, train=False))(
        torch_parity.variables_of(pyramid), images
    )
    assert_equal_levels(features, expected)


def test_the_whole_of_a_pretrained_detector_equals_torchvision():
    """Statistics so small that an epsilon of 1e-5 would show, as in some channels of the COCO weights."""
    torchvision = torch_parity.import_torchvision()
    theirs = torchvision.models.detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet50", weights=None
    )
    torchvision.models.detection._utils.overwrite_eps(theirs, 0.0)
    torch_parity.randomise(theirs.eval())
    for name, value in theirs.state_dict().items():
        if name.endswith("running_var"):
            value *= 1e-5
            theirs.state_dict()[name.replace("running_var", "weight")] *= 1e-5**0.5
    images, below = random_images((75, 97)), torch_parity.variables_of(theirs.body)
    pyramid = torch_parity.variables_of(theirs.fpn)["params"]
    variables = {
        "params": {"backbone": below["params"], **pyramid},
        "batch_stats": {"backbone": below["batch_stats"]},
    }
    features = infer(ON_RESNET, variables, images)
    assert_equal_levels(features, theirs(torch_parity.channels_first(images)))


def assert_equal_levels(features, expected):
    levels = [torch_parity.channels_last(maps) for maps in expected.values()]
    names = FPNFeatures._fields
    errors = relative_errors(dict(zip(names, features)), dict(zip(names, levels, strict=True)))
    assert max(errors.values()) < 1e-4, errors
