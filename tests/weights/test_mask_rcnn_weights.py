"""The state dict of torchvision's Mask R-CNN is imported whole, and computes what torch computes with it."""

import functools

import chex
import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from cellmotion_jax.errors import InputError
from cellmotion_jax.models.backbones.fpn import FPN
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.backbones.resnet import ResNetFeatures
from cellmotion_jax.models.mask_rcnn import MaskRCNN
from cellmotion_jax.weights import convert, layouts
from cellmotion_jax.weights.catalogue import CATALOGUE, STANDARDIZED, Entry
from cellmotion_jax.weights.convert import import_weights, load_weights
from cellmotion_jax.weights.fitting import variable_shapes
from cellmotion_jax.weights.kinds import MODEL_KEY, held
from cellmotion_jax.weights.layouts import Slot
from tests.models.backbones import torch_originals

MODEL = "mask-rcnn-resnet50-fpn"
CLASSES, CHANNELS, BOX_WIDTH, MASK_WIDTH = 3, 6, 5, 4
LEVELS = (4, 5, 6, 7)
"""Channels of the four maps of the small backbone."""
OLDER = {"rpn.head.conv.0.0": "rpn.head.conv"}
OLDER |= {f"roi_heads.mask_head.{i}.0": f"roi_heads.mask_head.mask_fcn{i + 1}" for i in range(4)}
for kind in ("inner", "layer"):
    OLDER |= {f"backbone.fpn.{kind}_blocks.{i}.0": f"backbone.fpn.{kind}_blocks.{i}" for i in range(4)}


class SmallBackbone(MobileNetV2):
    """The first convolution of a ResNet with its normalisation, of which all maps are made."""

    @nn.compact
    def __call__(self, images, *, train: bool):
        x = nn.Conv(LEVELS[-1], (7, 7), 2, use_bias=False, name="conv1_conv")(images)
        x = nn.BatchNorm(use_running_average=not train, name="conv1_bn")(x)
        maps = [x[:, :: 2**level, :: 2**level, :channels] for level, channels in enumerate(LEVELS, start=1)]
        return ResNetFeatures(x, *maps)


SMALL = MaskRCNN(
    fpn=FPN(backbone=SmallBackbone(), channels=CHANNELS),
    classes=CLASSES,
    box_width=BOX_WIDTH,
    mask_width=MASK_WIDTH,
    aligned=False,
)


@pytest.fixture
def small(monkeypatch):
    """A small network, and no other, in the catalogue."""
    entry = Entry(SMALL, STANDARDIZED, layouts.torchvision_mask_rcnn(), "torchvision")
    monkeypatch.setattr(convert, "CATALOGUE", {"small-mask-rcnn": entry})
    return "small-mask-rcnn"


def layer(name, *shape, bias=None):
    return {f"{name}.weight": shape, f"{name}.bias": (shape[0] if bias is None else bias,)}


def frozen_norm(name, channels):
    return {f"{name}.{leaf}": (channels,) for leaf in ("weight", "bias", "running_mean", "running_var")}


def head_shapes(levels, channels, classes, box_width, mask_width):
    """Names and shapes of everything but the backbone in torchvision."""
    shapes = {}
    for i, of_level in enumerate(levels):
        shapes |= layer(f"backbone.fpn.inner_blocks.{i}.0", channels, of_level, 1, 1)
        shapes |= layer(f"backbone.fpn.layer_blocks.{i}.0", channels, channels, 3, 3)
    shapes |= layer("rpn.head.conv.0.0", channels, channels, 3, 3)
    shapes |= layer("rpn.head.cls_logits", 3, channels, 1, 1)
    shapes |= layer("rpn.head.bbox_pred", 12, channels, 1, 1)
    shapes |= layer("roi_heads.box_head.fc6", box_width, channels * 7 * 7)
    shapes |= layer("roi_heads.box_head.fc7", box_width, box_width)
    shapes |= layer("roi_heads.box_predictor.cls_score", classes, box_width)
    shapes |= layer("roi_heads.box_predictor.bbox_pred", 4 * classes, box_width)
    for i in range(4):
        shapes |= layer(f"roi_heads.mask_head.{i}.0", mask_width, mask_width if i else channels, 3, 3)
    # The only one with its inputs first.
    shapes |= layer("roi_heads.mask_predictor.conv5_mask", mask_width, mask_width, 2, 2, bias=mask_width)
    return shapes | layer("roi_heads.mask_predictor.mask_fcn_logits", classes, mask_width, 1, 1)


def resnet50_shapes():
    """Names and shapes of the backbone in torchvision."""
    shapes = {"conv1.weight": (64, 3, 7, 7), **frozen_norm("bn1", 64)}
    inputs = 64
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            sizes = [(width, inputs, 1), (width, width, 3), (4 * width, width, 1)]
            for number, (after, before, side) in enumerate(sizes, start=1):
                shapes[f"{at}.conv{number}.weight"] = (after, before, side, side)
                shapes |= frozen_norm(f"{at}.bn{number}", after)
            if block == 0:
                shapes[f"{at}.downsample.0.weight"] = (4 * width, inputs, 1, 1)
                shapes |= frozen_norm(f"{at}.downsample.1", 4 * width)
            inputs = 4 * width
    return {f"backbone.body.{name}": shape for name, shape in shapes.items()}


