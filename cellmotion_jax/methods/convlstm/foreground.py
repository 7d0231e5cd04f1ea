"""Cell probability of every pixel of a movie from a trained ConvLSTM U-Net, frame by frame."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Num

from cellmotion_jax.data.downsampling import downsample_image, upsample_map
from cellmotion_jax.data.percentiles import normalize_percentiles
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import Tiling, check_image, predict_tiled
from cellmotion_jax.methods.convlstm.model_file import ConvLSTMModel
from cellmotion_jax.models.backbones.mobilenet_v2 import SMALLEST_IMAGE
from cellmotion_jax.models.convlstm import ConvLSTMState
from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet

REFRESH_FRAMES = 8
"""Frames after which the state is computed anew: with windows of 5, each frame is processed 1.5 times, and
the state contains at most 12 frames."""
VIDEO_TILING = Tiling(tile=1024, margin=96)
"""The networks of the paper have a receptive field of 97 to 115 pixels around a pixel (Section 5); the
outermost of them have little influence. Tiles are multiples of 32 pixels, the smallest image that the encoder
takes, whatever its number of levels."""


class Memory(enum.Enum):
    """Memory of earlier frames in the state of the network."""

    carried = "carried"
    """All earlier frames: the recurrent state is passed from frame to frame, and every frame is processed
    once. Predictions slowly get worse when the state contains many more frames than a window of the
    training."""
    refreshed = "refreshed"
    """As carried, but at every eighth frame the state is computed anew from the last window."""
    window = "window"
    """The frames of one window, as in the paper: each frame is segmented from its window, starting with an
    empty state. The computing time is multiplied by about the number of frames of a window."""


def foreground_maps(
    model: ConvLSTMModel,
    frames: Iterable[Num[np.ndarray, "_ _"]],
    *,
    before: Iterable[Num[np.ndarray, "_ _"]] = (),
    memory: Memory = Memory.refreshed,
    tiling: Tiling = VIDEO_TILING,
) -> Iterator[Float32[np.ndarray, "_ _"]]:
    """Yields the cell probability of every pixel, frame by frame.

    The initial state is computed from a window that ends with the first frame. If no frames before it are
    given, it is repeated, as in training. Memory does not grow with the number of frames: it is one window
    and one state per tile.

    Args:
        model: The network.
        frames: Grey frames of one size, in any unit.
        before: Frames before the first one, as far as they are known; they are not predicted.
        memory: Kind of memory of earlier frames.
        tiling: Tiles in downsampled pixels. A frame that fits into one tile is not cut, and all of its
            predictions are used.

    Yields:
        Probabilities [y, x] of the size of the frame.

    Raises:
        InputError: If a frame is smaller than a block of pixels, of another size than the first, or has
            pixels that are NaN or infinite.
    """
    variables = jax.device_put(model.variables)
    length = model.window if model.network.recurrent else 1
    seen: collections.deque[Float32[np.ndarray, "y x"]] = collections.deque(maxlen=length)
    seen.extend(seen_by_network(frame, model.downsample) for frame in before)
    states: list[ConvLSTMState] = []
    shape: tuple[int, ...] | None = None
    for number, frame in enumerate(frames):
        shape = frame.shape if shape is None else shape
        image = seen_by_network(frame, model.downsample)
        if frame.shape != shape or any(other.shape != image.shape for other in seen):
            raise InputError(f"a frame has shape {frame.shape}, but those before it have another.")
        seen.append(image)
        seen.extendleft([seen[0]] * (length - len(seen)))
        tiled = functools.partial(predict_tiled, tiling=_fitted(tiling, image.shape), multiple=SMALLEST_IMAGE)
        if memory is Memory.window or not model.network.recurrent:
            predict = functools.partial(_of_windows, variables, network=model.network)
            shown = tiled(predict, np.stack(seen, axis=-1))
        else:
            if memory is Memory.refreshed and number % REFRESH_FRAMES == 0:
                states = []
            # A state that begins reads the window first, of which this frame is the last.
            for read in () if states else list(seen)[:-1]:
                states = _read_next(model.network, variables, states, read, tiled)[1]
            shown, states = _read_next(model.network, variables, states, image, tiled)
        yield upsample_map(shown, model.downsample, shape)


def seen_by_network(frame: Num[np.ndarray, "y x"], downsample: int) -> Float32[np.ndarray, "small_y small_x"]:
    """The network's input of a frame: averaged over blocks, brightness normalised by percentiles.

    Raises:
        InputError: If the frame is smaller than a block or a pixel is not finite.
    """
    check_image(frame[..., None])
    return normalize_percentiles(downsample_image(frame[..., None], downsample)[..., 0])


class _Remembering:
    """Predicts the tiles of one frame, each from its state after the frame before.

    `predict_tiled` asks for the tiles of frames of one size in one order.
    """

    def __init__(self, network: ConvLSTMUNet, variables: Any, before: list[ConvLSTMState]) -> None:
        self._network, self._variables, self._before = network, variables, before
        self.after: list[ConvLSTMState] = []

    def __call__(self, tiles: Float[Array, "batch y x 1"]) -> Float[Array, "batch y x"]:
        state = self._before[len(self.after)] if self._before else None
        shown, state = _of_next(self._variables, tiles, state, network=self._network)
        self.after.append(state)
        return shown


def _read_next(
    network: ConvLSTMUNet,
    variables: Any,
    states: list[ConvLSTMState],
    image: Float32[np.ndarray, "y x"],
    tiled: Callable[..., Float32[np.ndarray, "y x"]],
) -> tuple[Float32[np.ndarray, "y x"], list[ConvLSTMState]]:
    """Probability map of the next frame, and the states of its tiles after it."""
    remember = _Remembering(network, variables, states)
    return tiled(remember, image[..., None]), remember.after


@functools.partial(jax.jit, static_argnames="network")
def _of_windows(variables, tiles: Float[Array, "batch y x time"], *, network: ConvLSTMUNet) -> Array:
    windows = jnp.moveaxis(tiles, -1, 1)[..., None]
    logits = network.apply(variables, windows, train=False).logits  # type: ignore[union-attr]
    return jax.nn.softmax(logits)[..., 1]


@functools.partial(jax.jit, static_argnames="network")
def _of_next(variables, tiles: Float[Array, "batch y x 1"], state, *, network: ConvLSTMUNet):
    outputs, state = network.apply(variables, tiles, state, method="stream")  # type: ignore[misc]
    return jax.nn.softmax(outputs.logits)[..., 1], state


def _fitted(tiling: Tiling, shape: tuple[int, ...]) -> Tiling:
    """The tiling without margins if the frame is one tile, since the network was trained on image borders."""
    whole = all(-(-side // SMALLEST_IMAGE) * SMALLEST_IMAGE <= tiling.tile for side in shape)
    return dataclasses.replace(tiling, margin=0, stride=None) if whole else tiling
