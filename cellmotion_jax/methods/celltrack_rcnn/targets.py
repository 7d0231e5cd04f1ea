"""What the outputs of the network are trained towards, for one image: boxes, classes and masks."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.methods.celltrack_rcnn.pairs import UNKNOWN
from cellmotion_jax.models.mask_rcnn import BOX_WEIGHTS, MASK_SIDE
from cellmotion_jax.ops.box_assignment import BoxAssignment, assign_boxes, sample_balanced
from cellmotion_jax.ops.boxes import box_iou, encode_boxes
from cellmotion_jax.ops.proposals import Boxes

MOST_UNKNOWN = 0.3
"""A box of which more than this share is not known is no example of background."""
FIT = (0.4, 0.6)
"""Intersection over union with a cell from which a box fits it at all, and from which it fits fully."""


class AnchorTargets(NamedTuple):
    """A sample of the anchors of an image."""

    anchor: Int[Array, " sample"]
    """Number of the anchor, in the order of all levels."""
    positive: Bool[Array, " sample"]
    """Whether there is a cell."""
    taken: Bool[Array, " sample"]
    """Whether the slot holds an anchor."""
    offsets: Float[Array, "sample 4"]
    """Offsets of the cell from a positive anchor."""


class RoiTargets(NamedTuple):
    """A sample of the proposals and of the annotated boxes of an image; positives come first."""

    boxes: Float[Array, "roi 4"]
    cell: Int[Array, " roi"]
    """Number of the cell of a positive, 0 for all others."""
    taken: Bool[Array, " roi"]
    """Whether the slot holds a box."""
    fit: Float[Array, " roi"]
    """What the class head learns: how well the box fits the cell, in [0, 1]."""
    offsets: Float[Array, "roi 4"]
    """Offsets of the cell from the box of a positive, times the weights of the box head."""


def anchor_targets(
    priorities: Float[Array, " anchor"],
    anchors: Float[Array, "anchor 4"],
    boxes: Float[Array, "cell 4"],
    where: Bool[Array, " cell"],
    number: Int[Array, "y x"],
    *,
    count: int,
) -> AnchorTargets:
    """Samples anchors: up to half of them on cells, with thresholds 0.7 and 0.3 (Ren et al. 2015).

    Args:
        priorities: Random numbers in [0, 1).
        anchors: All anchors of the image.
        boxes: Annotated boxes.
        where: Which of them exist.
        number: Number of the cell of every pixel.
        count: Anchors in the sample.

    Returns:
        The sample.
    """
    overlaps = box_iou(boxes, anchors)
    found = assign_boxes(overlaps, positive_from=0.7, negative_below=0.3, low_quality=True, where=where)
    negative = _background(found, anchors, number)
    sample = sample_balanced(priorities, found.positive, negative, count=count, positives=count // 2)
    of_cell = boxes[found.index[sample.index]]
    offsets = encode_boxes(of_cell, anchors[sample.index])
    return AnchorTargets(sample.index, sample.positive, sample.taken, offsets)


def roi_targets(
    priorities: Float[Array, " candidate"],
    proposals: Boxes,
    boxes: Float[Array, "cell 4"],
    where: Bool[Array, " cell"],
    number: Int[Array, "y x"],
    *,
    count: int,
    positives: int,
    graded: bool,
) -> RoiTargets:
    """Samples boxes for the second stage from proposals and annotated boxes, with the threshold 0.5.

    Args:
        priorities: Random numbers in [0, 1), for the proposals and then for the annotated boxes.
        proposals: Proposals of the image.
        boxes: Annotated boxes.
        where: Which of them exist.
        number: Number of the cell of every pixel.
        count: Boxes in the sample.
        positives: Largest number of them on cells.
        graded: Whether the class head learns how well a box fits, see `FIT`, or only whether it is positive.

    Returns:
        The sample.
    """
    candidates = jnp.concatenate([proposals.boxes, boxes])
    exists = jnp.concatenate([proposals.where, where])
    overlaps = box_iou(boxes, candidates)
    found = assign_boxes(overlaps, positive_from=0.5, negative_below=0.5, where=where)
    negative = _background(found, candidates, number)
    sample = sample_balanced(
        priorities, found.positive & exists, negative & exists, count=count, positives=positives
    )
    chosen, cell = candidates[sample.index], found.index[sample.index]
    fit = sample.positive.astype(jnp.float32)
    if graded:
        most = jnp.max(jnp.where(where[:, None], overlaps, 0), axis=0, initial=0)[sample.index]
        fit = jnp.clip((most - FIT[0]) / (FIT[1] - FIT[0]), 0, 1)
    return RoiTargets(
        boxes=jnp.where(sample.taken[:, None], chosen, 0),
        cell=jnp.where(sample.positive, cell + 1, 0),
        taken=sample.taken,
        fit=fit,
        offsets=encode_boxes(boxes[cell], chosen, weights=BOX_WEIGHTS),
    )


def mask_targets(
    number: Int[Array, "y x"], boxes: Float[Array, "roi 4"], cell: Int[Array, " roi"]
) -> tuple[Float[Array, "roi 28 28"], Bool[Array, "roi 28 28"]]:
    """The masks of cells on a grid over boxes, interpolated bilinearly.

    Args:
        number: Number of the cell of every pixel.
        boxes: ``(y0, x0, y1, x1)``.
        cell: The cell of each box.

    Returns:
        Shares of a cell in [0, 1], and where they are known.
    """
    side = MASK_SIDE
    # In this order whole numbers of pixels per point are exact: nothing of a neighbouring pixel is mixed in.
    spacing = (boxes[:, 2:] - boxes[:, :2])[:, :, None] / side
    points = boxes[:, :2, None] + spacing * (jnp.arange(side) + 0.5)[None, None] - 0.5
    last = jnp.array(number.shape)[None, :, None] - 1
    points = jnp.clip(points, 0, last)
    low = jnp.floor(points).astype(jnp.int32)
    share = points - low
    high = jnp.minimum(low + 1, last)
    target, known = jnp.zeros((len(boxes), side, side)), jnp.ones((len(boxes), side, side), bool)
    for rows, down in ((low[:, 0], 1 - share[:, 0]), (high[:, 0], share[:, 0])):
        for columns, across in ((low[:, 1], 1 - share[:, 1]), (high[:, 1], share[:, 1])):
            found = number[rows[:, :, None], columns[:, None, :]]
            weight = down[:, :, None] * across[:, None, :]
            target = target + weight * (found == cell[:, None, None])
            known = known & ((found != UNKNOWN) | (weight == 0))
    return target, known


def _background(
    found: BoxAssignment, boxes: Float[Array, "box 4"], number: Int[Array, "y x"]
) -> Bool[Array, " box"]:
    """Negatives but for those that lie to a large part where nothing is known."""
    unknown = (number == UNKNOWN).astype(jnp.float32)
    sums = jnp.pad(jnp.cumsum(jnp.cumsum(unknown, axis=0), axis=1), ((1, 0), (1, 0)))
    height, width = number.shape
    corners = jnp.round(boxes).astype(jnp.int32)
    top, bottom = (jnp.clip(corners[:, axis], 0, height) for axis in (0, 2))
    left, right = (jnp.clip(corners[:, axis], 0, width) for axis in (1, 3))
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    area = (bottom - top) * (right - left)
    # A box that lies outside of the image, as some anchors do, is no example either.
    return found.negative & (area > 0) & (inside <= MOST_UNKNOWN * area)
