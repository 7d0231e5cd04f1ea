"""Configuration, state and output of the tracker."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.settings import Count, NotNegative, Positive, Range, Settings, Share, Side
from cellmotion_jax.tracking.assignment import Exclusion
from cellmotion_jax.tracking.centring import Centring
from cellmotion_jax.tracking.correlation_filter import CorrelationFilter, LinearFilter
from cellmotion_jax.tracking.features import Features, Intensity, Windows
from cellmotion_jax.tracking.hierarchical import init_levels
from cellmotion_jax.tracking.redetection import Redetection


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion(Settings):
    """Motion prior: a Gaussian around the position predicted from past displacements (Section 7)."""

    spread: Annotated[float, Range(0.1, math.inf)] = 6.0
    """Standard deviation of the displacement from the predicted position in pixels; infinite for no prior."""
    momentum: Share = 0.5
    """Share of the mean velocity in the prediction; 0 predicts the last position."""
    smoothing: Share = 0.5
    """Weight of the newest displacement in the moving average of the velocity."""
    leave: Annotated[float, Range(0.0, math.inf)] = 2.0
    """Distance in pixels beyond the border at which the centre of a cell has left the image: its track ends
    in the frame before. Infinite to keep it at the border."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfidenceSettings(Settings):
    """Thresholds on the confidence and response of a track: when it is lost, when it learns, when it ends."""

    lost: Share = 0.2
    """Confidence below which a track is reported lost. The belief in a frame is the response divided by the
    mean response of the track, minus the penalty of the displacement. The confidence is the lowest belief of
    the track so far, unless ``recovery`` or a re-detection raises it: after a jump to another cell it stays
    low, although the filter soon responds to the new cell. A frame in which the cell was not found is
    reported lost too, and does not change the confidence."""
    jump: NotNegative = 0.05
    """Reduction of the belief by a displacement of one `Motion.spread` from the last position; it grows with
    the square of the displacement."""
    smoothing: Share = 0.2
    """Weight of the newest response in the moving average of a track's response."""
    recovery: Share = 0.0
    """Share of the difference to the present belief by which the confidence rises per frame."""
    pause: Share = 0.1
    """Response below which the filter does not learn in this frame."""
    patience: Count | None = None
    """Number of consecutive frames in which the cell was not found, or its response was below ``pause``,
    after which a track ends; None for never."""


@flax.struct.dataclass
class Tracker(Settings):
    """Configuration of a tracker; a pytree whose leaves are the parameters of the features.

    Attributes:
        features: Features for the filters.
        filter: The correlation filter.
        weights: Gamma of each layer of the features.
        size: Side of the search window in pixels, a multiple of every layer's stride.
        sharpness: Factor from response to log probability of a position.
        motion: Prior of the displacement.
        scales: Relative sizes of the window that are tried in every frame; (1.0,) for a fixed size.
        scale_spread: Standard deviation of the logarithm of a cell's change of scale from frame to frame.
        scale_samples: Number of statistically independent samples in a window, for the likelihood of its
            scale.
        exclusion: Settings of the joint assignment of positions; None gives each track its own best position.
        centring: Settings of the correction to cell centres, if the features predict them; None keeps the
            peak of the response.
        redetection: Settings of the search for lost cells outside their windows; None for no search.
        confidence: Thresholds on the confidence.
    """

    features: Features = Intensity()
    filter: CorrelationFilter = flax.struct.field(pytree_node=False, default=LinearFilter())
    weights: tuple[NotNegative, ...] = flax.struct.field(pytree_node=False, default=(1.0,))
    size: Side = flax.struct.field(pytree_node=False, default=48)
    sharpness: NotNegative = flax.struct.field(pytree_node=False, default=10.0)
    motion: Motion = flax.struct.field(pytree_node=False, default=Motion())
    scales: tuple[Positive, ...] = flax.struct.field(pytree_node=False, default=(1.0,))
    scale_spread: Positive = flax.struct.field(pytree_node=False, default=0.05)
    scale_samples: Positive = flax.struct.field(pytree_node=False, default=30.0)
    exclusion: Exclusion | None = flax.struct.field(pytree_node=False, default=None)
    centring: Centring | None = flax.struct.field(pytree_node=False, default=Centring())
    redetection: Redetection | None = flax.struct.field(pytree_node=False, default=None)
    confidence: ConfidenceSettings = flax.struct.field(pytree_node=False, default=ConfidenceSettings())

    def check_together(self) -> None:
        """Raises SettingError if no layer has a weight."""
        if not sum(self.weights) > 0:
            self.refuse("weights", "at least one must be more than 0")


@flax.struct.dataclass
class TrackState:
    """State of every slot after a frame.

    Attributes:
        identity: Id of the track in the slot, 0 for a free slot.
        position: Position (y, x) in pixels.
        velocity: Moving average of the displacement per frame.
        scale: Size of the cell relative to its first frame.
        confidence: Lowest belief so far, see `ConfidenceSettings`.
        mean_response: Moving average of the responses.
        frames_unseen: Number of consecutive frames in which the cell was not found or its response was below
            `ConfidenceSettings.pause`.
        frames_skipped: Number of frames without information since the cell was last found (`tracker.skip`).
        filters: State of the filter of every layer.
    """

    identity: Int[Array, " slot"]
    position: Float[Array, "slot 2"]
    velocity: Float[Array, "slot 2"]
    scale: Float[Array, " slot"]
    confidence: Float[Array, " slot"]
    mean_response: Float[Array, " slot"]
    frames_unseen: Int[Array, " slot"]
    frames_skipped: Int[Array, " slot"]
    filters: Any

    @property
    def displacement_variance(self) -> Float[Array, " slot"]:
        """Of the displacement since the cell was last found, in units of that from frame to frame."""
        return 1.0 + self.frames_unseen + self.frames_skipped


class Births(NamedTuple):
    """Newborn cells of a frame.

    Attributes:
        identity: Id of each, 0 where the entry is empty.
        position: Position (y, x).
    """

    identity: Int[Array, " birth"]
    position: Float[Array, "birth 2"]


class Observation(NamedTuple):
    """Result of a frame for every slot.

    Attributes:
        identity: Id of the track in the slot, 0 for a free slot.
        position: Position (y, x) in pixels.
        scale: Size relative to the first frame.
        peak_response: Response of the filter at the position; about 1 for a cell that has not changed.
        psr: Peak-to-sidelobe ratio of the response; NaN in the frame of birth, in which no search is done.
        entropy: Entropy of the position by response and motion, 0 (certain) to 1; NaN in the frame of birth.
        confidence: Lowest belief of the track so far, see `ConfidenceSettings`.
        lost: Whether the cell was not found, or the confidence is below the threshold.
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
    """State without cells, before the first frame.

    Args:
        tracker: The configuration.
        slots: Largest number of cells that are followed at the same time.
        shape: Size (y, x) of the frames.

    Returns:
        The state, in which all slots are free.

    Raises:
        ValueError: If settings of the configuration contradict each other.
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
        frames_skipped=jnp.zeros(slots, jnp.int32),
        filters=blank(tracker),
    )


def windows_at(
    tracker: Tracker, prepared: Any, centres: Float[Array, "cell 2"], scales: Float[Array, " cell"]
) -> Windows:
    """Features in windows around points; scales are ignored if the windows have a fixed size.

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
