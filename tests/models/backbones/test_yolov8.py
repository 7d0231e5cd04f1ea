"""The backbone equals an independent implementation of its published structure, and fits its weights."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from cellmotion_jax.models.backbones.yolov8 import YOLOv8Backbone
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import import_weights, load_weights
from tests.models.backbones import yolov8_original
from tests.models.backbones.parity import (
    imported,
    infer,
    photographs,
    random_images,
    relative_errors,
    shapes_of,
)
from tests.models.backbones.yolov8_agreement import agreement, what_is_normalised

MODEL = "yolov8-n"


@functools.cache
def weights():
    return yolov8_original.random_weights()


@functools.cache
def variables():
    return imported(MODEL, functools.partial(yolov8_original.save, weights()))


@functools.cache
def features(size):
    return infer(YOLOv8Backbone(), variables(), random_images(size))


@pytest.mark.parametrize("size", [(64, 64), (75, 97)])
def test_every_stage_equals_the_structure_written_down_again(size):
    errors = relative_errors(features(size), yolov8_original.in_lax(weights(), random_images(size)))
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.parametrize("size", [(64, 64), (75, 97)])
def test_every_stage_equals_the_same_structure_in_torch(size):
    pytest.importorskip("torch")
    errors = relative_errors(features(size), yolov8_original.in_torch(weights(), random_images(size)))
    assert max(errors.values()) < 1e-4, errors


def test_running_statistics_take_up_three_per_cent_of_the_batch():
    batch, after = what_is_normalised(variables(), random_images((64, 64)), train=True)
    before = flatten_dict(variables()["batch_stats"])
    expected = {path: 0.97 * old + 0.03 * batch[path] for path, old in before.items()}
    assert len(expected) == 2 * 27
    chex.assert_trees_all_close(after, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def pretrained(real_weights, tmp_path_factory):
    """What became of the tensors of the whole detector, and the variables."""
    out = tmp_path_factory.mktemp("yolov8") / "ours.safetensors"
    report = import_weights(real_weights / "yolov8n_state_fp16.npz", model=MODEL, out=out)
    return report, load_weights(out).variables


@pytest.mark.real_data
def test_every_tensor_of_the_published_backbone_has_its_place(pretrained):
    report, variables = pretrained
    backbone = [name for name in report.left_out if int(name.split(".")[1]) < 10]
    assert all(name.endswith("num_batches_tracked") for name in backbone)
    assert report.tensors == 5 * len(backbone) == 5 * 27
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 1_272_656


@pytest.mark.real_data
def test_photographs_cause_the_activations_of_the_original_training(pretrained):
    """A wrong wiring with the right shapes shows here and nowhere else.

    The median correlation is 0.97. Of the wrong wirings that were tried (the halves of C2f swapped for the
    chain, for the merge or for both; merged after the bottlenecks, or in reverse; no shortcut) none reaches
    0.80.
    """
    _, variables = pretrained
    images = CATALOGUE[MODEL].scaling.of_colours(photographs((320, 416)))
    right = agreement(variables, images)
    assert np.median(list(right.values())) > 0.9
    assert min(right.values()) > 0.6
    # Pooled features merged in another order: at most 0.93.
    assert right["sppf", "merge", "bn"] > 0.97

    wrong = agreement(with_halves_swapped(variables), images)
    assert np.median(list(wrong.values())) < 0.85


def with_halves_swapped(variables):
    """The merge of every C2f block mistakes the first half of the split for the second."""
    swapped = flatten_dict(variables)
    for path, kernel in swapped.items():
        if path[2:] == ("c2f", "merge", "conv", "kernel"):
            first, second, rest = jnp.split(kernel, [kernel.shape[3] // 2, kernel.shape[3]], axis=2)
            swapped[path] = jnp.concatenate([second, first, rest], axis=2)
    return unflatten_dict(swapped)


def test_in_bfloat16_features_are_that_and_parameters_float32():
    features, variables = shapes_of(YOLOv8Backbone(dtype=jnp.bfloat16))
    assert all(maps.dtype == jnp.bfloat16 for maps in features)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 64, 64, 1), "3 channels"), ((1, 64, 31, 3), "sides below 32")]
)
def test_images_it_cannot_take_are_refused_by_shape(shape, message):
    with pytest.raises(ValueError, match=rf"\(1, 64, .*{message}"):
        shapes_of(YOLOv8Backbone(), shape)
