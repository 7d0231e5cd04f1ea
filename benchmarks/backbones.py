"""Forward pass and training step of every backbone beside Keras (JAX backend) and torch.

``python -m benchmarks.backbones`` from the root of the repository, with ``--models`` for some of them. A step
is the mean square of the last feature map, its gradient by all parameters and the update of the batch
statistics, without an optimiser. Keras runs jitted through its stateless interface, its best. All start from
the same weights, and before anything is timed their features and losses are checked to agree; those marked
"pads differently" have layers of the same sizes, but cannot have the same numbers. Stochastic depth, random
in its own way in each, is off. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import interleaved, print_table
from cellmotion_jax.models.backbones.efficientnet_v2 import EfficientNetV2
from cellmotion_jax.weights.catalogue import CATALOGUE
from tests.models.backbones import keras_originals, torch_originals, yolov8_original
from tests.models.backbones.keras_originals import keras
from tests.models.backbones.parity import imported, random_images, relative_errors

FORWARD, STEP = (8, 224, 224), (4, 128, 128)  # Batch, height, width.
OURS = "cellmotion_jax"


class Contender(Protocol):
    """A network with its weights."""

    def forward(self, images: np.ndarray) -> Callable[[], Any]:
        """Returns what computes the last feature map."""
        ...

    def step(self, images: np.ndarray) -> Callable[[], Any]:
        """Returns what computes the loss, all gradients and the statistics, and gives the loss first."""
        ...


class Ours:
    """The Linen module."""

    def __init__(self, model: str, save: Callable[..., Any]):
        self.network = CATALOGUE[model].module
        if isinstance(self.network, EfficientNetV2):
            self.network = self.network.clone(drop_connect_rate=0.0)
        self.variables = jax.device_put(imported(model, save))

    def forward(self, images: np.ndarray) -> Callable[[], Any]:
        run = jax.jit(lambda variables, images: self.network.apply(variables, images, train=False)[-1])
        return functools.partial(run, self.variables, jnp.asarray(images))

    def step(self, images: np.ndarray) -> Callable[[], Any]:
        def loss(params, statistics, images):
            variables = {"params": params, "batch_stats": statistics}
            features, updates = self.network.apply(variables, images, train=True, mutable=["batch_stats"])
            return jnp.mean(jnp.square(features[-1])), updates

        run = jax.jit(jax.value_and_grad(loss, has_aux=True))
        return functools.partial(
            run, self.variables["params"], self.variables["batch_stats"], jnp.asarray(images)
        )


class OfKeras:
    """The interface that Keras documents for own training loops in JAX."""

    def __init__(self, network: keras.Model, last: str):
        self.network, self.last = network, last
        for layer in network.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        self.trainable = [weight.value for weight in network.trainable_variables]
        self.fixed = [weight.value for weight in network.non_trainable_variables]

    def forward(self, images: np.ndarray) -> Callable[[], Any]:
        def run(trainable, fixed, images):
            return self.network.stateless_call(trainable, fixed, images, training=False)[0][self.last]

        return functools.partial(jax.jit(run), self.trainable, self.fixed, jnp.asarray(images))

    def step(self, images: np.ndarray) -> Callable[[], Any]:
        def loss(trainable, fixed, images):
            features, moved = self.network.stateless_call(trainable, fixed, images, training=True)
            return jnp.mean(jnp.square(features[self.last])), moved

        run = jax.jit(jax.value_and_grad(loss, has_aux=True))
        return functools.partial(run, self.trainable, self.fixed, jnp.asarray(images))


class OfTorch:
    """Eager torch on channels-first images."""

    def __init__(self, call: Callable[..., Any], parameters: list[Any]):
        self.call, self.parameters = call, parameters

    def forward(self, images: np.ndarray) -> Callable[[], Any]:
        import torch

        inputs = torch_originals.channels_first(images)

        def run():
            with torch.inference_mode():
                return torch_originals.channels_last(self.call(inputs, training=False))

        return run

    def step(self, images: np.ndarray) -> Callable[[], Any]:
        inputs = torch_originals.channels_first(images)

        def run():
            for parameter in self.parameters:
                parameter.grad = None
            loss = self.call(inputs, training=True).square().mean()
            loss.backward()
            return loss.detach().numpy()

        return run


def of_module(module) -> OfTorch:
    """A torch module that returns the last feature map."""
    return OfTorch(lambda images, training: module.train(training)(images), list(module.parameters()))


class Case(NamedTuple):
    """A backbone of ours and its peers by name."""

    ours: Ours
    same: dict[str, Contender]
    """With our weights and our numbers."""
    alike: dict[str, Contender]
    """For the time alone."""


def beside_keras(model: str, torch_features: Callable[[], Any] | None = None) -> Case:
    """A network of Keras; with ``torch_features``, a module of torchvision like it."""
    network = keras_originals.build(model)
    ours = Ours(model, functools.partial(keras_originals.save, network, model))
    last = list(keras_originals.PUBLISHED[model].stages)[-1]
    has_torch = torch_features is not None and torch_originals.is_installed()
    alike = {"torchvision, pads differently": of_module(torch_features())} if has_torch else {}
    return Case(ours, {"Keras": OfKeras(network, last)}, alike)


def torch_mobilenet():
    return torch_originals.import_torchvision().models.mobilenet_v2(width_mult=0.35).features


def torch_efficientnet_s():
    models = torch_originals.import_torchvision().models
    return models.efficientnet_v2_s(stochastic_depth_prob=0.0).features


def resnet_beside_torchvision() -> Case:
    network = torch_originals.resnet50()
    ours = Ours("resnet50-torchvision", functools.partial(torch_originals.save, network))
    import torch

    without_head = torch.nn.Sequential(*list(network.children())[:-2])
    return Case(ours, {"torchvision": of_module(without_head)}, {})


def yolo_beside_torch() -> Case:
    """The published structure in torch's functions."""
    import torch

    weights = yolov8_original.random_weights()
    ours = Ours("yolov8-n", functools.partial(yolov8_original.save, weights))
    tensors = {name: torch.tensor(value) for name, value in weights.items()}
    parameters = [tensor.requires_grad_() for name, tensor in tensors.items() if "running" not in name]

    def call(images, training):
        layers = yolov8_original.TorchLayers(tensors, training=training)
        return yolov8_original.stages(images, layers)[-1]

    return Case(ours, {"torch": OfTorch(call, parameters)}, {})


