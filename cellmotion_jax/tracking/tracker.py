"""All cells of a movie followed at once: `empty_state`, then `step` per frame, in constant memory.

Every cell has a slot. Slots that are free take part in the arithmetic and their results are not looked at,
so that shapes, and with them the compiled program, stay the same while cells come and go. A whole movie is
a `jax.lax.scan` over `step` (`follow`); a live one calls `step` itself. Nothing here loops over cells or
frames in Python.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.ops.fourier import first_maximum, refine_shifts, signed_shifts
from cellmotion_jax.tracking.assignment import Exclusion, exclusive_places
from cellmotion_jax.tracking.confidence import normalized_entropy, peak_to_sidelobe_ratio
from cellmotion_jax.tracking.correlation_filter import CorrelationFilter, LinearFilter
from cellmotion_jax.tracking.features import Features, Intensity
from cellmotion_jax.tracking.hierarchical import init_levels, respond_levels, update_levels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """How cells move: a Gaussian around the place where the last displacements lead (Section 7's
    momentum).
    """

    spread: float = 8.0
    """Standard deviation of the displacement from the predicted place in pixels; infinite for no prior."""
    momentum: float = 0.5
    """Share of the mean velocity that a cell keeps; 0 expects it where it was."""
    smoothing: float = 0.5
    """Share of the newest displacement in the moving average of the velocity."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trust:
    """When a track is believed, when its filter learns, when it ends."""

    lost: float = 0.2
    """Confidence below which a track is reported lost. The confidence is the lowest response that the track
    has ever
    had: after a jump to another cell it stays low, although the filter is soon content with the new cell."""
    recovery: float = 0.0
    """How much of the gap to the present response the confidence regains per frame."""
    pause: float = 0.1
    """Response below which the filter does not learn in this frame."""
    patience: int | None = None
    """Frames in a row without a place, or below ``pause``, after which a track ends; None for never."""


@flax.struct.dataclass
class Tracker:
    """What is followed how; a pytree whose leaves are the parameters of the features.

    Attributes:
        features: What the filters look at.
        form: The filter.
        weights: Gamma of each layer of the features.
        size: Side of the search window in pixels, a multiple of every layer's stride.
        sharpness: Log probability of a place per unit of response.
        motion: The prior of the displacement.
        scales: Relative sizes of the window that are tried in every frame; (1.0,) for a fixed size.
        scale_spread: Standard deviation of the logarithm of a cell's change of scale from frame to frame.
        exclusion: How tracks compete for places; None lets each have its best.
        trust: When a track is believed.
    """

    features: Features = Intensity()
    form: CorrelationFilter = flax.struct.field(pytree_node=False, default=LinearFilter())
    weights: tuple[float, ...] = flax.struct.field(pytree_node=False, default=(1.0,))
    size: int = flax.struct.field(pytree_node=False, default=48)
    sharpness: float = flax.struct.field(pytree_node=False, default=10.0)
    motion: Motion = flax.struct.field(pytree_node=False, default=Motion())
    scales: tuple[float, ...] = flax.struct.field(pytree_node=False, default=(1.0,))
    scale_spread: float = flax.struct.field(pytree_node=False, default=0.05)
    exclusion: Exclusion | None = flax.struct.field(pytree_node=False, default=None)
    trust: Trust = flax.struct.field(pytree_node=False, default=Trust())


@flax.struct.dataclass
class TrackState:
    """What is known of every slot after a frame.

    Attributes:
        identity: Id of the track in the slot, 0 for a free slot.
        position: Place (y, x) in pixels.
        velocity: Moving average of the displacement per frame.
        scale: Size of the cell relative to its first frame.
        confidence: Lowest response so far.
        doubtful: Frames in a row without a place or with a response below `Trust.pause`.
        filters: State of the filter of every layer.
    """

    identity: Int[Array, " slot"]
    position: Float[Array, "slot 2"]
    velocity: Float[Array, "slot 2"]
    scale: Float[Array, " slot"]
    confidence: Float[Array, " slot"]
    doubtful: Int[Array, " slot"]
    filters: Any


class Births(NamedTuple):
    """Cells that begin in a frame.

    Attributes:
        identity: Id of each, 0 where the entry is empty.
        position: Place (y, x).
    """

    identity: Int[Array, " birth"]
    position: Float[Array, "birth 2"]


