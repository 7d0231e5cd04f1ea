"""Tracker for all cells of a movie at once: `empty_state`, then `step` per frame, in constant memory.

Every cell has a slot. Free slots are computed too and their results are ignored, so that shapes, and with
them the compiled program, stay the same when cells appear and disappear. A whole movie is a `jax.lax.scan`
over `step` (`follow`); a live one calls `step` itself. There is no Python loop over cells or frames.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cellmotion_jax.ops.fourier import first_maximum, refine_shifts
from cellmotion_jax.tracking.assignment import exclusive_places
from cellmotion_jax.tracking.births import begin, end_replaced_tracks, free_slots
from cellmotion_jax.tracking.centring import refine_centres
from cellmotion_jax.tracking.confidence import normalized_entropy, peak_to_sidelobe_ratio
from cellmotion_jax.tracking.hierarchical import update_levels
from cellmotion_jax.tracking.redetection import redetect
from cellmotion_jax.tracking.search import search
from cellmotion_jax.tracking.state import Births, Observation, Tracker, TrackState, windows_at

LEAST_MEAN_RESPONSE = 0.05
"""Lower bound of the mean response of a track, so that a response of noise is not compared with noise."""


def step(
    tracker: Tracker, state: TrackState, frame: Float[Array, "y x"], births: Births
) -> tuple[TrackState, Observation]:
    """Tracks every cell into the next frame, begins new tracks, and updates all filters.

    A track whose cell has left the image (`Motion.leave`) ends in the frame before. A newborn cell gets its
    given position. A track within the exclusion radius of it, or the track that is
    nearest to two newborns within the reach of a division, ends in the frame before and becomes the parent:
    births are given by the caller and are therefore trusted more than the track.

    Args:
        tracker: The configuration.
        state: State before the frame.
        frame: Intensities.
        births: Cells that begin in this frame; in the first frame these are all cells.

    Returns:
        The new state, and the observation of every slot.
    """
    shape = np.array([frame.shape], np.float32)
    prepared = tracker.features.prepare(frame)
    maps = search(tracker, state, prepared)
    active = state.identity > 0
    slots = len(active)
    steps = tracker.features.strides[0] * maps.scale
    if tracker.exclusion is None:
        index, seen = first_maximum(maps.logits), active
    else:
        index, seen = exclusive_places(maps.logits, maps.origin, steps, active, tracker.exclusion)
    shift = refine_shifts(maps.logits, index)
    if tracker.centring is not None and maps.centre is not None:
        shift = refine_centres(maps.centre, shift, steps, tracker.centring)
    # Windows reach beyond the border, so that a cell of which a part is left is found where its centre is.
    found_at = jnp.where(seen[:, None], maps.origin + shift * steps[:, None], state.position)
    place = jnp.clip(found_at, 0.0, shape - 1)
    left = jnp.any(jnp.abs(found_at - place) > tracker.motion.leave, axis=1)
    peak_response = jnp.take_along_axis(maps.response.reshape(slots, -1), index[:, None], axis=1)[:, 0]
    peak_response = jnp.where(seen, peak_response, 0.0)
    # Whoever was not seen for a while may have gone further, as `search` allows.
    allowed = tracker.motion.spread**2 * state.displacement_variance
    jump = jnp.sum(jnp.square(place - state.position), axis=1) / allowed
    relative = peak_response / jnp.maximum(state.mean_response, LEAST_MEAN_RESPONSE)
    belief = relative - tracker.confidence.jump * jump
    regained = state.confidence + tracker.confidence.recovery * jnp.maximum(belief - state.confidence, 0.0)
    # A frame without a place is lost, and tells nothing of the places before and after it.
    confidence = jnp.where(seen, jnp.minimum(regained, belief), state.confidence)
    sure = seen & (peak_response >= tracker.confidence.pause)
    fits = seen
    if tracker.redetection is not None:
        found = redetect(
            tracker.redetection,
            tracker.features,
            tracker.filter,
            state.filters,
            prepared,
            place,
            jnp.where(active & ~sure, state.frames_unseen + 1, 0),
            active & sure,
            scales=None if len(tracker.scales) == 1 else state.scale,
            weights=tracker.weights,
            size=tracker.size,
        )
        again = jnp.where(found.accepted, found.slot, slots)
        fits = seen & ~jnp.zeros(slots, bool).at[again].set(True, mode="drop")
        place = place.at[again].set(jnp.clip(found.position, 0.0, shape - 1), mode="drop")
        peak_response = peak_response.at[again].set(found.peak_response, mode="drop")
        # A response that `Redetection.accept` calls the cell makes good what went before.
        confidence = confidence.at[again].set(1.0, mode="drop")
        seen, sure = (flag.at[again].set(True, mode="drop") for flag in (seen, sure))
    active &= ~left | ~fits
    frames_unseen = jnp.where(sure, 0, state.frames_unseen + 1)
    if tracker.confidence.patience is not None:
        active &= frames_unseen <= tracker.confidence.patience
    smoothing = tracker.confidence.smoothing
    mean_response = (1 - smoothing) * state.mean_response + smoothing * jnp.maximum(peak_response, 0.0)
    velocity = (1 - tracker.motion.smoothing) * state.velocity
    velocity += tracker.motion.smoothing * (place - state.position)
    followed = TrackState(
        identity=jnp.where(active, state.identity, 0),
        position=place,
        # A place found in the wider search is no displacement per frame.
        velocity=jnp.where(fits[:, None], velocity, jnp.where(seen[:, None], 0.0, state.velocity)),
        scale=jnp.where(fits, maps.scale, state.scale),
        confidence=confidence,
        mean_response=jnp.where(seen, mean_response, state.mean_response),
        frames_unseen=frames_unseen,
        frames_skipped=jnp.where(sure, 0, state.frames_skipped),
        filters=state.filters,
    )
    ended, parents = end_replaced_tracks(tracker.exclusion, followed, births)
    slot, born = free_slots(ended.identity, births)
    known = begin(ended, births, slot)
    rates = jnp.where(sure & (ended.identity > 0), tracker.filter.learning_rate, 0.0)
    rates = rates.at[slot].set(1.0, mode="drop")
    learned = _learn(tracker, known, prepared, rates)
    present = learned.identity > 0
    newborn = jnp.zeros(slots, bool).at[slot].set(True, mode="drop")
    observation = Observation(
        identity=learned.identity,
        position=learned.position,
        scale=learned.scale,
        peak_response=jnp.where(newborn, 1.0, peak_response),
        psr=jnp.where(newborn, jnp.nan, peak_to_sidelobe_ratio(maps.response)),
        entropy=jnp.where(newborn, jnp.nan, normalized_entropy(maps.logits)),
        confidence=learned.confidence,
        lost=present & ~newborn & (~seen | (learned.confidence < tracker.confidence.lost)),
        parent=jnp.zeros(slots, jnp.int32).at[slot].set(parents, mode="drop"),
        dropped=jnp.full(slots, jnp.sum((births.identity > 0) & ~born)),
    )
    return learned, observation


def skip(tracker: Tracker, state: TrackState, shape: tuple[int, int]) -> tuple[TrackState, Observation]:
    """Tracks every cell across a frame without information, from which nothing is taken.

    A cell moves on by what the motion prior expects, and its velocity falls to that; the prior of the next
    frame is as wide as for a cell that was not found. Filters, confidence and patience stay as they are.

    Args:
        tracker: The configuration.
        state: State before the frame.
        shape: Size (y, x) of the frame.

    Returns:
        The new state, and the observation of every slot: the expected position, reported lost, without
        response.
    """
    expected = tracker.motion.momentum * state.velocity
    moved = dataclasses.replace(
        state,
        position=jnp.clip(state.position + expected, 0.0, np.array([shape], np.float32) - 1),
        velocity=expected,
        frames_skipped=state.frames_skipped + 1,
    )
    unknown = jnp.full(state.confidence.shape, jnp.nan)
    nothing = jnp.zeros_like(state.identity)
    observation = Observation(
        identity=state.identity,
        position=moved.position,
        scale=state.scale,
        peak_response=unknown,
        psr=unknown,
        entropy=unknown,
        confidence=state.confidence,
        lost=state.identity > 0,
        parent=nothing,
        dropped=nothing,
    )
    return moved, observation


def follow(
    tracker: Tracker, state: TrackState, frames: Float[Array, "time y x"], births: Births
) -> tuple[TrackState, Observation]:
    """Tracks all cells through a movie: `step` over its frames in one `jax.lax.scan`.

    Args:
        tracker: The configuration.
        state: The state before the first frame, from `empty_state` or an earlier call.
        frames: A movie or a part of it.
        births: As in `step`, with a leading axis of frames.

    Returns:
        The last state, and the observations with a leading axis of frames.
    """

    def scanned(carry: TrackState, inputs: tuple[Array, Births]) -> tuple[TrackState, Observation]:
        return step(tracker, carry, *inputs)

    return jax.lax.scan(scanned, state, (frames, births))


def _learn(tracker: Tracker, state: TrackState, prepared: Any, rates: Float[Array, " slot"]) -> TrackState:
    origin = jnp.round(state.position)
    windows = windows_at(tracker, prepared, origin, state.scale)
    offsets = (state.position - origin) / state.scale[:, None]
    filters = update_levels(
        tracker.filter, state.filters, windows.levels, offsets, rates, strides=tracker.features.strides
    )
    return dataclasses.replace(state, filters=filters)
