"""Axis-aligned boxes ``(y0, x0, y1, x1)``, half-open, in pixels."""

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