class Observation(NamedTuple):
    """What a frame told of every slot.

    Attributes:
        identity: Id of the track in the slot, 0 for a free slot.
        position: Place (y, x) in pixels.
        scale: Size relative to the first frame.
        height: Response of the filter at the place; about 1 for a cell that has not changed.
        psr: Peak-to-sidelobe ratio of the response; NaN in the frame of birth, when nothing was looked for.
        entropy: Entropy of the places that response and motion allow, 0 (certain) to 1; NaN likewise.
        confidence: Lowest response of the track so far.
        lost: Whether the track says that it has no place, or does not believe it.
        parent: Id of the track that ended because this one was born on its place; 0 elsewhere.
        dropped: Number of births for which there was no free slot, the same in every slot.
    """

    identity: Int[Array, " slot"]
    position: Float[Array, "slot 2"]
    scale: Float[Array, " slot"]
    height: Float[Array, " slot"]
    psr: Float[Array, " slot"]
    entropy: Float[Array, " slot"]
    confidence: Float[Array, " slot"]
    lost: Bool[Array, " slot"]
    parent: Int[Array, " slot"]
    dropped: Int[Array, " slot"]


class Search(NamedTuple):
    """Where every slot's cell may be, before anyone decides.

    Attributes:
        origin: Pixel at the zero shift of each map, a whole number.
        scale: Scale of the window whose response is the most likely.
        response: Response of the filter over circular shifts, in samples of the finest layer.
        logits: Log probability of each shift, up to a constant: response, motion, and what the features say.
    """

    origin: Float[Array, "slot 2"]
    scale: Float[Array, " slot"]
    response: Float[Array, "slot y x"]
    logits: Float[Array, "slot y x"]


def empty_state(tracker: Tracker, *, slots: int, shape: tuple[int, int]) -> TrackState:
    """A state without cells.

    Args:
        tracker: The configuration.
        slots: Number of cells that can be followed at a time.
        shape: Size (y, x) of the frames.

    Returns:
        All slots free.

    Raises:
        ValueError: If the configuration does not fit together.
    """
    strides = tracker.features.strides
    if len(strides) != len(tracker.weights):
        raise ValueError(
            f"weights has {len(tracker.weights)} entries, but the features have {len(strides)} layers"
        )
    if any(tracker.size % stride for stride in strides):
        raise ValueError(f"size {tracker.size} must be a multiple of every stride of the features, {strides}")
    nowhere = jnp.zeros((slots, 2))

    def learned(frame: Array) -> Any:
        windows = _windows(tracker, tracker.features.prepare(frame), nowhere, jnp.ones(slots))
        return init_levels(tracker.form, windows.levels, nowhere, strides=strides)

    shapes = jax.eval_shape(learned, jax.ShapeDtypeStruct(shape, jnp.float32))
    return TrackState(
        identity=jnp.zeros(slots, jnp.int32),
        position=nowhere,
        velocity=nowhere,
        scale=jnp.ones(slots),
        confidence=jnp.zeros(slots),
        doubtful=jnp.zeros(slots, jnp.int32),
        filters=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes),
    )


def step(
    tracker: Tracker, state: TrackState, frame: Float[Array, "y x"], births: Births
) -> tuple[TrackState, Observation]:
    """Follows every cell into the next frame, begins the new ones, and lets all filters learn.

    A newborn takes its given place. If a track sits within the exclusion radius of it, that track ends in
    the frame before and is the parent: a birth is told from outside, the track may be mistaken.

    Args:
        tracker: The configuration.
        state: What is known so far.
        frame: Intensities.
        births: Cells that begin here; all cells do in the first frame.

    Returns:
        The new state, and what there is to tell.
    """
    shape = np.array(frame.shape, np.float32)
    prepared = tracker.features.prepare(frame)
    search = look(tracker, state, prepared)
    active = state.identity > 0
    slots = len(active)
    steps = tracker.features.strides[0] * search.scale
    if tracker.exclusion is None:
        index, seen = first_maximum(search.logits), active
    else:
        index, seen = exclusive_places(search.logits, search.origin, steps, active, tracker.exclusion)
    shift = refine_shifts(search.logits, index) * steps[:, None]
    place = jnp.where(seen[:, None], search.origin + shift, state.position)
    place = jnp.clip(place, 0.0, shape - 1)
    height = jnp.take_along_axis(search.response.reshape(slots, -1), index[:, None], axis=1)[:, 0]
    height = jnp.where(seen, height, 0.0)
    sure = seen & (height >= tracker.trust.pause)
    doubtful = jnp.where(sure, 0, state.doubtful + 1)
    if tracker.trust.patience is not None:
        active &= doubtful <= tracker.trust.patience
    regained = state.confidence + tracker.trust.recovery * jnp.maximum(height - state.confidence, 0.0)
    moved = jnp.where(seen[:, None], place - state.position, state.velocity)
    followed = TrackState(
        identity=jnp.where(active, state.identity, 0),
        position=place,
        velocity=(1 - tracker.motion.smoothing) * state.velocity + tracker.motion.smoothing * moved,
        scale=jnp.where(seen, search.scale, state.scale),
        confidence=jnp.minimum(regained, height),
        doubtful=doubtful,
        filters=state.filters,
    )
    ended, parents = _hand_over(tracker, followed, births)
    slot, born = _free_slots(ended.identity, births)
    known = _begin(ended, births, slot)
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


