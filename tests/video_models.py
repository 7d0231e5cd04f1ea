"""Video models for tests: a tiny network with random weights, and one that takes dark blobs for cells."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.inference.foreground import VideoModel
from cellmotion_jax.inference.instances import InstanceSettings
from cellmotion_jax.models.convlstm import ConvLSTMState
from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet, SegmentationOutputs


class Brightness(ConvLSTMUNet):
    """Not trained and right on blobs that are brighter than the middle of the scale."""

    def __call__(self, windows, *, train):
        return self._shown(windows[:, -1])

    def stream(self, frames, state=None):
        return self._shown(frames), ConvLSTMState(frames, frames)

    def _shown(self, frames):
        return SegmentationOutputs(10 * jnp.concatenate([-frames, frames], axis=-1))


@functools.cache
def tiny_network(**settings):
    """A network and its random variables, drawn by NumPy: compiling the network's own takes longer."""
    network = ConvLSTMUNet(base_filters=2, levels=1, **settings)
    shapes = jax.eval_shape(
        lambda: network.init(jax.random.key(0), jnp.zeros((1, 2, 32, 32, 1)), train=False)
    )
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        if "kernel" in path[-1].key:
            draws = rng.normal(size=leaf.shape) * np.sqrt(2 / np.prod(leaf.shape[:-1]))
        else:
            draws = np.full(leaf.shape, {"bias": 0.1, "mean": 0.0, "scale": 1.0, "var": 1.0}[path[-1].key])
        return draws.astype(np.float32)

    return network, jax.tree_util.tree_map_with_path(draw, shapes)


def video_model(network=Brightness(levels=1), variables=None, **changes) -> VideoModel:
    """A model of the network; without one, of `Brightness`."""
    settings = {
        "window": 3,
        "shrink": 1,
        "cell_diameter": 12.0,
        "instances": InstanceSettings(smallest_area=20),
    }
    settings |= changes
    return VideoModel(network=network, variables=variables or {}, **settings)


def tiny_video_model(*, recurrent=True, **changes) -> VideoModel:
    """A model of the tiny network."""
    return video_model(*tiny_network(recurrent=recurrent), **changes)
