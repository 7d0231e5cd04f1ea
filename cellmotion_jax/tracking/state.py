"""What a tracker is told, what it remembers, and what it tells."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.tracking.assignment import Exclusion
from cellmotion_jax.tracking.centring import Centring
from cellmotion_jax.tracking.correlation_filter import CorrelationFilter, LinearFilter
from cellmotion_jax.tracking.features import Features, Intensity, Windows
from cellmotion_jax.tracking.hierarchical import init_levels
from cellmotion_jax.tracking.redetection import Redetection


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """How cells move: a Gaussian around where the last displacements lead (the momentum of Section 7)."""

    spread: float = 6.0
    """Standard deviation of the displacement from the predicted place in pixels; infinite for no prior."""
    momentum: float = 0.5
    """Share of the mean velocity that a cell keeps; 0 expects it where it was."""
    smoothing: float = 0.5
    """Share of the newest displacement in the moving average of the velocity."""

    def __post_init__(self) -> None:
        """Refuses a spread that allows no displacement at all."""
        if not self.spread >= 0.1:
            raise ValueError(f"spread is {self.spread}; it is at least 0.1 pixels, or infinite")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfidenceSettings:
    """When a track is believed, when its filter learns, when it ends."""

    lost: float = 0.2
    """Confidence below which a track is reported lost. The confidence is the lowest belief that the track has
    had, its weakest link, unless ``recovery`` or a re-detection raise it: after a jump to another cell it
    stays low, although the filter is soon content with the new cell. The belief in a frame is the response as
    a share of what is usual for the track, less the price of the displacement. Frames without a place are
    lost too, and leave the confidence as it was."""
    jump: float = 0.05
    """Belief that a displacement of one `Motion.spread` from the last place costs; it counts squared."""
    smoothing: float = 0.2
    """Share of the newest response in what is usual for a track, a moving average."""
    recovery: float = 0.0
    """How much of the gap to the present belief the confidence regains per frame."""
    pause: float = 0.1
    """Response below which the filter does not learn in this frame."""
    patience: int | None = None
    """Frames in a row without a place, or below ``pause``, after which a track ends; None for never."""


@flax.struct.dataclass
class Tracker:
    """What is followed how; a pytree whose leaves are the parameters of the features.

    Attributes:
        features: What the filters look at.
        filter: The filter.
        weights: Gamma of each layer of the features.
        size: Side of the search window in pixels, a multiple of every layer's stride.
        sharpness: Log probability of a place per unit of response.
        motion: The prior of the displacement.
        scales: Relative sizes of the window that are tried in every frame; (1.0,) for a fixed size.
        scale_spread: Standard deviation of the logarithm of a cell's change of scale from frame to frame.
        scale_samples: Independent samples of a window, as many as structures fit into it, that bear witness
            to its scale.
        exclusion: How tracks compete for places; None lets each have its best.
        centring: How tracks keep to the middle of their cells, if the features say where that is; None
            leaves them at the peak of the response.
        redetection: How a lost cell is looked for beyond its window; None for not at all.
        confidence: When a track is believed.
    """

    features: Features = Intensity()
    filter: CorrelationFilter = flax.struct.field(pytree_node=False, default=LinearFilter())
    weights: tuple[float, ...] = flax.struct.field(pytree_node=False, default=(1.0,))
    size: int = flax.struct.field(pytree_node=False, default=48)
    sharpness: float = flax.struct.field(pytree_node=False, default=10.0)
    motion: Motion = flax.struct.field(pytree_node=False, default=Motion())
    scales: tuple[float, ...] = flax.struct.field(pytree_node=False, default=(1.0,))
    scale_spread: float = flax.struct.field(pytree_node=False, default=0.05)
    scale_samples: float = flax.struct.field(pytree_node=False, default=30.0)
    exclusion: Exclusion | None = flax.struct.field(pytree_node=False, default=None)
    centring: Centring | None = flax.struct.field(pytree_node=False, default=Centring())
    redetection: Redetection | None = flax.struct.field(pytree_node=False, default=None)
    confidence: ConfidenceSettings = flax.struct.field(pytree_node=False, default=ConfidenceSettings())


@flax.struct.dataclass
class TrackState:
    """What is known of every slot after a frame.

    Attributes:
        identity: Id of the track in the slot, 0 for a free slot.
        position: Place (y, x) in pixels.
        velocity: Moving average of the displacement per frame.
        scale: Size of the cell relative to its first frame.
        confidence: Lowest belief so far, see `ConfidenceSettings`.
        mean_response: Moving average of the responses.
        frames_unseen: Frames in a row without a place or with a response below `ConfidenceSettings.pause`.
        filters: State of the filter of every layer.
    """

    identity: Int[Array, " slot"]
    position: Float[Array, "slot 2"]
    velocity: Float[Array, "slot 2"]
    scale: Float[Array, " slot"]
    confidence: Float[Array, " slot"]
    mean_response: Float[Array, " slot"]
    frames_unseen: Int[Array, " slot"]
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
        peak_response: Response of the filter at the place; about 1 for a cell that has not changed.
        psr: Peak-to-sidelobe ratio of the response; NaN in the frame of birth, when nothing was looked for.
        entropy: Entropy of the places that response and motion allow, 0 (certain) to 1; NaN likewise.
        confidence: Lowest belief of the track so far, see `ConfidenceSettings`.
        lost: Whether the track says that it has no place, or does not believe it.
        parent: Id of the track that ended because this one was born, see `end_replaced_tracks`; 0 elsewhere.
        dropped: Number of births for which there was no free slot, the same in every slot.
    """

    identity: Int[Array, " slot"]
    position: Float[Array, "slot 2"]
    scale: Float[Array, " slot"]
    peak_response: Float[Array, " slot"]
    psr: Float[Array, " slot"]
    entropy: Float[Array, " slot"]
    confidence: Float[Array, " slot"]
    lost: Bool[Array, " slot"]
    parent: Int[Array, " slot"]
    dropped: Int[Array, " slot"]


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

    @jax.jit
    def blank(tracker: Tracker) -> Any:
        # Only the shapes are wanted: nothing that leads to them is left in the compiled program.
        frame = tracker.features.prepare(jnp.zeros(shape))
        windows = windows_at(tracker, frame, nowhere, jnp.ones(slots))
        states = init_levels(tracker.filter, windows.levels, nowhere, strides=strides)
        return jax.tree.map(jnp.zeros_like, states)

    return TrackState(
        identity=jnp.zeros(slots, jnp.int32),
        position=nowhere,
        velocity=nowhere,
        scale=jnp.ones(slots),
        confidence=jnp.zeros(slots),
        mean_response=jnp.zeros(slots),
        frames_unseen=jnp.zeros(slots, jnp.int32),
        filters=blank(tracker),
    )


def windows_at(
    tracker: Tracker, prepared: Any, centres: Float[Array, "cell 2"], scales: Float[Array, " cell"]
) -> Windows:
    """The tracker's features around points; with a fixed size of windows, scales are not looked at.

    Args:
        tracker: The configuration.
        prepared: Features of the frame.
        centres: Whole pixels (y, x).
        scales: Size of each cell relative to its first frame.

    Returns:
        One window per point.
    """
    fixed = len(tracker.scales) == 1
    return tracker.features.windows(prepared, centres, None if fixed else scales, size=tracker.size)
