"""Axis-aligned boxes ``(y0, x0, y1, x1)``, half-open, in pixels."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Number, to_floats
from cellmotion_jax.ops.host_arguments import check_axes
from cellmotion_jax.ops.numerics import check_same_shape


def box_area(boxes: Number[ArrayLike, "*shape 4"] | Sequence) -> Float[Array, "*shape"]:
    """Height times width.

    Args:
        boxes: ``(y0, x0, y1, x1)``. One that ends before it begins is empty.

    Returns:
        Square pixels, at least 0; NaN where a corner is NaN.

    >>> float(box_area(jnp.array([0.0, 0.0, 2.0, 3.0])))
    6.0
    """
    boxes = to_floats("boxes", boxes, "... 4")
    sides = jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def paired_iou(
    first: Number[ArrayLike, "*shape 4"] | Sequence, second: Number[ArrayLike, "..."] | Sequence
) -> Float[Array, "*shape"]:
    r"""Intersection over union of boxes, pair by pair.

    .. math:: \frac{|A \cap B|}{|A| + |B| - |A \cap B|}

    Two empty boxes, and a box with a corner that is NaN and any other, have the overlap 0 with zero
    gradient. The gradient is 0 as well where boxes do not touch.

    Args:
        first: ``(y0, x0, y1, x1)``.
        second: Boxes of the shape of ``first``.

    Returns:
        One number in [0, 1] per pair.

    Raises:
        ValueError: If the shapes differ.

    >>> float(paired_iou(jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([0.0, 1.0, 2.0, 3.0])))
    0.3333333432674408
    """
    first, second = to_floats("first", first), to_floats("second", second)
    check_same_shape(first=first, second=second)
    check_axes("first", first.shape, "... 4")
    known = jnp.isfinite(first).all(-1) & jnp.isfinite(second).all(-1)
    first, second = (jnp.where(known[..., None], boxes, 0) for boxes in (first, second))
    shared = box_area(
        jnp.concatenate(
            [jnp.maximum(first[..., :2], second[..., :2]), jnp.minimum(first[..., 2:], second[..., 2:])], -1
        )
    )
    union = box_area(first) + box_area(second) - shared
    return jnp.where(union > 0, shared / jnp.where(union > 0, union, 1), 0)


def box_iou(
    first: Number[ArrayLike, "*batch n 4"] | Sequence, second: Number[ArrayLike, "..."] | Sequence
) -> Float[Array, "*batch n m"]:
    r"""Intersection over union of every box of one set with every box of another.

    As `paired_iou`, which see for what is empty or NaN.

    Args:
        first: Boxes ``(y0, x0, y1, x1)``.
        second: Boxes, with the same batch axes.

    Returns:
        One number in [0, 1] per pair.

    Raises:
        ValueError: If the axes are others, or the batch axes differ.

    >>> box_iou([[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.0, 2.0, 1.0], [5.0, 5.0, 6.0, 6.0]]).tolist()
    [[0.5, 0.0]]
    """
    first, second = to_floats("first", first, "... n 4"), to_floats("second", second, "... m 4")
    if first.shape[:-2] != second.shape[:-2]:
        raise ValueError(
            f"first and second must have the same batch axes: first has {first.shape}, "
            f"second has {second.shape}"
        )
    shape = (*first.shape[:-1], second.shape[-2], 4)
    return paired_iou(
        jnp.broadcast_to(first[..., :, None, :], shape), jnp.broadcast_to(second[..., None, :, :], shape)
    )


LONGEST_STRETCH = math.log(1000 / 16)
"""Largest logarithm of the ratio of two sides that is decoded (torchvision's ``bbox_xform_clip``)."""


def encode_boxes(
    boxes: Number[ArrayLike, "*shape 4"] | Sequence,
    anchors: Number[ArrayLike, "..."] | Sequence,
    *,
    weights: tuple[float, float] = (1.0, 1.0),
) -> Float[Array, "*shape 4"]:
    r"""Offsets of boxes relative to anchors.

    .. math:: \Big( w_c \frac{y - y_a}{h_a}, w_c \frac{x - x_a}{l_a},
        w_s \log \frac{h}{h_a}, w_s \log \frac{l}{l_a} \Big)

    with the centres :math:`(y, x)`, heights :math:`h` and lengths :math:`l` of a box and of its anchor
    (Ren et al. 2015, Eq. 2; there in the order x, y, width, height). Sides below 1e-6 count as 1e-6, so that
    an empty box, which has no logarithm, gives finite numbers.

    Args:
        boxes: ``(y0, x0, y1, x1)``.
        anchors: One per box.
        weights: Factors of the shifts and of the logarithms; (10, 5) in the box head of Mask R-CNN.

    Returns:
        (dy, dx, dheight, dlength) for each box.

    Raises:
        ValueError: If the shapes differ.

    >>> encode_boxes(jnp.array([1.0, 0.0, 5.0, 4.0]), jnp.array([0.0, 0.0, 4.0, 4.0])).tolist()
    [0.25, 0.0, 0.0, 0.0]
    """
    boxes, anchors = to_floats("boxes", boxes), to_floats("anchors", anchors)
    check_same_shape(boxes=boxes, anchors=anchors)
    check_axes("boxes", boxes.shape, "... 4")
    centre, sides = _centres_and_sides(boxes)
    of_anchor, anchor_sides = _centres_and_sides(anchors)
    least = jnp.asarray(1e-6, anchor_sides.dtype)
    sides, anchor_sides = jnp.maximum(sides, least), jnp.maximum(anchor_sides, least)
    shifts, stretches = (centre - of_anchor) / anchor_sides, jnp.log(sides / anchor_sides)
    return jnp.concatenate([weights[0] * shifts, weights[1] * stretches], axis=-1)


def decode_boxes(
    offsets: Number[ArrayLike, "*shape 4"] | Sequence,
    anchors: Number[ArrayLike, "..."] | Sequence,
    *,
    weights: tuple[float, float] = (1.0, 1.0),
) -> Float[Array, "*shape 4"]:
    """Boxes from their offsets relative to anchors, the inverse of `encode_boxes`.

    A side is at most 62.5 times as long as that of the anchor, as in torchvision, so that no output of a
    network overflows.

    Args:
        offsets: (dy, dx, dheight, dlength).
        anchors: Boxes ``(y0, x0, y1, x1)``, one per row of offsets.
        weights: As in `encode_boxes`.

    Returns:
        ``(y0, x0, y1, x1)``.

    Raises:
        ValueError: If the shapes differ.

    >>> decode_boxes(jnp.array([0.25, 0.0, 0.0, 0.0]), jnp.array([0.0, 0.0, 4.0, 4.0])).tolist()
    [1.0, 0.0, 5.0, 4.0]
    """
    offsets, anchors = to_floats("offsets", offsets), to_floats("anchors", anchors)
    check_same_shape(offsets=offsets, anchors=anchors)
    check_axes("offsets", offsets.shape, "... 4")
    of_anchor, anchor_sides = _centres_and_sides(anchors)
    centre = of_anchor + offsets[..., :2] / weights[0] * anchor_sides
    sides = anchor_sides * jnp.exp(jnp.minimum(offsets[..., 2:] / weights[1], LONGEST_STRETCH))
    return jnp.concatenate([centre - sides / 2, centre + sides / 2], axis=-1)


def clip_boxes(
    boxes: Number[ArrayLike, "*shape 4"] | Sequence, shape: Number[ArrayLike, "2"] | Sequence
) -> Float[Array, "*shape 4"]:
    """The parts of boxes that lie within an image.

    Args:
        boxes: ``(y0, x0, y1, x1)``. One outside of the image becomes empty, at its edge.
        shape: Rows and columns of the image.

    Returns:
        Boxes from 0 to ``shape``.

    >>> clip_boxes(jnp.array([-1.0, 2.0, 3.0, 9.0]), (4, 5)).tolist()
    [0.0, 2.0, 3.0, 5.0]
    """
    boxes, shape = to_floats("boxes", boxes, "... 4"), to_floats("shape", shape, "2")
    most = jnp.concatenate([shape, shape]).astype(boxes.dtype)
    return jnp.clip(boxes, 0, most.reshape((1,) * (boxes.ndim - 1) + (4,)))


def _centres_and_sides(boxes: Float[Array, "*shape 4"]) -> tuple[Array, Array]:
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + sides / 2, sides
