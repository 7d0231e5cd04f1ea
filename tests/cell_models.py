"""Cell models for tests: a tiny network with random weights, and one that takes brightness for cells."""

import functools

import jax
import jax.numpy as jnp

from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel
from cellmotion_jax.models.deep_distance import DeepDistance, DistanceMaps, DistanceOutputs, Task
from tests.random_variables import draw_variables

SHAPE = (64, 80)
"""Of images in tests of inference: programs are compiled for every size, once for all tests."""


class Brightness(DeepDistance):
    """Not trained and right on bright blobs: what lies above the mean is cell, the brighter the deeper."""

    def __call__(self, images, *, train):
        bright = jax.nn.relu(jnp.mean(images, axis=-1)) / 3
        maps = DistanceMaps(
            **{t.value: bright if t.is_distance else jax.nn.sigmoid(bright - 0.1) for t in self.tasks}
        )
        return DistanceOutputs(maps=maps, raw=maps)


@functools.cache
def tiny_network(tasks=(Task.inner, Task.outer, Task.classification), channels=1):
    """A network and its random variables, drawn by NumPy: compiling the network's own takes 17 seconds."""
    network = DeepDistance(tasks=tasks, base_width=4, depth=2)
    return network, draw_variables(network, (1, 8, 8, channels))


def cell_model(network=Brightness(depth=2), variables=None, **changes) -> DeepDistanceModel:
    """A model of the network; without one, of `Brightness`."""
    settings = {
        "channels": 1,
        "downsample": 1,
        "cell_diameter": 12.0,
        "boundary_width": 1.0,
        "detection": DetectionSettings(),
        "area_threshold": 5,
    }
    return DeepDistanceModel(network=network, variables=variables or {}, **(settings | changes))


def tiny_cell_model(**changes) -> DeepDistanceModel:
    """A model of the tiny network."""
    return cell_model(*tiny_network(), **changes)
