"""Descriptions of models: files of earlier versions are loaded, unknown versions are refused by name."""

import dataclasses
import enum
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.convlstm import model_file as convlstm
from cellmotion_jax.methods.deep_distance import model_file as deep_distance
from cellmotion_jax.methods.deepcell import model_file as deepcell
from cellmotion_jax.methods.deepcell.nuclei import NucleiSettings
from cellmotion_jax.methods.recognet import model_file as recognet
from cellmotion_jax.weights.descriptions import describe, restore
from cellmotion_jax.weights.kinds import HELD, MODEL_KEY, held_model
from cellmotion_jax.weights.safetensors_files import read_metadata
from tests.cell_models import tiny_cell_model
from tests.model_files import assert_same_model
from tests.nuclei_networks import tiny_nuclei_network
from tests.recognet_models import tiny_recognet
from tests.video_models import tiny_video_model


def _deepcell_model():
    settings = NucleiSettings(downsample=3, seed=0.6, extent=0.1)
    return dataclasses.replace(tiny_nuclei_network(), settings=settings)


def _recognet_model():
    return dataclasses.replace(tiny_recognet(), downsample=2)


def _with_shrink(described):
    described["shrink"] = described.pop("downsample")


def _with_layers_beside_the_network(described):
    layers = described["network"].pop("layers")
    described["layers"] = [[it["kernel"], it["width"]] if it else None for it in layers]
    described["settings"]["shrink"] = described["settings"].pop("downsample")


@pytest.mark.parametrize(
    ("method", "make", "age"),
    [
        (deep_distance, lambda: tiny_cell_model(downsample=3), _with_shrink),
        (convlstm, lambda: tiny_video_model(downsample=2), _with_shrink),
        (deepcell, _deepcell_model, _with_layers_beside_the_network),
        (recognet, _recognet_model, _with_shrink),
    ],
)
def test_files_of_the_version_before_the_names_changed_load_as_they_were(tmp_path, method, make, age):
    model = make()
    new, old = tmp_path / "new.safetensors", tmp_path / "old.safetensors"
    method.save_model(new, model)
    key = method.MODEL_FORMAT.key
    described = json.loads(read_metadata(new)[key])
    age(described)
    save_file(load_file(new), old, metadata={key: json.dumps(described)})
    assert_same_model(method.load_model(old), model)


class _Way(enum.Enum):
    there = "there"
    back = "back"


@dataclasses.dataclass(frozen=True)
class _Trip:
    way: _Way
    lengths: tuple[int, ...]
    name: str = "unnamed"
    label: str = ""


def test_a_description_is_json_and_comes_back():
    trip = _Trip(_Way.back, (1, 2), label="x")
    described = json.loads(json.dumps(describe(trip)))
    assert described == {"way": "back", "lengths": [1, 2], "label": "x"}  # A module's name is not kept.
    assert restore(_Trip, described) == trip


@pytest.mark.parametrize("change", [{"far": 1}, {"label": None}])
def test_a_field_too_many_or_missing_is_named(change):
    described = {"way": "back", "lengths": [1], "label": "x"} | change
    described = {name: value for name, value in described.items() if value is not None}
    with pytest.raises(ValueError, match=next(iter(change))):
        restore(_Trip, described)


def test_what_a_file_holds_is_told_apart(tmp_path):
    path = tmp_path / "file.safetensors"
    tensors = {"x": np.zeros(1, np.float32)}
    for key, what in HELD.items():
        save_file(tensors, path, metadata={key: "{}"})
        assert held_model(path)[:2] == (key, what)
    save_file(tensors, path, metadata={MODEL_KEY: "resnet50"})
    assert held_model(path)[:2] == (None, "the weights of resnet50")
    save_file(tensors, path)
    assert held_model(path)[:2] == (None, "tensors of another origin")


def test_a_model_of_another_kind_is_named(tmp_path):
    convlstm.save_model(tmp_path / "video.safetensors", tiny_video_model())
    with pytest.raises(
        InputError,
        match=r"holds a ConvLSTM model, which `cellmotion segment` takes .*; it is not a DeepDistance",
    ):
        deep_distance.load_model(tmp_path / "video.safetensors")


@pytest.mark.parametrize("text", ["{", "[1, 2]"])
def test_a_damaged_description_is_refused(tmp_path, text):
    path = tmp_path / "model.safetensors"
    save_file({"x": np.zeros(1, np.float32)}, path, metadata={deep_distance.MODEL_FORMAT.key: text})
    with pytest.raises(InputError, match=r"in its description, holds no JSON|is damaged"):
        deep_distance.load_model(path)
