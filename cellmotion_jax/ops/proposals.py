"""From the outputs of a detector to boxes: proposals of its first stage and detections of its second."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.ops.arguments import Number, to_floats, to_mask
from cellmotion_jax.ops.boxes import clip_boxes, decode_boxes
from cellmotion_jax.ops.host_arguments import one_integer
from cellmotion_jax.ops.numerics import check_same_shape
from cellmotion_jax.ops.suppression import suppress_overlapping

SMALLEST_PROPOSAL = 1e-3
"""Pixels; a proposal with a shorter side is dropped, as in torchvision."""
SMALLEST_DETECTION = 1e-2


class Boxes(NamedTuple):
    """Boxes in a fixed number of slots, best first."""

    boxes: Float[Array, "slot 4"]
    """``(y0, x0, y1, x1)`` in pixels; 0 in empty slots."""
    scores: Float[Array, " slot"]
    """In [0, 1]; 0 in empty slots."""
    classes: Int[Array, " slot"]
    """Class of a detection from 1 on; 0 for proposals, which have none, and in empty slots."""
    where: Bool[Array, " slot"]
    """Which slots hold a box; they come first."""


def propose_boxes(
    logits: Sequence[Number[ArrayLike, " _"] | Sequence],
    offsets: Sequence[Number[ArrayLike, "_ 4"] | Sequence],
    anchors: Sequence[Number[ArrayLike, "_ 4"] | Sequence],
    *,
    shape: Number[ArrayLike, "2"] | Sequence,
    per_level: int,
    count: int,
    iou_threshold: Number[ArrayLike, ""] = 0.7,
) -> Boxes:
    """Proposals of a region proposal network for one image (Ren et al. 2015, Section 3.1; Lin et al. 2017).

    Of each level the anchors with the highest logits are decoded and clipped to the image, and overlapping
    ones of the same level suppressed; of all levels together the best remain. As in torchvision. No gradient
    passes.

    Args:
        logits: Of each level, the log odds that there is an object at each anchor.
        offsets: Of each level, the outputs that `ops.boxes.decode_boxes` takes.
        anchors: Of each level, its anchors.
        shape: Rows and columns of the image.
        per_level: Number of anchors of a level that are looked at.
        count: Number of slots.
        iou_threshold: Largest overlap of two proposals of a level.

    Returns:
        The proposals; their scores are probabilities.

    Raises:
        ValueError: If the numbers of levels differ, or those of anchors within a level.

    >>> anchors = jnp.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 5.0], [4.0, 4.0, 9.0, 9.0]])
    >>> found = propose_boxes(
    ...     [jnp.array([1.0, 2.0, 0.0])], [jnp.zeros((3, 4))], [anchors], shape=(8, 8), per_level=3, count=3)
    >>> found.boxes.tolist()
    [[0.0, 0.0, 4.0, 5.0], [4.0, 4.0, 8.0, 8.0], [0.0, 0.0, 0.0, 0.0]]
    """
    per_level, count = one_integer("per_level", per_level), one_integer("count", count)
    if not 0 < len(logits) == len(offsets) == len(anchors):
        raise ValueError(
            f"logits, offsets and anchors must be as many, and at least one: {len(logits)}, {len(offsets)} "
            f"and {len(anchors)} levels"
        )
    boxes, values = [], []
    for of_level in zip(logits, offsets, anchors):
        level_logits, level_offsets, level_anchors = _read_level(*of_level)
        kept = min(per_level, len(level_logits))
        best, index = jax.lax.top_k(level_logits, kept)
        decoded = decode_boxes(level_offsets[index], level_anchors[index])
        missing = per_level - kept
        boxes.append(jnp.pad(clip_boxes(decoded, shape), ((0, missing), (0, 0))))
        values.append(jnp.pad(best, (0, missing)))
    found, scores = jax.lax.stop_gradient((jnp.stack(boxes), jnp.stack(values)))
    sides = found[..., 2:] - found[..., :2]
    where = jnp.all(sides >= SMALLEST_PROPOSAL, axis=-1)  # Padding has no area either.

    def remaining(boxes: Array, scores: Array, where: Array) -> Array:
        return suppress_overlapping(boxes, scores, iou_threshold=iou_threshold, where=where)

    kept = jax.vmap(remaining)(found, scores, where)
    probability = jax.nn.sigmoid(scores)
    none = jnp.zeros(scores.size, jnp.int32)
    # By logits: different logits may have one probability.
    return _best(scores.ravel(), found.reshape(-1, 4), probability.ravel(), none, kept.ravel(), count)


def _read_level(
    logits: Number[ArrayLike, " _"] | Sequence,
    offsets: Number[ArrayLike, "_ 4"] | Sequence,
    anchors: Number[ArrayLike, "_ 4"] | Sequence,
) -> tuple[Array, Array, Array]:
    logits = to_floats("logits", logits, "anchor").astype(jnp.float32)
    offsets = to_floats("offsets", offsets, "anchor 4").astype(jnp.float32)
    anchors = to_floats("anchors", anchors, "anchor 4").astype(jnp.float32)
    check_same_shape(logits=logits, offsets=offsets[:, 0], anchors=anchors[:, 0])
    return logits, offsets, anchors


def detect_boxes(
    logits: Number[ArrayLike, "proposal label"] | Sequence,
    offsets: Number[ArrayLike, "proposal label 4"] | Sequence,
    proposals: Boxes,
    *,
    shape: Number[ArrayLike, "2"] | Sequence,
    score_threshold: Number[ArrayLike, ""],
    iou_threshold: Number[ArrayLike, ""],
    count: int,
    candidates: int,
    weights: tuple[float, float],
) -> Boxes:
    """Detections of one image from the outputs of the box head for its proposals (He et al. 2017).

    A proposal is a candidate for every class but the background, class 0, with a box of its own for each.
    Candidates whose probability is above the threshold and that are not suppressed by a better one of their
    class remain. As in torchvision. No gradient passes.

    Args:
        logits: Log probabilities of the classes, up to a constant; class 0 is background.
        offsets: Outputs that `ops.boxes.decode_boxes` takes, for each class.
        proposals: The proposals.
        shape: Rows and columns of the image.
        score_threshold: Probability that a detection must exceed.
        iou_threshold: Largest overlap of two detections of a class.
        count: Number of slots.
        candidates: Number of candidates that are looked at, the most probable ones.
        weights: See `ops.boxes.decode_boxes`.

    Returns:
        The detections.

    Raises:
        ValueError: If the numbers of classes differ, or those of proposals.

    >>> box = Boxes(jnp.array([[1.0, 1.0, 3.0, 5.0]]), jnp.ones(1), jnp.zeros(1, int), jnp.ones(1, bool))
    >>> found = detect_boxes(
    ...     jnp.array([[0.0, 2.0]]), jnp.zeros((1, 2, 4)), box, shape=(8, 8), score_threshold=0.5,
    ...     iou_threshold=0.5, count=1, candidates=9, weights=(10.0, 5.0))
    >>> found.boxes.tolist(), found.classes.tolist()
    ([[1.0, 1.0, 3.0, 5.0]], [1])
    """
    logits = to_floats("logits", logits, "proposal label").astype(jnp.float32)
    offsets = to_floats("offsets", offsets, "proposal label 4").astype(jnp.float32)
    corners = to_floats("proposals", proposals.boxes, "proposal 4").astype(jnp.float32)
    exists = to_mask("proposals", proposals.where)
    count, candidates = one_integer("count", count), one_integer("candidates", candidates)
    check_same_shape(logits=logits, offsets=offsets[:, :, 0])
    check_same_shape(logits=logits[:, 0], proposals=exists)
    check_same_shape(logits=logits[:, 0], proposals=corners[:, 0])
    logits, offsets, corners = jax.lax.stop_gradient((logits, offsets, corners))
    labels = logits.shape[1]
    scores = jax.nn.softmax(logits)[:, 1:]
    above = (scores > score_threshold) & exists[:, None]
    best, index = jax.lax.top_k(jnp.where(above, scores, -1.0).ravel(), min(candidates, scores.size))
    row, label = index // (labels - 1), index % (labels - 1) + 1
    boxes = clip_boxes(decode_boxes(offsets[row, label], corners[row], weights=weights), shape)
    large = jnp.all(boxes[:, 2:] - boxes[:, :2] >= SMALLEST_DETECTION, axis=-1)
    where = (best >= 0) & large
    groups = label.astype(jnp.int32)
    kept = suppress_overlapping(boxes, best, iou_threshold=iou_threshold, groups=groups, where=where)
    return _best(best, boxes, best, groups, kept, count)


def _best(
    rank: Float[Array, " box"],
    boxes: Float[Array, "box 4"],
    scores: Float[Array, " box"],
    classes: Int[Array, " box"],
    where: Bool[Array, " box"],
    count: int,
) -> Boxes:
    """The boxes that count, in the order of descending ranks, in a number of slots."""
    order = jnp.lexsort((-rank, ~where))[:count]
    order = jnp.pad(order, (0, count - len(order)))
    taken = jnp.arange(count) < jnp.sum(where)
    return Boxes(
        boxes=jnp.where(taken[:, None], boxes[order], 0),
        scores=jnp.where(taken, scores[order], 0),
        classes=jnp.where(taken, classes[order], 0),
        where=taken,
    )
