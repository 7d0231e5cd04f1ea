"""Window and filter response of one cell in a frame, for the live view of a tracker."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from cellmotion_jax.ops.windows import sample_windows
from cellmotion_jax.tracking import Tracker, TrackState, peak_to_sidelobe_ratio, search


class FilterView(NamedTuple):
    """Window and filter response of one cell in one frame; lengths are in grid pixels."""

    centre: Float32[np.ndarray, " 2"]
    """Centre (y, x) of the window, the predicted position of the cell."""
    window: Float32[np.ndarray, "h w"]
    """The part of the frame in the window, as it is given to the features (compressed or not)."""
    response: Float32[np.ndarray, "rows columns"]
    """Response of the filter, with zero displacement in the middle; all 0 if the cell is not followed."""
    psr: float
    """Peak-to-sidelobe ratio of the response; NaN if the cell is not followed."""


def filter_view(
    tracker: Tracker, state: TrackState, frame: Float32[np.ndarray, "y x"], slot: int
) -> FilterView:
    """Applies the filter of one cell to a frame.

    Args:
        tracker: The configuration.
        state: State before the frame, or, in the frame of a cell's birth, after it.
        frame: Compressed intensities on the grid.
        slot: Slot of the cell.

    Returns:
        Window and response.
    """
    centre, window, response, psr = jax.device_get(_see(tracker, state, frame, np.int32(slot)))
    return FilterView(centre, window, response, float(psr))


def empty_filter_view(
    tracker: Tracker, frame: Float32[np.ndarray, "y x"], centre: Float[np.ndarray, " 2"]
) -> FilterView:
    """The window around a point while the cell is not followed; arguments as in `filter_view`."""
    place, scale = jnp.asarray(centre, jnp.float32), jnp.ones(())
    window = np.asarray(_cut(jnp.asarray(frame), place, scale, tracker.size))
    side = tracker.size // tracker.features.strides[0]
    return FilterView(
        np.asarray(centre, np.float32), window, np.zeros((side, side), np.float32), float("nan")
    )


@jax.jit
def _see(
    tracker: Tracker, state: TrackState, frame: Float[Array, "y x"], slot: Int[Array, ""]
) -> tuple[Array, Array, Array, Array]:
    alone: TrackState = jax.tree.map(lambda column: column[slot][None], state)
    maps = search(tracker, alone, tracker.features.prepare(frame))
    centre = maps.origin[0]
    response = jnp.fft.fftshift(maps.response[0])
    window = _cut(frame, centre, maps.scale[0], tracker.size)
    return centre, window, response, peak_to_sidelobe_ratio(maps.response)[0]


def _cut(frame: Array, centre: Array, scale: Array, size: int) -> Float[Array, "size size"]:
    return sample_windows(frame[..., None], centre[None], scale[None], size=size)[0, ..., 0]
