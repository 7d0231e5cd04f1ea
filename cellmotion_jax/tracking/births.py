"""Beginning of tracks: free slots for newborn cells, and the end of the tracks that they replace."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from cellmotion_jax.tracking.assignment import Exclusion
from cellmotion_jax.tracking.state import Births, TrackState


def end_replaced_tracks(
    exclusion: Exclusion | None, state: TrackState, births: Births
) -> tuple[TrackState, Int[Array, " birth"]]:
    """Ends tracks at whose position a cell is born, and tracks whose cell divides.

    A track ends if a newborn lies within the radius of the exclusion, because otherwise two tracks would
    follow one cell; or if it is the nearest track to at least two newborns within the reach of a division,
    because then the mother cell no longer exists.

    Args:
        exclusion: Radius of one position, and largest distance of daughters; None ends no track.
        state: The state after tracking in this frame.
        births: Newborn cells of the frame.

    Returns:
        The state without the ended tracks, and the id of the nearest of them for every birth, 0 for none.
    """
    if exclusion is None:
        return state, jnp.zeros_like(births.identity)
    apart = jnp.sum(jnp.square(births.position[:, None] - state.position[None]), axis=-1)
    taken = (births.identity > 0)[:, None] & (state.identity > 0)[None]
    apart = jnp.where(taken, apart, jnp.inf)
    nearest = jnp.argmin(apart, axis=1)
    is_daughter = jnp.min(apart, axis=1) < exclusion.division**2
    daughters = jnp.zeros(len(state.identity), jnp.int32).at[nearest].add(is_daughter.astype(jnp.int32))
    ends = jnp.any(apart < exclusion.radius**2, axis=0) | (daughters >= 2)
    has_parent = is_daughter & ends[nearest]
    parents = jnp.where(has_parent, state.identity[nearest], 0)
    return dataclasses.replace(state, identity=jnp.where(ends, 0, state.identity)), parents


def free_slots(
    identity: Int[Array, " slot"], births: Births
) -> tuple[Int[Array, " birth"], Bool[Array, " birth"]]:
    """A free slot for every birth, in order.

    Args:
        identity: Ids in the slots, 0 for free ones.
        births: Newborn cells.

    Returns:
        The slot of each birth, or the number of slots if none is free (such writes are dropped); and whether
        a birth has a slot.
    """
    slots = len(identity)
    free = jnp.nonzero(identity == 0, size=slots, fill_value=slots)[0]
    wanted = births.identity > 0
    turn = jnp.cumsum(wanted) - 1
    slot = jnp.where(wanted & (turn < slots), free[jnp.minimum(turn, slots - 1)], slots)
    return slot, slot < slots


def begin(state: TrackState, births: Births, slot: Int[Array, " birth"]) -> TrackState:
    """Writes newborn cells into their slots; their filters are not yet learned.

    Args:
        state: The state before.
        births: Newborn cells.
        slot: Slots from `free_slots`.

    Returns:
        The state with the newborn cells.
    """

    def put(column: Array, value: Any) -> Array:
        return column.at[slot].set(value, mode="drop")

    return dataclasses.replace(
        state,
        identity=put(state.identity, births.identity),
        position=put(state.position, births.position),
        velocity=put(state.velocity, 0.0),
        scale=put(state.scale, 1.0),
        confidence=put(state.confidence, 1.0),
        # Half of what a filter answers to the window that it has just learned.
        mean_response=put(state.mean_response, 0.5),
        frames_unseen=put(state.frames_unseen, 0),
        frames_skipped=put(state.frames_skipped, 0),
    )
