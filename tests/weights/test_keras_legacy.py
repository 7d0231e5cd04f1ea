"""HDF5 files as Keras 1 and 2 wrote them give the layers' names, and nothing outside a file is opened."""

import json
import re

import h5py
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.read import read_tensors


def refused(path, sentence):
    return pytest.raises(InputError, match=rf"^{re.escape(str(path))} {sentence}")


def keras_1_or_2(path, weights, *, below=None, **attributes):
    """A file of the older layout, from layers as ``{layer: {weight name: values}}``."""
    with h5py.File(path, "w") as file:
        root = file.create_group(below) if below else file
        root.attrs["layer_names"] = [layer.encode() for layer in weights]
        for layer, tensors in weights.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in tensors]
            for name, values in tensors.items():
                group[name] = values
        file.attrs.update(attributes)
    return path


def test_names_as_keras_1_and_2_wrote_them(tmp_path):
    one, two = np.ones(3, np.float32), np.ones((2, 2), np.float64)
    weights = {
        "conv": {"conv/kernel:0": one, "conv/bias:0": two},
        "input": {},
        "dense_1": {"dense_1_W": two},
        "backbone": {"Conv1/kernel:0": one, "backbone/Conv2/kernel:0": two},
        "cell": {"block/cell/kernel:0": one},
        "same": {"same/same/kernel:0": one},
    }
    expected = {
        "conv/kernel": one,
        "conv/bias": two,
        "dense_1/W": two,
        "Conv1/kernel": one,
        "Conv2/kernel": two,
        "cell/kernel": one,
        "same/kernel": one,
    }
    inner = {"class_name": "Model", "config": {"name": "backbone", "layers": [{"class_name": "Conv2D"}]}}
    config = {"class_name": "Model", "config": {"name": "same", "layers": [inner]}}
    for below in (None, "model_weights"):
        path = keras_1_or_2(tmp_path / "x.h5", weights, below=below, model_config=json.dumps(config))
        read = read_tensors(path)
        assert list(read) == list(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(read[name], values, strict=True)


def test_a_long_list_of_names_in_several_attributes(tmp_path):
    path = keras_1_or_2(tmp_path / "x.h5", {name: {f"{name}/kernel:0": np.ones(2)} for name in "abcde"})
    with h5py.File(path, "r+") as file:
        names = file.attrs.pop("layer_names")
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:3], names[3:]
    assert list(read_tensors(path)) == [f"{name}/kernel" for name in "abcde"]


def test_two_tensors_of_one_name_are_refused(tmp_path):
    twins = {model: {"Conv1/kernel:0": np.ones(2)} for model in ("left", "right")}
    path = keras_1_or_2(tmp_path / "x.h5", twins)
    with refused(path, "holds two tensors called 'Conv1/kernel'; give their layers different names"):
        read_tensors(path)


@pytest.fixture
def secret(tmp_path):
    """Another file, which must stay closed."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["kernel"] = np.ones(4, np.float32)
    return path


def soft_link(group, secret):
    group["kernel"] = h5py.SoftLink("/conv/bias")


def external_link(group, secret):
    group["kernel"] = h5py.ExternalLink(str(secret), "kernel")


def virtual_dataset(group, secret):
    layout = h5py.VirtualLayout(shape=(4,), dtype=np.float32)
    layout[:] = h5py.VirtualSource(secret, "kernel", shape=(4,))
    group.create_virtual_dataset("kernel", layout)


def external_dataset(group, secret):
    group.create_dataset("kernel", (4,), np.float32, external=[(str(secret), 0, 16)])


@pytest.mark.parametrize("elsewhere", [soft_link, external_link, virtual_dataset, external_dataset])
@pytest.mark.parametrize("place", ["conv", "unrelated"])
def test_a_file_that_leads_elsewhere_is_refused(tmp_path, secret, elsewhere, place):
    path = keras_1_or_2(tmp_path / "x.h5", {"conv": {"bias": np.ones(4)}})
    with h5py.File(path, "r+") as file:
        elsewhere(file.require_group(place), secret)
        file["conv"].attrs["weight_names"] = [b"bias", b"kernel"]
    with refused(path, f"(has the link|keeps the data of) '{place}/kernel' in (place of data|other files)"):
        read_tensors(path)


def test_groups_that_hold_themselves_end(tmp_path):
    path = keras_1_or_2(tmp_path / "x.h5", {"conv": {"bias": np.ones(4)}})
    with h5py.File(path, "r+") as file:
        file["conv/up"] = file["/"]
        file["conv/again"] = file["conv/bias"]
    assert list(read_tensors(path)) == ["conv/bias"]


def test_a_dataset_that_would_fill_the_memory_is_refused(tmp_path):
    path = keras_1_or_2(tmp_path / "x.h5", {"conv": {}})
    with h5py.File(path, "r+") as file:
        file.create_dataset("conv/kernel", (2**20, 2**20), np.float32, chunks=(2**10, 2**10))
    with refused(path, r"has \d+ bytes but announces 4398046511104; weights do not compress like that\.$"):
        read_tensors(path)


@pytest.mark.parametrize("values", [b"text", np.array(["a"], h5py.string_dtype()), np.array([1j])])
def test_datasets_of_anything_but_numbers_are_refused(tmp_path, values):
    path = keras_1_or_2(tmp_path / "x.h5", {"conv": {"conv/kernel:0": values}})
    with refused(path, "holds 'conv/kernel:0' of type .*; weights are real numbers"):
        read_tensors(path)


def test_an_hdf5_file_of_something_else_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["measurements/images"] = np.ones(3)
    with refused(tmp_path / "x.h5", "is an HDF5 file with data in 'measurements', but not one of Keras"):
        read_tensors(tmp_path / "x.h5")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "tensors", "kernel"),
    [("*nuclei*61x61_3.h5", 50, (64, 1, 3, 3)), ("*ecoli*31x31_0.h5", 38, (32, 1, 4, 4))],
)
def test_deepcell_networks_of_keras_1(real_weights, name, tensors, kernel):
    (path,) = (real_weights / "deepcell2016").glob(name)
    read = read_tensors(path)
    assert len(read) == tensors
    assert read["convolution2d_1/W"].shape == kernel
    assert {"convolution2d_1/b", "batchnormalization_1/running_std", "dense_2/W"} <= set(read)
    with h5py.File(path) as file:
        for written_name, values in read.items():
            layer, tensor = written_name.split("/")
            np.testing.assert_array_equal(values, file[layer][f"{layer}_{tensor}"], strict=True)
