"""Search for lost cells in a larger area than their window."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.ops.fourier import peak_shifts
from cellmotion_jax.settings import NotNegative, Range, Settings, Share
from cellmotion_jax.tracking.correlation_filter import CorrelationFilter
from cellmotion_jax.tracking.features import Features
from cellmotion_jax.tracking.hierarchical import respond_levels

RING = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)], np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Redetection(Settings):
    """Settings of the search for lost cells."""

    tracks: Annotated[int, Range(1, 4096)] = 4
    """Number of tracks that are searched per frame, those lost for the longest time first; each needs nine
    windows."""
    accept: Share = 0.4
    """Smallest response at which a position is accepted as that of the cell."""
    apart: NotNegative = 8.0
    """Smallest allowed distance in pixels of the new position from every track that is not lost."""


class Found(NamedTuple):
    """Result of the search for lost cells.

    Attributes:
        slot: Slots of the tracks that were searched.
        position: The best position (y, x) of each.
        peak_response: Response at this position.
        accepted: Whether the position is accepted.
    """

    slot: Int[Array, " sought"]
    position: Float[Array, "sought 2"]
    peak_response: Float[Array, " sought"]
    accepted: Bool[Array, " sought"]


def redetect(
    settings: Redetection,
    features: Features,
    filter: CorrelationFilter,
    filters: Any,
    prepared: Any,
    positions: Float[Array, "slot 2"],
    frames_unseen: Int[Array, " slot"],
    followed: Bool[Array, " slot"],
    *,
    scales: Float[Array, " slot"] | None,
    weights: tuple[float, ...],
    size: int,
) -> Found:
    """Applies the filters of lost cells to nine windows around their last positions, half a window apart.

    No motion prior is used, since a lost cell may be anywhere. The sizes of the cells are not changed.

    Args:
        settings: When and how.
        features: Features for the filters.
        filter: The filter.
        filters: State of the filters of every layer.
        prepared: Features of the frame.
        positions: Last positions (y, x) of all tracks.
        frames_unseen: Frames for which each track has been lost; 0 for others and for free slots.
        followed: Whether a track is followed, so that its position is occupied.
        scales: Size of each cell relative to its first frame; None if windows have a fixed size.
        weights: Gamma of each layer.
        size: Side of the window in pixels.

    Returns:
        One position for each of the searched tracks. Two lost tracks never get the same cell: the one with
        the higher response gets it.
    """
    tracks = min(settings.tracks, len(frames_unseen))
    lost_for, slot = jax.lax.top_k(frames_unseen, tracks)
    zooms = jnp.ones(tracks) if scales is None else scales[slot]
    centres = jnp.round(positions[slot][:, None] + RING[None] * (size // 2) * zooms[:, None, None])
    centres = centres.reshape(-1, 2)
    repeats = jnp.repeat(zooms, len(RING))
    windows = features.windows(prepared, centres, None if scales is None else repeats, size=size)
    repeated = jax.tree.map(lambda leaf: jnp.repeat(leaf[slot], len(RING), axis=0), filters)
    response = respond_levels(filter, repeated, windows.levels, weights=weights)
    shifts, heights = peak_shifts(response)
    places = (centres + shifts * features.strides[0] * repeats[:, None]).reshape(tracks, len(RING), 2)
    heights = heights.reshape(tracks, len(RING))
    best = jnp.argmax(heights, axis=1)
    row = jnp.arange(tracks)
    place, peak_response = places[row, best], heights[row, best]
    peak_response = jnp.where(lost_for > 0, peak_response, -jnp.inf)
    taken = _near(place, positions, settings.apart) & followed[None]
    rival = _near(place, place, settings.apart) & (
        (peak_response[None] > peak_response[:, None])
        | ((peak_response[None] == peak_response[:, None]) & (row[None] < row[:, None]))
    )
    accepted = (peak_response >= settings.accept) & ~taken.any(axis=1) & ~rival.any(axis=1)
    return Found(slot, place, peak_response, accepted)


def _near(
    points: Float[Array, "point 2"], others: Float[Array, "other 2"], radius: float
) -> Bool[Array, "point other"]:
    return jnp.sum(jnp.square(points[:, None] - others[None]), axis=-1) < radius**2
