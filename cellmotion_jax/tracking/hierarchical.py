"""Filters on several layers of a network, whose responses are added from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from cellmotion_jax.ops.fourier import pad_spectrum
from cellmotion_jax.tracking.correlation_filter import CorrelationFilter

PAPER_WEIGHTS = (1.0, 0.5, 0.2, 0.2)
"""Weights of layers 1 to 4 (Jackson-Smith 2016, Section 5)."""


def init_levels(
    filter: CorrelationFilter,
    levels: Sequence[Float[Array, "cell _y _x _channel"]],
    offsets: Float[Array, "cell 2"],
    *,
    strides: Sequence[int],
) -> tuple[Any, ...]:
    """Learns one filter per layer from a window of each cell.

    Args:
        filter: The filter.
        levels: Windows of each layer, from fine to coarse.
        offsets: Position (y, x) of the cell relative to the centre of the window, in pixels.
        strides: Pixels between the samples of each layer.

    Returns:
        The state of each layer's filter.
    """
    return tuple(filter.init(windows, offsets / stride) for windows, stride in zip(levels, strides))


def update_levels(
    filter: CorrelationFilter,
    states: Sequence[Any],
    levels: Sequence[Float[Array, "cell _y _x _channel"]],
    offsets: Float[Array, "cell 2"],
    rates: Float[Array, " cell"],
    *,
    strides: Sequence[int],
) -> tuple[Any, ...]:
    """Updates the filters with a new window of each cell; arguments as in `init_levels`."""
    return tuple(
        filter.update(state, windows, offsets / stride, rates)
        for state, windows, stride in zip(states, levels, strides)
    )


def respond_levels(
    filter: CorrelationFilter,
    states: Sequence[Any],
    levels: Sequence[Float[Array, "cell _y _x _channel"]],
    *,
    weights: Sequence[float],
) -> Float[Array, "cell y x"]:
    r"""The responses of all layers, added on the grid of the finest.

    .. math:: f = \frac{\sum_l \gamma_l \, U f_l}{\sum_l \gamma_l}

    with U the upsampling to the finest grid (Jackson-Smith 2016, Section 4.2: deep responses are propagated
    to the shallower layers in a weighted manner). The sum of the weights is divided out, so that the height
    of the peak does not depend on the scale of the weights. Upsampling appends zeros to the spectrum, and
    spectra are added before the one inverse transform.

    Args:
        filter: The filter.
        states: State of each layer's filter.
        levels: Windows of each layer, from fine to coarse.
        weights: Gamma of each layer.

    Returns:
        One response per cell; about 1 at the peak for the training window.
    """
    shape = _side_lengths(levels[0])
    total: Complex[Array, "cell y frequency"] | float = 0.0
    for state, windows, weight in zip(states, levels, weights):
        spectrum = filter.respond(state, windows)
        total = total + weight / sum(weights) * pad_spectrum(
            spectrum, shape=_side_lengths(windows), fine_shape=shape
        )
    return jnp.fft.irfft2(jnp.asarray(total), s=shape)


def similarity_levels(
    filter: CorrelationFilter,
    states: Sequence[Any],
    levels: Sequence[Float[Array, "cell _y _x _channel"]],
    *,
    weights: Sequence[float],
) -> Float[Array, " cell"]:
    """Similarity of windows to the learned ones, the weighted mean over all layers.

    Args:
        filter: The filter.
        states: State of each layer's filter.
        levels: Windows of each layer, from fine to coarse.
        weights: Gamma of each layer.

    Returns:
        At most 1, see `LinearFilter.similarity`.
    """
    total = jnp.zeros(levels[0].shape[0])
    for state, windows, weight in zip(states, levels, weights):
        total = total + weight / sum(weights) * filter.similarity(state, windows)
    return total


def _side_lengths(windows: Array) -> tuple[int, int]:
    _, height, width, _ = windows.shape
    return height, width
