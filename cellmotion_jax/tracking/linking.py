"""Compiled linking of the instances of one frame to those of the next, for movies that arrive frame by frame.

The label images of a movie are given frame by frame; the label of an instance is a number from 1 to `slots`,
valid within its frame. Gaps, divisions and merges are not handled here; see `inference.linking`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Integer

from cellmotion_jax.ops.arguments import to_integers
from cellmotion_jax.ops.host_arguments import one_integer
from cellmotion_jax.settings import Positive, Settings, ShareBelowOne

Values = TypeVar("Values", jax.Array, np.ndarray)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinkCost(Settings):
    """Cost of a link between two instances; lengths are relative to the cell diameter."""

    similarity: ShareBelowOne = 0.5
    """Weight of the similarity, in [0, 1); the weight of the distance is 1 minus this."""
    reach: Positive = 1.5
    """Largest displacement of a cell from frame to frame if its instances do not overlap, in mean diameters
    of the two."""

    def __call__(self, similarity: Values, distance: Values, diameter: Values) -> Values:
        r"""Cost of every pair; pairs with a cost below 1 may be linked.

        .. math:: c = w \, (1 - J) + (1 - w) \, \frac{d}{r \, D}

        with the similarity :math:`J` in [0, 1], the distance :math:`d` of the centroids, the diameter
        :math:`D`, the weight :math:`w` of the similarity and the reach :math:`r`. Without overlap it is
        below 1 exactly if the distance is below the reach; with overlap the pair may be farther apart.
        Element-wise on arrays of NumPy or JAX.

        Args:
            similarity: From one frame to the next the intersection over union (IoU) of the two instances.
            distance: Between their centroids, in pixels.
            diameter: Mean of the diameters of the discs of their areas, in pixels, positive.

        Returns:
            Costs, at least 0.
        """
        return self.similarity * (1 - similarity) + (1 - self.similarity) * distance / (self.reach * diameter)


class Instances(NamedTuple):
    """The instances of one frame in a fixed number of slots; slot k holds the instance of label k + 1."""

    centroid: Float[Array, "slot 2"]
    """(y, x) in pixels; 0 for an empty slot."""
    area: Float[Array, " slot"]
    """Pixels; 0 for an empty slot."""


class LinkState(NamedTuple):
    """State of a streaming linker: labels, instances and tracks of the frame before."""

    labels: Int[Array, "y x"]
    """Label image of the frame before."""
    instances: Instances
    """Instances of the frame before, from `measure_instances`."""
    identity: Int[Array, " slot"]
    """Track of each instance, at least 1; 0 for an empty slot."""
    following: Int[Array, ""]
    """Id of the next new track."""


def measure_instances(labels: Integer[ArrayLike, "y x"] | Sequence, *, slots: int) -> Instances:
    """Areas and centroids of the instances.

    Coordinates are summed as integers, relative to the middle of the image. The sums are exact as long as an
    instance's area times the distance of its centroid from there is below 2^31 pixels, which holds for every
    instance of an image of 2048 x 2048. Sums in float32 would be off by 0.4 pixels for 50,000 of them.

    Args:
        labels: Label image of any integer type, 0 for background; labels above `slots` are passed over.
        slots: Number of slots.

    Returns:
        A slot per label.
    """
    labels, slots = to_integers("labels", labels, "y x"), one_integer("slots", slots)
    flat = _bins(labels, slots).reshape(-1)

    def total(weights: Int[Array, "y x"] | None) -> Float[Array, " slot"]:
        weights = None if weights is None else weights.reshape(-1)
        return jnp.bincount(flat, weights, length=slots + 2)[1:-1].astype(jnp.float32)

    area = total(None)
    from_middle = [
        total(jax.lax.broadcasted_iota(jnp.int32, labels.shape, axis) - size // 2) / jnp.maximum(area, 1.0)
        for axis, size in enumerate(labels.shape)
    ]
    middle = jnp.array([[size // 2 for size in labels.shape]], jnp.float32)
    return Instances(jnp.where(area[:, None] > 0, middle + jnp.stack(from_middle, axis=-1), 0.0), area)


def _bins(labels: Integer[Array, "y x"], slots: int) -> Int[Array, "y x"]:
    """0 for background, 1 to ``slots``, and one more for all other labels.

    In int32: images come in types that hold neither the number of slots nor of pairs of them.
    """
    return jnp.clip(labels.astype(jnp.int32), 0, slots + 1)


def intersections(
    before: Integer[ArrayLike, "y x"] | Sequence,
    after: Integer[ArrayLike, "_ _"] | Sequence,
    *,
    slots: int,
) -> Float[Array, "before after"]:
    """Number of pixels that every instance of a frame shares with every instance of another.

    Args:
        before: Label image of any integer type; labels above `slots` are passed over.
        after: Label image of the same size.
        slots: Number of slots of both.

    Returns:
        A table of (`slots`, `slots`).

    Raises:
        ValueError: If the images differ in size.
    """
    before, after = to_integers("before", before, "y x"), to_integers("after", after, "y x")
    slots = one_integer("slots", slots)
    if before.shape != after.shape:
        raise ValueError(f"before has shape {before.shape} and after {after.shape}; they are of one movie")
    side = slots + 2
    pair = _bins(before, slots) * side + _bins(after, slots)
    table = jnp.bincount(pair.reshape(-1), length=side * side).reshape(side, side)
    return table[1:-1, 1:-1].astype(jnp.float32)


def link_frames(
    before: Instances, after: Instances, shared: Float[Array, "before after"], *, cost: LinkCost
) -> Int[Array, " after"]:
    r"""The optimal set of links between two frames; an instance has at most one predecessor.

    Minimises :math:`\sum_{(i, j)} (c_{ij} - 1)` over all sets of pairs that use no instance twice, exactly
    (Hungarian algorithm, O(slot^3)), with :math:`c` of `LinkCost` on the intersection over union: leaving two
    instances alone costs as much as linking two that are out of reach. This is the first step of Jaqaman et
    al. 2008 with equal costs for all beginnings and ends. Pure; works in `jit`, `vmap` and `scan`.

    Args:
        before: Instances of a frame.
        after: Those of the next, in as many slots.
        shared: Table of `intersections`.
        cost: Settings.

    Returns:
        For every instance of the later frame the slot of its predecessor, -1 for none.

    Raises:
        ValueError: If the table does not fit the slots.

    References:
        Jaqaman et al., Robust single-particle tracking in live-cell time-lapse sequences, Nature Methods 5,
        2008.
    """
    slots = len(before.area)
    if shared.shape != (slots, slots) or after.area.shape != (slots,):
        raise ValueError(
            f"shared has shape {shared.shape}, but the frames have {slots} and {len(after.area)} slots"
        )
    first_empty, second_empty = before.area == 0, after.area == 0
    taken = ~first_empty[:, None] & ~second_empty[None]
    union = before.area[:, None] + after.area[None] - shared
    apart = jnp.sqrt(jnp.sum(jnp.square(before.centroid[:, None] - after.centroid[None]), axis=-1))
    first, second = (2 * jnp.sqrt(frame.area / jnp.pi) for frame in (before, after))
    diameter = jnp.where(taken, (first[:, None] + second[None]) / 2, 1.0)
    price = cost(jnp.where(taken, shared / jnp.maximum(union, 1.0), 0.0), apart, diameter) - 1
    gain = jnp.where(taken, jnp.minimum(price, 0.0), 0.0)
    # Empty slots paired in order leave the solver nothing to search: with 150 cells in 256 slots 1 ms instead
    # of 60. Other cells pair up among themselves and with further empty slots: the links stay the best.
    turn = jnp.cumsum(first_empty)[:, None] == jnp.cumsum(second_empty)[None]
    spare = first_empty[:, None] & second_empty[None] & turn
    row, column = optax.assignment.hungarian_algorithm(jnp.where(spare, -1.0, gain))
    chosen = jnp.where(gain[row, column] < 0, row, -1).astype(jnp.int32)
    return jnp.zeros(slots, jnp.int32).at[column].set(chosen)


def begin_linking(shape: tuple[int, int], *, slots: int) -> LinkState:
    """The state before the first frame of a movie.

    Args:
        shape: Size (y, x) of its frames.
        slots: Number of instances that a frame can hold.

    Returns:
        A state without instances; the id of the first track is 1.
    """
    nothing = Instances(jnp.zeros((slots, 2)), jnp.zeros(slots))
    return LinkState(
        jnp.zeros(shape, jnp.int32), nothing, jnp.zeros(slots, jnp.int32), jnp.ones((), jnp.int32)
    )


def link_next(
    state: LinkState, labels: Integer[ArrayLike, "y x"] | Sequence, *, cost: LinkCost
) -> tuple[LinkState, Int[Array, " slot"]]:
    """Links the next frame of a movie; the step of a `scan`.

    An instance without a predecessor begins a track. This includes one of two daughters, the one that is less
    similar to the mother, and a cell that was not found in the frame before.

    Args:
        state: State after the frame before.
        labels: Label image of the next frame, of any integer type; labels above the number of slots are
            ignored.
        cost: Settings.

    Returns:
        The state after it, and the track of every instance, 0 for empty slots.
    """
    labels, slots = to_integers("labels", labels, "y x"), len(state.identity)
    instances = measure_instances(labels, slots=slots)
    shared = intersections(state.labels, labels, slots=slots)
    source = link_frames(state.instances, instances, shared, cost=cost)
    is_new = (instances.area > 0) & (source < 0)
    fresh = state.following + jnp.cumsum(is_new) - 1
    old = jnp.where(source >= 0, state.identity[jnp.maximum(source, 0)], 0)
    identity = jnp.where(is_new, fresh, old).astype(jnp.int32)
    following = (state.following + jnp.sum(is_new)).astype(jnp.int32)
    return LinkState(labels.astype(jnp.int32), instances, identity, following), identity
