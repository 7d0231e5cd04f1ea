"""The networks of Keras with random weights, run by JAX."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import contextlib
import functools
import pathlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from unittest import mock

import jax
import numpy as np

from tests.models.backbones.parity import jit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Keras imports what NumPy has deprecated.
    import keras


class Published(NamedTuple):
    """A network of ``keras.applications``."""

    build: Callable[..., keras.Model]
    stages: dict[str, str]
    """Layers that return our features, by our names."""
    suffix: str
    """Which of its formats Keras saves it in here."""
    gain: float = 1.0
    """Factor on random kernels. Below 1 it keeps the sums along many shortcuts from growing until squeeze and
    excitation is all or nothing, which magnifies rounding beyond any bound."""


PUBLISHED = {
    "mobilenet-v2-0.35": Published(
        functools.partial(keras.applications.MobileNetV2, alpha=0.35),
        {
            "block_1_expand": "block_1_expand_relu",
            "block_3_expand": "block_3_expand_relu",
            "block_6_expand": "block_6_expand_relu",
            "block_13_expand": "block_13_expand_relu",
            "block_16_project": "block_16_project_BN",
            "out_relu": "out_relu",
        },
        ".h5",
    ),
    "resnet50-keras": Published(
        keras.applications.ResNet50,
        {
            "conv1": "conv1_relu",
            "conv2": "conv2_block3_out",
            "conv3": "conv3_block4_out",
            "conv4": "conv4_block6_out",
            "conv5": "conv5_block3_out",
        },
        ".weights.h5",
    ),
    "efficientnet-v2-b0": Published(
        functools.partial(keras.applications.EfficientNetV2B0, include_preprocessing=False),
        {
            "stage1": "block1a_project_activation",
            "stage2": "block2b_add",
            "stage3": "block3b_add",
            "stage5": "block5e_add",
            "stage6": "block6h_add",
            "top_activation": "top_activation",
        },
        ".keras",
        gain=0.7,
    ),
    "efficientnet-v2-s": Published(
        functools.partial(keras.applications.EfficientNetV2S, include_preprocessing=False),
        {
            "stage1": "block1b_add",
            "stage2": "block2d_add",
            "stage3": "block3d_add",
            "stage5": "block5i_add",
            "stage6": "block6o_add",
            "top_activation": "top_activation",
        },
        ".keras",
        gain=0.7,
    ),
}


def build(model: str, size: tuple[int | None, int | None] = (None, None)) -> keras.Model:
    """The network with random weights, which returns our features by name.

    Args:
        model: Name in the catalogue of weights.
        size: Height and width of the images; MobileNetV2 pads odd ones as we do only if it knows them.
    """

    def zeros(self, shape, dtype):
        return np.zeros(shape, dtype)

    # Keras would compile a random generator for every shape, half a minute, for what is overwritten at once.
    with mock.patch.object(keras.initializers.VarianceScaling, "__call__", zeros):
        network = PUBLISHED[model].build(weights=None, include_top=False, input_shape=(*size, 3))
    randomise(network, PUBLISHED[model].gain)
    return with_outputs(network, PUBLISHED[model].stages)


def randomise(network: keras.Model, gain: float) -> None:
    """Random weights, statistics of normalisation included, that keep activations in range."""
    rng = np.random.default_rng(0)
    for weight in network.weights:
        kind, shape = weight.path.rpartition("/")[2], tuple(weight.shape)
        if kind in ("gamma", "moving_variance"):
            random = rng.uniform(0.7, 1.3, shape)
        elif kind in ("beta", "moving_mean", "bias"):
            random = rng.normal(0, 0.2, shape)
        else:
            depthwise = shape[3] == 1  # Keras has the channels of such a kernel before a last axis of 1.
            fan_in = np.prod(shape[:2] if depthwise else shape[:3])
            random = rng.normal(0, gain * (2 / fan_in) ** 0.5, shape)
        weight.assign(random.astype(np.float32))


@contextlib.contextmanager
def assigned(network: keras.Model, source: pathlib.Path) -> Iterator[None]:
    """Gives a network the weights of an ``.npz`` file under the names of Keras 2, for a while."""
    before = [weight.value for weight in network.weights]
    with np.load(source, allow_pickle=False) as tensors:
        for weight in network.weights:
            layer, kind = weight.path.split("/")[-2:]
            older = f"{layer}/depthwise_{kind}"
            weight.assign(tensors[older if older in tensors else f"{layer}/{kind}"])
    try:
        yield
    finally:
        for weight, value in zip(network.weights, before):
            weight.assign(value)


def save(network: keras.Model, model: str, folder: pathlib.Path) -> pathlib.Path:
    """Writes the weights as Keras does."""
    path = folder / f"original{PUBLISHED[model].suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras turns its variables into arrays as NumPy will not allow.
        network.save_weights(path) if path.name.endswith(".weights.h5") else network.save(path)
    return path


def with_outputs(network: keras.Model, layers: Mapping[str, str]) -> keras.Model:
    """The same network with outputs by name, given the layers that return them."""
    outputs = {name: network.get_layer(layer).output for name, layer in layers.items()}
    return keras.Model(network.inputs[0], outputs)


def run(
    network: keras.Model, images: np.ndarray, *, training: bool
) -> tuple[dict[str, jax.Array], dict[str, dict[str, jax.Array]]]:
    """Outputs by name, and the moving averages after the call as batch statistics of ours."""
    fixed = network.non_trainable_variables
    weights = [[weight.value for weight in ws] for ws in (network.trainable_variables, fixed)]
    outputs, moved = _program(network, training)(weights, images)
    statistics: dict[str, dict[str, jax.Array]] = {}
    for weight, value in zip(fixed, moved):
        layer, kind = weight.path.split("/")[-2:]
        if kind in ("moving_mean", "moving_variance"):  # And not the state of a random generator.
            statistics.setdefault(layer, {})["mean" if kind == "moving_mean" else "var"] = value
    return outputs, statistics


@functools.cache
def _program(network, training):
    return jit(lambda weights, images: network.stateless_call(*weights, images, training=training))
