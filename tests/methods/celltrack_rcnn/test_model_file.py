"""A model comes back from its file as it was, and other files are refused in one sentence."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.model_file import MODEL_FORMAT, load_model, save_model
from cellmotion_jax.methods.celltrack_rcnn.pair_features import LogisticModel
from cellmotion_jax.methods.celltrack_rcnn.segmenter import open_model, open_segmenter
from cellmotion_jax.methods.deep_distance.model_file import save_model as save_cell_model
from cellmotion_jax.models.celltrack_rcnn import CellTrackRCNN
from cellmotion_jax.weights.catalogue import STANDARDIZED
from cellmotion_jax.weights.safetensors_files import read_metadata
from tests.cell_models import tiny_cell_model
from tests.model_files import assert_same_model
from tests.random_variables import draw_variables
from tests.rcnn_models import MOBILE, tiny_model, tiny_network


@pytest.fixture(scope="module")
def model():
    # Every number another one, so that none takes the place of another.
    return tiny_model(
        MOBILE,
        scale=0.75,
        cell_diameter=17.25,
        link=LogisticModel(weights=(1.0, -2.0, 3.0, 0.5, 0.0), bias=0.25),
        division=LogisticModel(weights=tuple(float(n) for n in range(9)), bias=-7.0),
    )


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    save_model(path, model)
    return path


def test_a_model_comes_back_as_it_was(model, file):
    assert_same_model(load_model(file), model)


def test_every_field_of_the_network_but_its_compute_type_is_kept(tmp_path):
    of_tests, _ = tiny_network(MOBILE)
    half = np.dtype("float16")
    network = CellTrackRCNN(
        detector=of_tests.detector.clone(
            anchor_sizes=(4.0, 9.0, 20.0, 50.0, 90.0),
            anchor_ratios=(1.0, 3.0),
            canonical=100.0,
            mask_width=3,
            aligned=False,
            dtype=half,
        ),
        scaling=STANDARDIZED,
        neighbours=2,
        place_unit=(50.0, 70.0),
        spatial=False,
        embedding_width=5,
        dtype=half,
    )
    variables = draw_variables(network, (1, 64, 64, 1))
    save_model(tmp_path / "model.safetensors", tiny_model(network=network, variables=variables))
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.network == network.clone(dtype=None, detector=network.detector.clone(dtype=None))


def test_a_file_is_opened_for_cells_of_another_diameter(model, file):
    assert model.image_diameter == pytest.approx(23)
    opened = open_segmenter(file, cell_diameter=34.5)
    assert opened.model.scale == 0.5
    assert opened.cell_diameter == 34.5
    for diameter in (0.0, -3.0, float("nan")):
        with pytest.raises(InputError, match=r"^cell-diameter is"):
            open_model(file, cell_diameter=diameter)
    with pytest.raises(InputError, match="scale is"):
        open_model(file, cell_diameter=1e-3)


@pytest.mark.parametrize("kind", ["link", "division"])
def test_regressions_on_other_features_are_refused(model, kind):
    other = {kind: LogisticModel(weights=(1.0, 2.0))}
    count = {"link": 5, "division": 9}[kind]
    with pytest.raises(InputError, match=rf"RCNNModel\.{kind}\.weights is .*there are {count} features"):
        dataclasses.replace(model, **other)


def refusal(path):
    with pytest.raises(InputError) as refused:
        load_model(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "model.safetensors")


def test_a_model_of_another_method_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_cell_model(path, tiny_cell_model())
    message = refusal(path)
    assert "DeepDistance" in message
    assert "CellTrack R-CNN" in message


def changed(file, path, change_tensors=lambda tensors: None, change=lambda described: None):
    tensors, metadata = load_file(file), read_metadata(file)
    described = json.loads(metadata[MODEL_FORMAT.key])
    change_tensors(tensors)
    change(described)
    save_file(tensors, path, metadata=metadata | {MODEL_FORMAT.key: json.dumps(described)})
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda described: described["link"].update(weights=[1.0, 2.0]),
        lambda described: described["division"].update(bias=None),
        lambda described: described.pop("scale"),
        lambda described: described.update(scale=0),
        lambda described: described["network"].update(neighbours=0),
        lambda described: described["network"].update(place_unit=[1.0]),
        lambda described: described["network"].pop("detector"),
        lambda described: described["network"]["detector"].update(box_width=-4),
        lambda described: described["network"]["detector"]["fpn"].update(backbone="None"),
    ],
)
def test_a_description_that_this_version_cannot_build_is_refused(file, tmp_path, change):
    path = changed(file, tmp_path / "model.safetensors", change=change)
    assert "cannot build" in refusal(path)


def test_tensors_that_do_not_fit_the_network_are_refused(file, tmp_path):
    path = tmp_path / "model.safetensors"
    name = "params/visual_head/similarity/kernel"
    for change in (
        lambda tensors: tensors.pop(name),
        lambda tensors: tensors.update({name: np.zeros((3, 1), np.float32)}),
        lambda tensors: tensors.update({"params/more": np.zeros(1, np.float32)}),
    ):
        message = refusal(changed(file, path, change))
        assert "does not fit the network it describes" in message
        assert name in message or "params/more" in message


def test_a_file_has_as_many_layers_as_its_network(model, file):
    """A file with fewer tensors than the network has layers at least is not opened."""
    assert MODEL_FORMAT.layers(model) <= len(load_file(file))
    assert len(jax.tree.leaves(dict(model.variables))) == len(load_file(file))
