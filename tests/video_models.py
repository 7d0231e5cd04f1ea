"""Video models for tests: a tiny network with random weights, and one that takes dark blobs for cells."""

import functools

import jax.numpy as jnp

from cellmotion_jax.methods.convlstm.instances import InstanceSettings
from cellmotion_jax.methods.convlstm.model_file import ConvLSTMModel
from cellmotion_jax.models.convlstm import ConvLSTMState
from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet, SegmentationOutputs
from tests.random_variables import draw_variables


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
    return network, draw_variables(network, (1, 2, 32, 32, 1))


def video_model(network=Brightness(levels=1), variables=None, **changes) -> ConvLSTMModel:
    """A model of the network; without one, of `Brightness`."""
    settings = {
        "window": 3,
        "downsample": 1,
        "cell_diameter": 12.0,
        "instances": InstanceSettings(smallest_area=20),
    }
    settings |= changes
    return ConvLSTMModel(network=network, variables=variables or {}, **settings)


def tiny_video_model(*, recurrent=True, **changes) -> ConvLSTMModel:
    """A model of the tiny network."""
    return video_model(*tiny_network(recurrent=recurrent), **changes)
