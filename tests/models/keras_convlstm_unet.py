"""The ConvLSTM U-Net in the layers of Keras with random weights, run by JAX."""

from typing import Any
from unittest import mock

import jax
import numpy as np

from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet
from tests.models.backbones.keras_originals import PUBLISHED, keras, randomise
from tests.models.backbones.parity import jit

SKIPS = (
    "block_1_expand_relu",
    "block_3_expand_relu",
    "block_6_expand_relu",
    "block_13_expand_relu",
    "block_16_project",
)
OURS = {
    "gamma": ("params", "scale"),
    "beta": ("params", "bias"),
    "moving_mean": ("batch_stats", "mean"),
    "moving_variance": ("batch_stats", "var"),
}
"""Collections and names of ours for what normalises; other weights keep their names."""


def build(ours: ConvLSTMUNet, size: tuple[int, int], *, frames: int) -> keras.Model:
    """The same network, with random weights and statistics, for windows of one size."""
    layers = keras.layers

    def zeros(self, shape, dtype):
        return np.zeros(shape, dtype)

    # Keras would compile a random generator for every shape, half a minute, for what is overwritten at once.
    with mock.patch.object(keras.initializers.VarianceScaling, "__call__", zeros):
        windows = keras.Input((frames, *size, 1))
        mobile_net = PUBLISHED["mobilenet-v2-0.35"].build
        encoder = mobile_net(weights=None, include_top=False, input_shape=(*size, 3))
        skips = [encoder.get_layer(name).output for name in SKIPS[: ours.levels]]
        finest = _decoded(skips, size, ours)
        every_frame = keras.Model(encoder.inputs, finest, name="every_frame")
        grey = keras.ops.reshape(windows, (-1, *size, 1))
        maps = every_frame(keras.ops.repeat(grey, 3, axis=-1))
        maps = keras.ops.reshape(maps, (-1, frames, *size, ours.base_filters))
        memory = layers.ConvLSTM2D(
            ours.base_filters,
            3,
            padding="same",
            activation="elu",
            recurrent_activation="sigmoid",
            unit_forget_bias=True,
            recurrent_initializer="zeros",
            name="memory",
        )(maps)
        logits = layers.Conv2D(2, 1, name="classifier")(memory)
        network = keras.Model(windows, logits)
    randomise(network, gain=0.8)
    return network


def _decoded(skips, size, ours):
    layers = keras.layers

    def twice(maps, filters, dropout, name):
        for part in ("a", "b"):
            maps = layers.SeparableConv2D(filters, 3, padding="same", name=f"{name}{part}_conv")(maps)
            maps = layers.BatchNormalization(name=f"{name}{part}_norm")(maps)
            maps = layers.Dropout(dropout)(layers.ELU()(maps))
        return maps

    def doubled(maps, size):
        maps = layers.UpSampling2D(2, interpolation="nearest")(maps)
        return layers.Cropping2D([(0, has - wanted) for has, wanted in zip(maps.shape[1:3], size)])(maps)

    maps = skips[-1]
    for level in range(len(skips) - 1, 0, -1):
        maps = twice(maps, ours.base_filters * 2**level, ours.dropout, f"level_{level}")
        finer = skips[level - 1]
        maps = layers.Concatenate()([doubled(maps, finer.shape[1:3]), finer])
    return twice(doubled(maps, size), ours.base_filters, 0.0, "level_0")


def run(network: keras.Model, windows: np.ndarray) -> jax.Array:
    """Logits, compiled quickly."""
    weights = [
        [weight.value for weight in ws]
        for ws in (network.trainable_variables, network.non_trainable_variables)
    ]
    return jit(lambda weights, windows: network.stateless_call(*weights, windows, training=False)[0])(
        weights, windows
    )


def variables_of(network: keras.Model) -> dict[str, Any]:
    """Its weights as variables of ours."""
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for weight in network.weights:
        layers, kind = weight.path.split("/")[:-1], weight.path.split("/")[-1]
        if kind == "seed_generator_state":
            continue
        collection, name = OURS.get(kind, ("params", kind))
        value = np.asarray(weight.value)
        if value.ndim == 4 and value.shape[3] == 1:  # One kernel per channel.
            value = value.swapaxes(2, 3)
        node = variables[collection]
        for step in _path(layers, kind):
            node = node.setdefault(step, {})
        node[name.removeprefix("depthwise_").removeprefix("pointwise_")] = value
    return variables


def _path(layers: list[str], kind: str) -> tuple[str, ...]:
    """Modules of ours down to the one that has a weight."""
    if layers[0] in ("memory", "classifier"):
        return (layers[0],)
    if not layers[-1].startswith("level_"):
        return ("encoder", layers[-1])
    block, part = layers[-1].rsplit("_", 1)
    if part == "norm":
        return ("decoder", block, "norm")
    return ("decoder", block, "depthwise" if kind == "depthwise_kernel" else "pointwise")
