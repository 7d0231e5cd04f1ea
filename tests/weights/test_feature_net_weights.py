"""DeepCell's files give the results of Keras 1 on Theano, e.g. true convolutions."""

import h5py
import jax
import numpy as np
import pytest
import scipy.signal

from cellmotion_jax.errors import InputError
from cellmotion_jax.models.feature_net import EPSILON, FEATURE_NET_31, Conv, FeatureNet, Pool
from cellmotion_jax.weights import layouts
from cellmotion_jax.weights.catalogue import CATALOGUE, Entry
from cellmotion_jax.weights.convert import import_weights, load_weights

TINY = FeatureNet((Conv(2, 3), Pool(), Conv(3, 4), Pool(), Conv(2, 5)), dense_width=6)
CHEAP = {"xla_backend_optimization_level": 0}


@pytest.fixture
def tiny(monkeypatch):
    """A small network in the catalogue."""
    entry = Entry(TINY, None, layouts.keras1_theano(other=()), "nowhere", (64, 64, 1))
    monkeypatch.setitem(CATALOGUE, "tiny-feature-net", entry)
    return "tiny-feature-net"


def write_keras1(path, net):
    """Random weights by the names, and in the layout, of Keras 1 on Theano."""
    rng, inputs, file = np.random.default_rng(0), 1, h5py.File(path, "w")
    widths = [layer.width for layer in net.layers if isinstance(layer, Conv)]
    kernels = [layer.kernel for layer in net.layers if isinstance(layer, Conv)]
    layers = {}
    for number, (width, kernel) in enumerate(zip(widths, kernels), start=1):
        layers[f"convolution2d_{number}"] = {"W": (width, inputs, kernel, kernel), "b": (width,)}
        inputs = width
    layers["dense_1"] = {"W": (inputs, net.dense_width), "b": (net.dense_width,)}
    layers["dense_2"] = {"W": (net.dense_width, net.classes), "b": (net.classes,)}
    for number, width in enumerate([*widths, net.dense_width], start=1):
        names = ("gamma", "beta", "running_mean", "running_std")
        layers[f"batchnormalization_{number}"] = dict.fromkeys(names, (width,))
    with file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, tensors in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}_{name}".encode() for name in tensors]
            for name, shape in tensors.items():
                positive = name in ("gamma", "running_std")
                values = rng.uniform(0.3, 2.0, shape) if positive else rng.normal(size=shape)
                group[f"{layer}_{name}"] = values.astype(np.float32)
    return path


def as_keras_computes(path, net, patch):
    """Logits of one patch in float64, straight from the file, with SciPy's true convolution."""
    with h5py.File(path) as file:

        def read(layer, name):
            return file[f"{layer}/{layer}_{name}"][()].astype(np.float64)

        def normalized(x, number):
            shape = (-1,) + (1,) * (x.ndim - 1)
            gamma, beta, mean, variance = (
                read(f"batchnormalization_{number}", name).reshape(shape)
                for name in ("gamma", "beta", "running_mean", "running_std")
            )
            return np.maximum((x - mean) / np.sqrt(variance + EPSILON) * gamma + beta, 0)

        x, number = patch[None].astype(np.float64), 0
        for layer in net.layers:
            if isinstance(layer, Pool):
                even = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
                x = even.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max(axis=(2, 4))
                continue
            number += 1
            kernel = read(f"convolution2d_{number}", "W")
            sums = scipy.signal.fftconvolve(x[None], kernel, mode="valid", axes=(2, 3)).sum(axis=1)
            x = normalized(sums + read(f"convolution2d_{number}", "b")[:, None, None], number)
        hidden = normalized(x.ravel() @ read("dense_1", "W") + read("dense_1", "b"), number + 1)
        return hidden @ read("dense_2", "W") + read("dense_2", "b")


def logits(net, variables, patches):
    apply = jax.jit(
        lambda v, x: net.apply(v, x, train=False, method=FeatureNet.patches), compiler_options=CHEAP
    )
    return apply(variables, patches)


def test_an_imported_network_computes_what_keras_1_computed(tmp_path, tiny):
    source, out = write_keras1(tmp_path / "source.h5", TINY), tmp_path / "out.safetensors"
    report = import_weights(source, model=tiny, out=out)
    assert (report.tensors, report.left_out) == (26, ())
    loaded = load_weights(out)
    assert loaded.scaling is None
    side = TINY.receptive_field
    patches = np.random.default_rng(1).normal(size=(3, side, side)).astype(np.float32)
    expected = [as_keras_computes(source, TINY, patch) for patch in patches]
    np.testing.assert_allclose(
        logits(TINY, loaded.variables, patches[..., None]), expected, rtol=1e-4, atol=1e-4
    )


def test_the_file_of_another_construction_is_refused(tmp_path, tiny, monkeypatch):
    for name in set(CATALOGUE) - {tiny, "deepcell-ecoli-31x31"}:
        monkeypatch.delitem(CATALOGUE, name)
    source = write_keras1(tmp_path / "source.h5", TINY)
    with pytest.raises(InputError, match=r"convolution2d_1/W .*They are those of tiny-feature-net"):
        import_weights(source, model="deepcell-ecoli-31x31", out=tmp_path / "out.safetensors")


@pytest.mark.real_data
def test_real_weights_compute_what_keras_1_computed(real_weights, tmp_path):
    source = real_weights / "deepcell2016" / "2016-07-20_ecoli_all_31x31_bn_feature_net_31x31_0.h5"
    model = "deepcell-ecoli-31x31"
    report = import_weights(source, model=model, out=tmp_path / "out.safetensors")
    assert (report.values, report.left_out, report.source_types) == (403_979, (), ("float32",))
    variables, net = load_weights(tmp_path / "out.safetensors").variables, FeatureNet(FEATURE_NET_31)
    patch = np.random.default_rng(0).normal(size=(31, 31)).astype(np.float32)
    np.testing.assert_allclose(
        logits(net, variables, patch[None, ..., None])[0],
        as_keras_computes(source, net, patch),
        rtol=1e-4,
        atol=1e-3,
    )


@pytest.mark.real_data
@pytest.mark.parametrize("replicate", range(5))
def test_every_replicate_of_the_nuclear_network_is_imported_whole(real_weights, tmp_path, replicate):
    source = next((real_weights / "deepcell2016").glob(f"*nuclei*_{replicate}.h5"))
    report = import_weights(source, model="deepcell-nuclei-61x61", out=tmp_path / "out.safetensors")
    assert (report.values, report.left_out) == (462_891, ())
