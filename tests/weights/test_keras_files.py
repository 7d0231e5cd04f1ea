"""Keras's own files, old and new, give one dict for one model, and nothing outside a file is opened."""

import io
import json
import os
import re
import warnings
import zipfile

import h5py
import jax
import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Keras imports what NumPy has deprecated
    import keras
    from keras import layers

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.read import read_tensors

# Keras turns its variables into arrays in a way that NumPy is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

FORMATS = ("x.h5", "x.keras", "x.weights.h5")


@pytest.fixture(autouse=True)
def zeros_at_first(monkeypatch):
    """Keras would compile one random generator for each shape of a kernel, which takes most of a test."""

    def zeros(self, shape, dtype=None):
        return jax.numpy.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)


def refused(path, sentence):
    return pytest.raises(InputError, match=rf"^{re.escape(str(path))} {sentence}")


def written(model, folder, name="x.keras"):
    path = folder / name
    model.save_weights(path) if name.endswith(".weights.h5") else model.save(path)
    return path


def randomised(model):
    """The model with other values in every tensor, so that no two can be confused."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def all_layers(model):
    for layer in model.layers:
        yield from all_layers(layer) if isinstance(layer, keras.Model) else [layer]


def assert_holds(tensors, model):
    expected = {
        f"{layer.name}/{weight.name}": np.asarray(weight)
        for layer in all_layers(model)
        for weight in layer.weights
    }
    assert set(tensors) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(tensors[name], values, strict=True)


def small(**settings):
    return keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.Conv2D(4, 3, name="stem"),
            layers.BatchNormalization(name="norm", **settings),
            layers.DepthwiseConv2D(3, use_bias=False, name="depth"),
            layers.Flatten(),
            layers.Dense(2, name="head"),
        ],
        name="small",
    )


def of_many_layers():
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Normalization(),
            layers.RandomRotation(0.1),
            layers.SeparableConv2D(3, 3),
            layers.GroupNormalization(groups=3),
            layers.PReLU(),
            layers.Conv2DTranspose(4, 2),
            layers.LayerNormalization(),
            layers.Dropout(0.5),
            layers.Conv2D(4, 1, use_bias=False, name="stem"),
            layers.Conv2D(3, 1),
        ]
    )


def of_models():
    """A functional model and a sequential one inside another, and the state of an optimiser."""
    images = keras.Input((12, 12, 3))
    inner = keras.Model(images, layers.Conv2D(3, 3, name="inner")(images), name="backbone")
    outer = keras.Input((12, 12, 3))
    x = small()(layers.Conv2D(3, 2, name="first")(inner(outer)))
    model = keras.Model(outer, layers.Dense(1, name="last")(x), name="outer")
    model.compile("adam", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


def mobilenet():
    return keras.applications.MobileNetV2(
        alpha=0.35, weights=None, include_top=False, input_shape=(64, 64, 3)
    )


@pytest.mark.parametrize("build", [small, of_many_layers, of_models, mobilenet])
def test_all_formats_of_keras_give_the_names_and_values_of_its_layers(tmp_path, build):
    model = randomised(build())
    for name in FORMATS:
        assert_holds(read_tensors(written(model, tmp_path, name)), model)


def test_what_an_optimiser_remembers_is_no_weight(tmp_path):
    model = randomised(of_models())
    for name, group in (("x.h5", "optimizer_weights"), ("x.weights.h5", "optimizer")):
        path = written(model, tmp_path, name)
        with h5py.File(path) as file:
            assert len(file[group])
        assert_holds(read_tensors(path), model)


@pytest.mark.parametrize("name", FORMATS[:2])
def test_a_model_that_was_loaded_again_gives_the_same(tmp_path, name):
    model = randomised(of_models())
    again = keras.models.load_model(written(model, tmp_path))
    (tmp_path / "again").mkdir()
    assert_holds(read_tensors(written(again, tmp_path / "again", name)), model)


@pytest.mark.parametrize("settings", [{"scale": False}, {"center": False}, {"scale": False, "center": False}])
def test_a_normalisation_without_scale_or_shift(tmp_path, settings):
    model = randomised(small(**settings))
    for name in FORMATS[:2]:
        assert_holds(read_tensors(written(model, tmp_path, name)), model)
    path = written(model, tmp_path, "x.weights.h5")
    if len(settings) == 2:
        assert_holds(read_tensors(path), model)
    else:
        with refused(path, r"does not name the tensors of 'norm' at .* their number \(3\) leaves it open"):
            read_tensors(path)


def test_layers_with_parts_are_named_by_the_old_format_and_refused_in_the_new_ones(tmp_path):
    recurrent = layers.Bidirectional(layers.LSTM(2, name="lstm"), name="both")
    with jax.numpy_rank_promotion("allow"):
        model = randomised(keras.Sequential([keras.Input((4, 3)), recurrent]))
    names = read_tensors(written(model, tmp_path, "x.h5"))
    assert "both/forward_lstm/lstm_cell/recurrent_kernel" in names
    assert len(names) == 6
    for name in FORMATS[1:]:
        path = written(model, tmp_path, name)
        with refused(path, r"does not name the tensors of .*save the model with model\.save\(\"NAME\.h5\"\)"):
            read_tensors(path)


def test_bfloat16_becomes_float32(tmp_path):
    model = randomised(keras.Sequential([keras.Input((5,)), layers.Dense(3, dtype="bfloat16", name="dense")]))
    kernel = np.asarray(model.get_layer("dense").kernel).astype(np.float32)
    for name in FORMATS:
        read = read_tensors(written(model, tmp_path, name))
        np.testing.assert_array_equal(read["dense/kernel"], kernel, strict=True)


def without_layer_names(source, target):
    """The file as Keras before 3.6 wrote it."""
    inner = io.BytesIO()
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
            inner.write(archive.read("model.weights.h5"))
            _strip(inner)
            copy.writestr("config.json", archive.read("config.json"))
            copy.writestr("model.weights.h5", inner.getvalue())
    else:
        inner.write(source.read_bytes())
        _strip(inner)
        target.write_bytes(inner.getvalue())
    return target


def _strip(inner):
    with h5py.File(inner, "r+") as file:
        file.visititems(lambda _, entry: entry.attrs.pop("name", None) and None)


def test_older_files_give_their_names_only_with_the_configuration(tmp_path):
    model = randomised(of_models())
    old = without_layer_names(written(model, tmp_path), tmp_path / "old.keras")
    assert_holds(read_tensors(old), model)
    old = without_layer_names(written(model, tmp_path, "x.weights.h5"), tmp_path / "old.weights.h5")
    with refused(old, r"does not record the names of its layers.*model\.save\(\"NAME\.keras\"\)\.$"):
        read_tensors(old)


def test_a_lambda_layer_is_not_run(tmp_path):
    trace = tmp_path / "trace"

    def call(x):
        trace.touch()
        return x

    model = keras.Sequential([keras.Input((3,)), layers.Lambda(call), layers.Dense(2, name="dense")])
    paths = [written(model, tmp_path, name) for name in FORMATS]
    trace.unlink()
    for path in paths:
        assert_holds(read_tensors(path), model)
    assert not trace.exists()


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
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="a"), layers.Dense(3, name="b")])
    with h5py.File(written(model, tmp_path, "x.weights.h5"), "r+") as file:
        file["layers/dense_1/vars"].attrs["name"] = "a"
    with refused(tmp_path / "x.weights.h5", "holds two tensors called 'a/kernel'"):
        read_tensors(tmp_path / "x.weights.h5")


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


def test_damage_at_which_hdf5_loops_for_ever_is_refused(tmp_path):
    path = tmp_path / "x.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "dense"
        group["0"] = np.ones(3)
    damaged = bytearray(path.read_bytes())
    collection = damaged.index(b"GCOL")
    free_space = collection + 16 + 16 + 8  # after the head and the one text, padded to 8 bytes
    assert damaged[free_space : free_space + 2] == b"\0\0"
    assert int.from_bytes(damaged[free_space + 8 : free_space + 16], "little") == 4096 - 40
    damaged[free_space + 8 : free_space + 16] = bytes(8)
    path.write_bytes(damaged)
    with refused(path, "is truncated or damaged"):
        read_tensors(path)


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
