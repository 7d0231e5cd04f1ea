"""A RecogNet comes back from its file as it was, and other files are refused in one sentence."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.recognet.model_file import (
    MODEL_FORMAT,
    RecogNetModel,
    load_model,
    save_model,
)
from cellmotion_jax.models.recognet import RecogNet
from cellmotion_jax.weights.safetensors_files import read_metadata
from tests.model_files import assert_same_model


@pytest.fixture(scope="module")
def model():
    network = RecogNet(nuclei=3, widths=(2, 4), dense_width=5, dropout=0.1, dense_dropout=0.2)
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    return RecogNetModel(
        network=network, variables=variables, mean=0.25, scale=3.5, window=8, downsample=2, names=("a", "b")
    )


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    save_model(path, model)
    return path


def test_a_model_comes_back_as_it_was(model, file):
    assert_same_model(load_model(file), model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda described: described["network"].pop("widths"), "cannot build"),
        (lambda described: described["network"].update(widths=[2]), "cannot build"),
        (lambda described: described.pop("mean"), "cannot build"),
        (lambda described: described["network"].update(dense_width=6), "does not fit"),
    ],
)
def test_descriptions_of_another_version_are_refused(file, tmp_path, change, words):
    described = json.loads(read_metadata(file)[MODEL_FORMAT.key])
    change(described)
    path = tmp_path / "model.safetensors"
    save_file(load_file(file), path, metadata={MODEL_FORMAT.key: json.dumps(described)})
    with pytest.raises(InputError, match=words):
        load_model(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist; it should be a safetensors"):
        load_model(tmp_path / "none.safetensors")
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="not a RecogNet"):
        load_model(tmp_path / "other.safetensors")
