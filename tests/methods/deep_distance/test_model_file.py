"""A model comes back from its file as it was, and other files are refused in one sentence."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.model_file import MODEL_FORMAT, load_model, save_model
from cellmotion_jax.models.deep_distance import DeepDistance, Task
from cellmotion_jax.weights.kinds import MODEL_KEY
from cellmotion_jax.weights.safetensors_files import read_metadata
from tests.cell_models import cell_model, tiny_cell_model
from tests.model_files import assert_same_model


@pytest.fixture(scope="module")
def model():
    # Every number another one, so that none takes the place of another.
    return tiny_cell_model(
        downsample=3,
        cell_diameter=17.25,
        boundary_width=2.5,
        detection=DetectionSettings(h=0.15, connectivity=4),
        area_threshold=40,
    )


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    save_model(path, model)
    return path


def test_a_model_comes_back_as_it_was(model, file):
    assert_same_model(load_model(file), model)


def test_every_field_of_the_network_but_its_compute_type_is_kept(tmp_path):
    network = DeepDistance(
        tasks=(Task.classification, Task.inner),
        base_width=2,
        depth=1,
        dropout=0.1,
        batch_norm=False,
        cascaded=True,
        dtype=np.dtype("float16"),
    )
    shapes = jax.eval_shape(
        lambda: network.init(jax.random.key(0), jax.numpy.zeros((1, 2, 2, 3)), train=False)
    )
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes)
    save_model(tmp_path / "model.safetensors", cell_model(network, variables, channels=3))
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.network == network.clone(dtype=None)
    assert loaded.channels == 3


def refusal(path):
    with pytest.raises(InputError) as refused:
        load_model(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert "does not exist; it should be a safetensors file, as `cellmotion train`" in refusal(
        tmp_path / "none.safetensors"
    )
    assert "is a folder; it should be a safetensors file" in refusal(tmp_path)


@pytest.mark.parametrize("contents", [b"", b"\x89HDF\r\n\x1a\n and more", b"\xff" * 64])
def test_a_file_of_another_format_is_refused(tmp_path, contents):
    path = tmp_path / "model.safetensors"
    path.write_bytes(contents)
    assert "it should be a safetensors file" in refusal(path)


def test_a_truncated_file_is_refused(file, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(file.read_bytes()[:-8])
    assert "truncated" in refusal(path)


@pytest.mark.parametrize(
    ("metadata", "held"),
    [
        (
            {MODEL_KEY: "resnet50"},
            "holds the weights of resnet50, which this version does not know; it is not a DeepDistance model",
        ),
        (None, "holds tensors of another origin, which `cellmotion import-weights` may convert; it is not a"),
    ],
)
def test_tensors_that_are_no_cell_model_are_refused_by_what_they_are(tmp_path, metadata, held):
    path = tmp_path / "weights.safetensors"
    save_file({"x": np.zeros(3, np.float32)}, path, metadata=metadata)
    assert held in refusal(path)


def changed(file, path, change_tensors=lambda tensors: None, change=lambda described: None):
    """A copy of the model whose tensors or description are changed in place."""
    tensors, described = load_file(file), json.loads(read_metadata(file)[MODEL_FORMAT.key])
    change_tensors(tensors)
    change(described)
    save_file(tensors, path, metadata={MODEL_FORMAT.key: json.dumps(described)})
    return path


def test_tensors_that_do_not_fit_the_network_are_named(file, tmp_path):
    name = "params/encoder/level0/conv1/kernel"
    path = tmp_path / "model.safetensors"
    for change in (
        lambda tensors: tensors.pop(name),
        lambda tensors: tensors.update({name: np.zeros((3, 3, 2, 4), np.float32)}),
        lambda tensors: tensors.update({"params/more": np.zeros(1, np.float32)}),
    ):
        message = refusal(changed(file, path, change))
        assert "does not fit the network it describes" in message
        assert name in message or "params/more" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda described: described["network"].update(tasks=["flow"]),
        lambda described: described["network"].update(width=3),
        lambda described: described["network"].pop("compress"),
        lambda described: described["network"].update(tasks=[]),
        lambda described: described.pop("downsample"),
        lambda described: described["detection"].update(h=-1),
    ],
)
def test_a_description_that_this_version_cannot_build_is_refused(file, tmp_path, change):
    path = changed(file, tmp_path / "model.safetensors", change=change)
    assert "cannot build" in refusal(path)
