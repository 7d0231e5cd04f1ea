"""Frames per second of the ConvLSTM U-Net (B5): Keras (JAX backend), ours on windows, ours streaming.

``python -m benchmarks.convlstm_unet`` from the root of the repository. Each call segments one frame: of a
window of five, all encoded again, or of a stream whose earlier frames are remembered. Keras runs jitted
through its stateless interface, its best, with all frames of a window as one batch through the encoder and
the decoder. All have the same weights, and before anything is timed the logits are checked to agree, those
of the stream with a window of all its frames so far. Calls take turns, one window at a time.
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import interleaved, print_table
from cellmotion_jax.models.convlstm_unet import WINDOW, ConvLSTMUNet
from tests.models import keras_convlstm_unet
from tests.models.backbones.parity import relative_errors

SIZES = {"PhC-C2DH-U373": (520, 696), "paper": (983, 985)}
"""Rows and columns of frames, by the movies they are of."""
KERAS, WINDOWED, STREAMING = "Keras, window of 5", "ours, window of 5", "ours, streaming"


def contenders(size: tuple[int, int]) -> dict[str, Callable[[], Any]]:
    """What gives the logits of one frame, after a check that all say the same."""
    network = ConvLSTMUNet()
    theirs = keras_convlstm_unet.build(network, size, frames=WINDOW)
    variables = jax.device_put(keras_convlstm_unet.variables_of(theirs))
    rng = np.random.default_rng(0)
    windows = jnp.asarray(rng.uniform(-1, 1, (1, WINDOW, *size, 1)), jnp.float32)

    weights = [
        [weight.value for weight in ws] for ws in (theirs.trainable_variables, theirs.non_trainable_variables)
    ]
    of_keras = jax.jit(lambda weights, windows: theirs.stateless_call(*weights, windows, training=False)[0])
    of_window = jax.jit(lambda variables, windows: network.apply(variables, windows, train=False).logits)
    of_stream = jax.jit(functools.partial(network.apply, method="stream"))

    _, state = of_stream(variables, windows[:, 0])
    for time in range(1, WINDOW - 1):
        _, state = of_stream(variables, windows[:, time], state)
    calls = {
        KERAS: functools.partial(of_keras, weights, windows),
        WINDOWED: functools.partial(of_window, variables, windows),
        STREAMING: functools.partial(of_stream, variables, windows[:, -1], state),
    }
    expected = calls[WINDOWED]()
    found = {KERAS: calls[KERAS](), STREAMING: calls[STREAMING]()[0].logits}
    errors = relative_errors(found, dict.fromkeys(found, expected))
    if max(errors.values()) > 1e-4:
        raise SystemExit(f"These are no peers, their logits differ by {errors}")
    return calls


def frames_per_second(seconds: Mapping[str, list[float]]) -> str:
    """From medians, one sentence."""
    rates = {name: 1 / statistics.median(values) for name, values in seconds.items()}
    told = "; ".join(f"{name}: {rate:.2f}" for name, rate in rates.items())
    return (
        f"Frames per second: {told}. On windows ours is {rates[WINDOWED] / rates[KERAS]:.1f} times as fast "
        f"as Keras, and streaming {rates[STREAMING] / rates[WINDOWED]:.1f} times as fast as our window."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5, help="calls of every contender, at least 2")
    options = parser.parse_args()
    for name in options.sizes:
        print(f"\nOne frame of {' x '.join(map(str, SIZES[name]))} ({name})")
        seconds = interleaved(contenders(SIZES[name]), rounds=options.rounds, calls=1, warm_up=1)
        print_table(seconds, ours=WINDOWED, packages=["jax", "flax", "keras"])
        print(f"\n{frames_per_second(seconds)}", flush=True)


if __name__ == "__main__":
    main()
