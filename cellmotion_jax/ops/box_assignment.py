"""Assignment of anchors and proposals to annotated boxes, and balanced sampling of them for a loss."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_mask
from cellmotion_jax.ops.host_arguments import one_integer
from cellmotion_jax.ops.numerics import check_same_shape


class BoxAssignment(NamedTuple):
    """The annotated box of every candidate, and what the candidate is an example of."""

    index: Int[Array, " candidate"]  # pyright: ignore[reportIncompatibleMethodOverride]
    """The annotated box that overlaps a candidate most, of equal ones the first; it means something for
    positives only."""
    positive: Bool[Array, " candidate"]
    """An example of its box."""
    negative: Bool[Array, " candidate"]
    """An example of background. A candidate that is neither does not count."""


def assign_boxes(
    overlaps: Number[ArrayLike, "box candidate"] | Sequence,
    *,
    positive_from: float,
    negative_below: float,
    low_quality: bool = False,
    where: Mask[ArrayLike, "..."] | Sequence,
) -> BoxAssignment:
    """Assigns every candidate to the annotated box that it overlaps most (Ren et al. 2015, Section 3.1.2).

    A candidate is positive if that overlap reaches ``positive_from``, negative if it is below
    ``negative_below``, and neither in between. With ``low_quality`` the candidates with the largest overlap
    of each box, all of them if several are equal, are positive as well, whatever it is unless it is 0, so
    that no box goes without. As in torchvision's ``Matcher`` such a candidate remains with the box that it
    overlaps most itself.

    Args:
        overlaps: Intersection over union of annotated boxes and candidates.
        positive_from: Smallest overlap of a positive.
        negative_below: Overlap below which a candidate is negative.
        low_quality: Whether the best candidates of a box are positive in any case.
        where: The annotated boxes that exist; without any, all candidates are negative.

    Returns:
        The assignment.

    Raises:
        ValueError: If there is not one entry of ``where`` per box.

    >>> overlaps = jnp.array([[0.1, 0.4, 0.8], [0.0, 0.6, 0.0]])
    >>> found = assign_boxes(
    ...     overlaps, positive_from=0.7, negative_below=0.3, low_quality=True, where=[True, True])
    >>> found.index.tolist(), found.positive.tolist(), found.negative.tolist()
    ([0, 1, 0], [False, True, True], [True, False, False])
    """
    overlaps, where = to_floats("overlaps", overlaps, "box candidate"), to_mask("where", where)
    if where.shape != overlaps.shape[:1]:
        raise ValueError(
            f"where must have one entry per row of overlaps: where has {where.shape}, "
            f"overlaps has {overlaps.shape}"
        )
    # One row of no box, so that there is one; below every overlap.
    known = jnp.pad(jnp.where(where[:, None], overlaps, -1), ((0, 1), (0, 0)), constant_values=-1)
    most = jnp.max(known, axis=0)
    positive, negative = most >= positive_from, most < negative_below
    if low_quality:
        best = jnp.max(known, axis=1, keepdims=True, initial=-1)
        is_best = jnp.any((known == best) & (best > 0), axis=0)
        positive, negative = positive | is_best, negative & ~is_best
    index = jnp.minimum(jnp.argmax(known, axis=0), max(0, len(overlaps) - 1))
    return BoxAssignment(index.astype(jnp.int32), positive, negative)


class BalancedSample(NamedTuple):
    """A fixed number of slots for candidates, positives first."""

    index: Int[Array, " slot"]  # pyright: ignore[reportIncompatibleMethodOverride]
    """The candidate in a slot; of a slot that is not taken, any."""
    positive: Bool[Array, " slot"]
    """Whether a slot holds a positive. Only the first ``positives`` slots can."""
    taken: Bool[Array, " slot"]
    """Whether a slot holds a candidate at all."""


def sample_balanced(
    priorities: Number[ArrayLike, " candidate"] | Sequence,
    positive: Mask[ArrayLike, "..."] | Sequence,
    negative: Mask[ArrayLike, "..."] | Sequence,
    *,
    count: int,
    positives: int,
) -> BalancedSample:
    """Chooses at most ``positives`` positives, and negatives for all other slots, by priority.

    With random priorities this is the sampling of Faster R-CNN (Ren et al. 2015, Section 3.1.3).

    Args:
        priorities: Higher ones are taken first, of equal ones the first.
        positive: Candidates that are positive.
        negative: Candidates that are negative; one that is both counts as a positive.
        count: Number of slots; if there are fewer candidates, the rest stay empty.
        positives: Largest number of positives.

    Returns:
        The chosen candidates.

    Raises:
        ValueError: If the shapes differ.

    >>> positive = jnp.array([True, True, False])
    >>> chosen = sample_balanced([0.1, 0.2, 0.3], positive, ~positive, count=3, positives=1)
    >>> chosen.index.tolist()[:2], chosen.positive.tolist(), chosen.taken.tolist()
    ([1, 2], [True, False, False], [True, True, False])
    """
    priorities = to_floats("priorities", priorities, "candidate")
    positive, negative = to_mask("positive", positive), to_mask("negative", negative)
    check_same_shape(priorities=priorities, positive=positive, negative=negative)
    count, positives = one_integer("count", count), one_integer("positives", positives)
    # All positives by priority, then all negatives, then the rest.
    order = jnp.lexsort((-priorities, jnp.where(positive, 0, jnp.where(negative, 1, 2))))
    found = jnp.sum(positive)
    chosen = jnp.minimum(found, positives)
    slot = jnp.arange(count)
    # Negatives come after the chosen positives, wherever they are in the order.
    place = jnp.where(slot < chosen, slot, slot - chosen + found)
    index = order.at[place].get(mode="fill", fill_value=0) if len(order) else jnp.zeros(count, jnp.int32)
    return BalancedSample(
        index=index.astype(jnp.int32),
        positive=slot < chosen,
        taken=slot < chosen + jnp.sum(negative & ~positive),
    )