def published_shapes():
    return resnet50_shapes() | head_shapes((256, 512, 1024, 2048), 256, 91, 1024, 256)


@functools.cache
def state_dict():
    """Random weights of the small network by the names of torchvision."""
    shapes = {
        "backbone.body.conv1.weight": (LEVELS[-1], 3, 7, 7),
        **frozen_norm("backbone.body.bn1", LEVELS[-1]),
        **head_shapes(LEVELS, CHANNELS, CLASSES, BOX_WIDTH, MASK_WIDTH),
    }
    rng = np.random.default_rng(0)
    return {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def renamed(tensors):
    """By the names of files from before 2022."""
    return {f"{OLDER.get(at, at)}.{leaf}": value for (at, _, leaf), value in
            ((name.rpartition("."), value) for name, value in tensors.items())}  # fmt: skip


def written(tensors, tmp_path, model):
    """Variables from a file with these tensors."""
    np.savez(tmp_path / "source.npz", **tensors)
    import_weights(tmp_path / "source.npz", model=model, out=tmp_path / "ours.safetensors")
    return load_weights(tmp_path / "ours.safetensors").variables


def applied(variables, head, features):
    return SMALL.apply(variables, jnp.asarray(features), method=lambda network, x: getattr(network, head)(x))


def convolved(maps, name):
    """Cross-correlation of maps [channel, y, x] with zeros around them."""
    kernels, bias = state_dict()[f"{name}.weight"], state_dict()[f"{name}.bias"]
    sums = [
        sum(scipy.signal.correlate(m, k, mode="same") for m, k in zip(maps, of_output))
        for of_output in kernels
    ]
    return np.stack(sums) + bias[:, None, None]


def dense(vector, name):
    return state_dict()[f"{name}.weight"] @ vector + state_dict()[f"{name}.bias"]


def relu(x):
    return np.maximum(x, 0)


def y_first(offsets):
    """(dx, dy, dwidth, dheight) in our order."""
    dx, dy, width, height = np.moveaxis(offsets, -1, 0)
    return np.stack([dy, dx, height, width], axis=-1)


def random_maps(side):
    return np.random.default_rng(1).normal(size=(CHANNELS, side, side)).astype(np.float32)


def test_the_pyramid_and_its_backbone_are_imported(tmp_path, small):
    tensors, variables = state_dict(), written(state_dict(), tmp_path, small)
    fpn, statistics = variables["params"]["fpn"], variables["batch_stats"]["fpn"]["backbone"]["conv1_bn"]
    kernel = tensors["backbone.body.conv1.weight"]
    np.testing.assert_array_equal(fpn["backbone"]["conv1_conv"]["kernel"], kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(statistics["var"], tensors["backbone.body.bn1.running_var"])
    for level in (2, 3, 4, 5):
        for kind in ("inner", "layer"):
            name = f"backbone.fpn.{kind}_blocks.{level - 2}.0"
            ours = fpn[f"{kind}_{level}"]
            np.testing.assert_array_equal(ours["kernel"][0, 0], tensors[f"{name}.weight"][:, :, 0, 0].T)
            np.testing.assert_array_equal(ours["bias"], tensors[f"{name}.bias"])


def test_region_proposals_are_those_of_torchvision_with_y_before_x(tmp_path, small):
    variables, maps = written(state_dict(), tmp_path, small), random_maps(5)
    logits, offsets = applied(variables, "rpn", maps.transpose(1, 2, 0)[None])
    shared = relu(convolved(maps, "rpn.head.conv.0.0"))
    expected = convolved(shared, "rpn.head.cls_logits")
    np.testing.assert_allclose(logits[0], expected.transpose(1, 2, 0).ravel(), rtol=1e-4, atol=1e-5)
    by_anchor = convolved(shared, "rpn.head.bbox_pred").reshape(3, 4, 5, 5).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(offsets[0], y_first(by_anchor).reshape(-1, 4), rtol=1e-4, atol=1e-5)


def test_the_box_head_takes_features_in_our_order_of_axes(tmp_path, small):
    variables, maps = written(state_dict(), tmp_path, small), random_maps(7)
    logits, offsets = applied(variables, "box_head", maps.transpose(1, 2, 0))
    hidden = relu(dense(relu(dense(maps.ravel(), "roi_heads.box_head.fc6")), "roi_heads.box_head.fc7"))
    expected = dense(hidden, "roi_heads.box_predictor.cls_score")
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    of_classes = dense(hidden, "roi_heads.box_predictor.bbox_pred").reshape(CLASSES, 4)
    np.testing.assert_allclose(offsets, y_first(of_classes), rtol=1e-4, atol=1e-5)


def test_the_mask_head_doubles_as_a_transposed_convolution(tmp_path, small):
    variables, maps = written(state_dict(), tmp_path, small), random_maps(14)
    masks = applied(variables, "mask_head", maps.transpose(1, 2, 0)[None])[0]
    x = maps
    for number in range(4):
        x = relu(convolved(x, f"roi_heads.mask_head.{number}.0"))
    name = "roi_heads.mask_predictor.conv5_mask"
    kernel, doubled = state_dict()[f"{name}.weight"], np.zeros((MASK_WIDTH, 28, 28))
    for i, j, a, b in np.ndindex(14, 14, 2, 2):
        doubled[:, 2 * i + a, 2 * j + b] = x[:, i, j] @ kernel[:, :, a, b]
    doubled = relu(doubled + state_dict()[f"{name}.bias"][:, None, None])
    expected = convolved(doubled, "roi_heads.mask_predictor.mask_fcn_logits")
    np.testing.assert_allclose(masks, expected.transpose(1, 2, 0), rtol=1e-4, atol=1e-5)


def test_older_names_are_known(tmp_path, small):
    older = renamed(state_dict())
    assert {"rpn.head.conv.weight", "roi_heads.mask_head.mask_fcn4.bias"} <= older.keys()
    assert "backbone.fpn.inner_blocks.3.weight" in older
    chex.assert_trees_all_equal(written(older, tmp_path, small), written(state_dict(), tmp_path, small))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("rpn.head.bbox_pred.weight", (10, CHANNELS, 1, 1)),
        ("rpn.head.bbox_pred.bias", (3,)),
        ("roi_heads.box_predictor.bbox_pred.weight", (4 * CLASSES + 1, BOX_WIDTH)),
        ("roi_heads.box_head.fc6.weight", (CHANNELS * 49, BOX_WIDTH)),
        ("roi_heads.box_head.fc6.weight", (BOX_WIDTH, CHANNELS * 7 * 7, 1)),
        ("roi_heads.mask_predictor.conv5_mask.weight", (MASK_WIDTH, 2 * MASK_WIDTH, 2, 1)),
        ("roi_heads.mask_predictor.conv5_mask.weight", (MASK_WIDTH, 4 * MASK_WIDTH)),
        ("roi_heads.mask_predictor.conv5_mask.bias", ()),
    ],
)
def test_another_shape_is_refused(tmp_path, small, name, shape):
    with pytest.raises(InputError) as refused:
        written(state_dict() | {name: np.zeros(shape, np.float32)}, tmp_path, small)
    assert f"1 of another shape ({name} {shape})" in str(refused.value)
    assert not (tmp_path / "ours.safetensors").exists()


