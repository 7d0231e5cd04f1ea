"""All cells of a movie followed at once: `empty_state`, then `step` per frame, in constant memory.

Every cell has a slot. Slots that are free take part in the arithmetic and their results are not looked at, so
that shapes, and with them the compiled program, stay the same while cells come and go. A whole movie is a
`jax.lax.scan` over `step` (`follow`); a live one calls `step` itself. Nothing here loops over cells or frames
in Python.
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
from cellmotion_jax.tracking.births import begin, free_slots, hand_over
from cellmotion_jax.tracking.centring import settle
from cellmotion_jax.tracking.confidence import normalized_entropy, peak_to_sidelobe_ratio
from cellmotion_jax.tracking.hierarchical import update_levels
from cellmotion_jax.tracking.redetection import redetect
from cellmotion_jax.tracking.search import look
from cellmotion_jax.tracking.state import Births, Observation, Tracker, TrackState, windows_at

LEAST_USUAL = 0.05
"""A response below this is never what is usual for a cell, so that noise is not held against noise."""


def step(
    tracker: Tracker, state: TrackState, frame: Float[Array, "y x"], births: Births
) -> tuple[TrackState, Observation]:
    """Follows every cell into the next frame, begins the new ones, and lets all filters learn.

    A newborn takes its given place. A track that sits within the exclusion radius of it, or is the nearest to
    two newborns within the reach of a division, ends in the frame before and is the parent: a birth is told
    from outside, the track may be mistaken.

    Args:
        tracker: The configuration.
        state: What is known so far.
        frame: Intensities.
        births: Cells that begin here; all cells do in the first frame.

    Returns:
        The new state, and what there is to tell.
    """
    shape = np.array([frame.shape], np.float32)
    prepared = tracker.features.prepare(frame)
    search = look(tracker, state, prepared)
    active = state.identity > 0
    slots = len(active)
    steps = tracker.features.strides[0] * search.scale
    if tracker.exclusion is None:
        index, seen = first_maximum(search.logits), active
    else:
        index, seen = exclusive_places(search.logits, search.origin, steps, active, tracker.exclusion)
    shift = refine_shifts(search.logits, index)
    if tracker.centring is not None and search.centre is not None:
        shift = settle(search.centre, shift, steps, tracker.centring)
    place = jnp.where(seen[:, None], search.origin + shift * steps[:, None], state.position)
    place = jnp.clip(place, 0.0, shape - 1)
    height = jnp.take_along_axis(search.response.reshape(slots, -1), index[:, None], axis=1)[:, 0]
    height = jnp.where(seen, height, 0.0)
    # Whoever was not seen for a while may have gone further, as `look` allows.
    allowed = tracker.motion.spread**2 * (1 + state.doubtful)
    jump = jnp.sum(jnp.square(place - state.position), axis=1) / allowed
    belief = height / jnp.maximum(state.usual, LEAST_USUAL) - tracker.trust.jump * jump
    regained = state.confidence + tracker.trust.recovery * jnp.maximum(belief - state.confidence, 0.0)
    # A frame without a place is lost, and tells nothing of the places before and after it.
    confidence = jnp.where(seen, jnp.minimum(regained, belief), state.confidence)
    sure = seen & (height >= tracker.trust.pause)
    fits = seen
    if tracker.redetection is not None:
        found = redetect(
            tracker.redetection,
            tracker.features,
            tracker.form,
            state.filters,
            prepared,
            place,
            jnp.where(active & ~sure, state.doubtful + 1, 0),
            active & sure,
            scales=None if len(tracker.scales) == 1 else state.scale,
            weights=tracker.weights,
            size=tracker.size,
        )
        again = jnp.where(found.accepted, found.slot, slots)
        fits = seen & ~jnp.zeros(slots, bool).at[again].set(True, mode="drop")
        place = place.at[again].set(jnp.clip(found.position, 0.0, shape - 1), mode="drop")
        height = height.at[again].set(found.height, mode="drop")
        # A response that `Redetection.accept` calls the cell makes good what went before.
        confidence = confidence.at[again].set(1.0, mode="drop")
        seen, sure = (flag.at[again].set(True, mode="drop") for flag in (seen, sure))
    doubtful = jnp.where(sure, 0, state.doubtful + 1)
    if tracker.trust.patience is not None:
        active &= doubtful <= tracker.trust.patience
    usual = (1 - tracker.trust.smoothing) * state.usual + tracker.trust.smoothing * jnp.maximum(height, 0.0)
    velocity = (1 - tracker.motion.smoothing) * state.velocity
    velocity += tracker.motion.smoothing * (place - state.position)
    followed = TrackState(
        identity=jnp.where(active, state.identity, 0),
        position=place,
        # A place found in the wider search is no displacement per frame.
        velocity=jnp.where(fits[:, None], velocity, jnp.where(seen[:, None], 0.0, state.velocity)),
        scale=jnp.where(fits, search.scale, state.scale),
        confidence=confidence,
        usual=jnp.where(seen, usual, state.usual),
        doubtful=doubtful,
        filters=state.filters,
    )
    ended, parents = hand_over(tracker.exclusion, followed, births)
    slot, born = free_slots(ended.identity, births)
    known = begin(ended, births, slot)
    rates = jnp.where(sure & (ended.identity > 0), tracker.form.learning_rate, 0.0)
    rates = rates.at[slot].set(1.0, mode="drop")
    learned = _learn(tracker, known, prepared, rates)
    present = learned.identity > 0
    newborn = jnp.zeros(slots, bool).at[slot].set(True, mode="drop")
    observation = Observation(
        identity=learned.identity,
        position=learned.position,
        scale=learned.scale,
        height=jnp.where(newborn, 1.0, height),
        psr=jnp.where(newborn, jnp.nan, peak_to_sidelobe_ratio(search.response)),
        entropy=jnp.where(newborn, jnp.nan, normalized_entropy(search.logits)),
        confidence=learned.confidence,
        lost=present & ~newborn & (~seen | (learned.confidence < tracker.trust.lost)),
        parent=jnp.zeros(slots, jnp.int32).at[slot].set(parents, mode="drop"),
        dropped=jnp.full(slots, jnp.sum((births.identity > 0) & ~born)),
    )
    return learned, observation


def follow(
    tracker: Tracker, state: TrackState, frames: Float[Array, "time y x"], births: Births
) -> tuple[TrackState, Observation]:
    """`step` over frames as one `jax.lax.scan`.

    Args:
        tracker: The configuration.
        state: What is known before the first frame, from `empty_state` or an earlier call.
        frames: A movie or a part of it.
        births: As of `step`, with a leading axis of frames.

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
        tracker.form, state.filters, windows.levels, offsets, rates, strides=tracker.features.strides
    )
    return dataclasses.replace(state, filters=filters)