CASES: dict[str, Callable[[], Case]] = {
    "mobilenet-v2-0.35": functools.partial(beside_keras, "mobilenet-v2-0.35", torch_mobilenet),
    "resnet50-keras": functools.partial(beside_keras, "resnet50-keras"),
    "efficientnet-v2-b0": functools.partial(beside_keras, "efficientnet-v2-b0"),
    "efficientnet-v2-s": functools.partial(beside_keras, "efficientnet-v2-s", torch_efficientnet_s),
}
if torch_originals.is_installed():
    CASES |= {"resnet50-torchvision": resnet_beside_torchvision, "yolov8-n": yolo_beside_torch}


def time_forward(case: Case, rounds: int) -> dict[str, list[float]]:
    """Seconds of forward passes, after a check that peers see the same in the images."""
    images = random_images(FORWARD[1:], FORWARD[0])
    contenders = {OURS: case.ours, **case.same, **case.alike}
    calls = {name: contender.forward(images) for name, contender in contenders.items()}
    ours = calls[OURS]()
    errors = relative_errors(dict.fromkeys(case.same, ours), {name: calls[name]() for name in case.same})
    if max(errors.values()) > 1e-4:
        raise SystemExit(f"These are no peers, their features differ by {errors}")
    return interleaved(calls, rounds=rounds, calls=1, warm_up=2)


def time_step(case: Case, rounds: int) -> dict[str, list[float]]:
    """Seconds of training steps, after a check that the losses of peers agree."""
    images = random_images(STEP[1:], STEP[0])
    contenders = {OURS: case.ours, **case.same, **case.alike}
    calls = {name: contender.step(images) for name, contender in contenders.items()}
    losses = {name: float(jax.tree.leaves(calls[name]())[0]) for name in (OURS, *case.same)}
    np.testing.assert_allclose(list(losses.values()), losses[OURS], rtol=1e-3, err_msg=str(losses))
    return interleaved(calls, rounds=rounds, calls=1, warm_up=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=11, help="calls of every contender, at least 2")
    options = parser.parse_args()
    packages = ["jax", "flax", "keras"] + ["torch", "torchvision"] * torch_originals.is_installed()
    for model in options.models:
        case = CASES[model]()
        for what, shape, time in (("Forward pass", FORWARD, time_forward), ("Step", STEP, time_step)):
            print(f"\n{what} of {model}, {' x '.join(map(str, shape))}")
            print_table(time(case, options.rounds), ours=OURS, packages=packages)


if __name__ == "__main__":
    main()