def test_a_network_without_masks_is_refused(tmp_path, small):
    boxes_alone = {name: value for name, value in state_dict().items() if ".mask_" not in name}
    with pytest.raises(
        InputError, match=r"12 missing \(roi_heads\.mask_predictor\.conv5_mask\.bias, .*torchv"
    ):
        written(boxes_alone, tmp_path, small)


def test_the_second_version_is_refused(tmp_path, small):
    """Normalised in its pyramid and heads, and with four convolutions in the box head."""
    more = {"backbone.fpn.inner_blocks.0.1.weight": np.zeros(CHANNELS, np.float32)}
    with pytest.raises(InputError, match=r"1 unknown \(backbone\.fpn\.inner_blocks\.0\.1\.weight\)"):
        written(state_dict() | more, tmp_path, small)


def test_every_tensor_of_the_published_network_has_its_place():
    """Shapes alone: the network has 44 million parameters."""
    entry = CATALOGUE[MODEL]
    shapes = variable_shapes(entry.module, entry.image_shape)
    norms = {path.split("/", 1)[1].rpartition("/")[0] for path in shapes if path.startswith("batch_stats/")}
    theirs, places = published_shapes(), []
    for path, shape in shapes.items():
        module, _, leaf = path.split("/", 1)[1].rpartition("/")
        slot = Slot(module, leaf, module in norms, shape)
        newest, *older = entry.layout.names(slot)
        assert entry.layout.turn(np.broadcast_to(np.float32(0), theirs[newest]), slot).shape == shape
        assert older == [name for name in renamed({newest: None}) if name != newest]
        places.append(newest)
    assert len(set(places)) == len(places)
    assert set(places) == theirs.keys()


def test_the_published_network_is_as_it_was_trained():
    network = CATALOGUE[MODEL].module
    assert (network.fpn.backbone.epsilon, network.classes, network.aligned) == (0, 91, False)


def test_training_takes_the_imported_weights():
    assert held({MODEL_KEY: MODEL}).use == "`cellmotion train` takes as --weights"


def test_the_names_and_shapes_written_here_are_those_of_torchvision():
    if not torch_originals.is_installed():
        pytest.skip("torch and torchvision are not installed")
    tensors = torch_originals.mask_rcnn().state_dict()
    assert {name: tuple(value.shape) for name, value in tensors.items()} == published_shapes()
