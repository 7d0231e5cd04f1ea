"""Keras's own files, old and new, give one dict for one model."""

import io
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


def test_two_layers_of_one_name_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="a"), layers.Dense(3, name="b")])
    with h5py.File(written(model, tmp_path, "x.weights.h5"), "r+") as file:
        file["layers/dense_1/vars"].attrs["name"] = "a"
    with refused(tmp_path / "x.weights.h5", "holds two tensors called 'a/kernel'"):
        read_tensors(tmp_path / "x.weights.h5")