def look(tracker: Tracker, state: TrackState, prepared: Any) -> Search:
    r"""Correlates every filter with the window around the place where its cell is expected.

    .. math:: \log p(s) = \beta f(s) + u(s) - \frac{\|s - v\|^2}{2 \sigma^2 (1 + n)} + const

    with the response f, what the features say of a centre there u, the expected displacement v and the
    number of doubtful frames n: the longer a cell has not been seen, the further it may have gone.

    Args:
        tracker: The configuration.
        state: What is known.
        prepared: Features of the frame, from ``tracker.features.prepare``.

    Returns:
        Maps over shifts.
    """
    expected = state.position + tracker.motion.momentum * state.velocity
    origin = jnp.round(expected)
    searches = [_look_at_scale(tracker, state, prepared, expected, origin, scale) for scale in tracker.scales]
    if len(searches) == 1:
        return searches[0]
    best = jnp.argmax(jnp.stack([jnp.max(search.logits, axis=(1, 2)) for search in searches]), axis=0)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves)[best, jnp.arange(len(best))], *searches)


def _look_at_scale(
    tracker: Tracker, state: TrackState, prepared: Any, expected: Array, origin: Array, change: float
) -> Search:
    scale = state.scale * change
    windows = _windows(tracker, prepared, origin, scale)
    response = respond_levels(tracker.form, state.filters, windows.levels, weights=tracker.weights)
    logits = tracker.sharpness * response
    if windows.centre is not None:
        logits = logits + jnp.fft.ifftshift(windows.centre, axes=(1, 2))
    variance = tracker.motion.spread**2 * (1.0 + state.doubtful)[:, None]
    for axis, size in enumerate(response.shape[1:]):
        shift = signed_shifts(size)[None] * tracker.features.strides[0] * scale[:, None]
        penalty = -0.5 * jnp.square(shift - (expected - origin)[:, axis, None]) / variance
        logits = logits + jnp.expand_dims(penalty, 2 - axis)
    if change != 1.0:
        logits = logits - 0.5 * (np.log(change) / tracker.scale_spread) ** 2
    return Search(origin, scale, response, logits)


def _windows(tracker: Tracker, prepared: Any, centres: Array, scales: Array) -> Any:
    fixed = len(tracker.scales) == 1
    return tracker.features.windows(prepared, centres, None if fixed else scales, size=tracker.size)


def _hand_over(
    tracker: Tracker, state: TrackState, births: Births
) -> tuple[TrackState, Int[Array, " birth"]]:
    """Ends tracks on whose place a cell is born."""
    if tracker.exclusion is None:
        return state, jnp.zeros_like(births.identity)
    apart = jnp.sum(jnp.square(births.position[:, None] - state.position[None]), axis=-1)
    taken = (births.identity > 0)[:, None] & (state.identity > 0)[None]
    apart = jnp.where(taken, apart, jnp.inf)
    close = apart < tracker.exclusion.radius**2
    parents = jnp.where(jnp.any(close, axis=1), state.identity[jnp.argmin(apart, axis=1)], 0)
    return dataclasses.replace(state, identity=jnp.where(jnp.any(close, axis=0), 0, state.identity)), parents


def _free_slots(
    identity: Int[Array, " slot"], births: Births
) -> tuple[Int[Array, " birth"], Bool[Array, " birth"]]:
    """A free slot for every birth, the number of slots where there is none (such writes are dropped)."""
    slots = len(identity)
    free = jnp.nonzero(identity == 0, size=slots, fill_value=slots)[0]
    wanted = births.identity > 0
    turn = jnp.cumsum(wanted) - 1
    slot = jnp.where(wanted & (turn < slots), free[jnp.minimum(turn, slots - 1)], slots)
    return slot, slot < slots


def _begin(state: TrackState, births: Births, slot: Int[Array, " birth"]) -> TrackState:
    def put(column: Array, value: Any) -> Array:
        return column.at[slot].set(value, mode="drop")

    return dataclasses.replace(
        state,
        identity=put(state.identity, births.identity),
        position=put(state.position, births.position),
        velocity=put(state.velocity, 0.0),
        scale=put(state.scale, 1.0),
        confidence=put(state.confidence, 1.0),
        doubtful=put(state.doubtful, 0),
    )


def _learn(tracker: Tracker, state: TrackState, prepared: Any, rates: Float[Array, " slot"]) -> TrackState:
    origin = jnp.round(state.position)
    windows = _windows(tracker, prepared, origin, state.scale)
    offsets = (state.position - origin) / state.scale[:, None]
    filters = update_levels(
        tracker.form, state.filters, windows.levels, offsets, rates, strides=tracker.features.strides
    )
    return dataclasses.replace(state, filters=filters)
