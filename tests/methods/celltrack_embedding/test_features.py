"""Trained embeddings as files, and as features of a frame."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_embedding.features import embedding_features
from cellmotion_jax.methods.celltrack_embedding.model_file import (
    MODEL_FORMAT,
    load_model,
    save_model,
)
from cellmotion_jax.weights.safetensors_files import read_metadata
from tests.tracking_embeddings import tiny_embedding

FRAME = jax.random.normal(jax.random.key(1), (21, 30))


@functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def prepare(features, frame):
    return features.prepare(frame)


@pytest.fixture(scope="module")
def model():
    return tiny_embedding()


def test_a_file_gives_back_the_model(model, tmp_path):
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    for field in dataclasses.fields(model):
        if field.name != "variables":
            assert getattr(loaded, field.name) == getattr(model, field.name), field.name
    one, other = (prepare(embedding_features(it, with_intensity=True), FRAME) for it in (model, loaded))
    for expected, found in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_levels_are_the_features_and_if_wanted_the_intensity(model):
    plain = embedding_features(model, with_intensity=False)
    both = embedding_features(model, with_intensity=True)
    maps = prepare(both, FRAME)
    assert (plain.strides, both.strides) == ((1,), (1, 1))
    assert [level.shape for level in maps.levels] == [(21, 30, 3), (21, 30, 1)]
    assert maps.centre.shape == (21, 30)
    np.testing.assert_array_equal(maps.levels[1][..., 0], FRAME)
    [alone] = prepare(plain, FRAME).levels
    np.testing.assert_allclose(alone, maps.levels[0], atol=1e-5)


def test_windows_are_cut_from_all_maps(model):
    features = embedding_features(model, with_intensity=True)
    maps = prepare(features, FRAME)
    cut = features.windows(maps, jnp.array([[10.0, 12.0]]), None, size=8)
    for level, windows in zip(maps.levels, cut.levels):
        np.testing.assert_array_equal(windows[0], level[6:14, 8:16])
    np.testing.assert_array_equal(cut.centre[0], maps.centre[6:14, 8:16])


def test_files_that_hold_no_such_model_are_refused(model, tmp_path):
    with pytest.raises(InputError, match="does not exist; it should be a safetensors"):
        load_model(tmp_path / "absent.safetensors")
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    tensors, described = load_file(path), json.loads(read_metadata(path)[MODEL_FORMAT.key])

    def refused(tensors, metadata, words):
        other = tmp_path / "other.safetensors"
        save_file(tensors, other, metadata=metadata)
        with pytest.raises(InputError, match=words):
            load_model(other)

    refused(tensors, {}, "not a tracking embedding")
    without = {name: value for name, value in described.items() if name != "spread"}
    refused(tensors, {MODEL_FORMAT.key: json.dumps(without)}, "cannot build .*spread")
    wider = described | {"network": described["network"] | {"base_width": 3}}
    refused(tensors, {MODEL_FORMAT.key: json.dumps(wider)}, "does not fit .*params/")
