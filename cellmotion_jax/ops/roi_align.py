"""RoIAlign: features of boxes, interpolated from the levels of a feature pyramid."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Integer

from cellmotion_jax.ops.arguments import Number, to_floats, to_integers
from cellmotion_jax.ops.boxes import box_area
from cellmotion_jax.ops.host_arguments import one_integer
from cellmotion_jax.ops.numerics import check_same_shape

PART = 64
"""Boxes whose features are gathered at once."""


def pyramid_level(
    boxes: Number[ArrayLike, "*shape 4"] | Sequence, *, finest: int, coarsest: int, canonical: float = 224.0
) -> Int[Array, "*shape"]:
    r"""The level of a feature pyramid that shows a box at a fitting size (Lin et al. 2017, Eq. 1).

    .. math:: k = \Big\lfloor 4 + \log_2 \frac{\sqrt{A}}{s} + 10^{-6} \Big\rfloor

    clipped to the levels that exist, with the area :math:`A` of the box and the side :math:`s` of a box that
    belongs to level 4, whose stride is 16. The small constant is torchvision's. A box without area, or with a
    corner that is NaN, belongs to the finest level. The gradient is zero.

    Args:
        boxes: ``(y0, x0, y1, x1)`` in pixels of the image.
        finest: Number of the finest level; that of stride :math:`2^k` is k.
        coarsest: Number of the coarsest one.
        canonical: The side :math:`s` in pixels.

    Returns:
        Level numbers.

    >>> boxes = jnp.array([[0.0, 0.0, 224.0, 224.0], [0.0, 0.0, 9.0, 9.0]])
    >>> pyramid_level(boxes, finest=2, coarsest=5).tolist()
    [4, 2]
    """
    area = box_area(boxes)
    area = jnp.fmax(area.astype(jnp.promote_types(area.dtype, jnp.float32)), 1e-12)
    sides = jax.lax.stop_gradient(jnp.sqrt(area))
    level = jnp.floor(4 + jnp.log2(sides / canonical) + 1e-6)
    return jnp.clip(level, finest, coarsest).astype(jnp.int32)


def roi_align(
    pyramid: Sequence[Number[ArrayLike, "_ _ channel"] | Sequence],
    boxes: Number[ArrayLike, "roi 4"] | Sequence,
    level: Integer[ArrayLike, " roi"] | Sequence,
    *,
    strides: Sequence[int | float],
    size: int,
    samples: int = 2,
    aligned: bool = True,
) -> Float[Array, "roi size size channel"]:
    """Features of boxes on a grid, each the mean of bilinear samples (He et al. 2017, Section 3).

    A box is divided into ``size x size`` bins, each bin into ``samples x samples`` parts, in whose middles
    the map is interpolated; beyond its outer pixel centres a map is continued by them for one pixel, and is
    0 further out. These are the rules of ``torchvision.ops.roi_align``. A box with a corner that is NaN has
    features of 0. All levels are one table of pixels, from which the four neighbours of every sample are
    gathered; the gradient reaches the maps, and the boxes as well.

    Args:
        pyramid: Feature maps.
        boxes: ``(y0, x0, y1, x1)`` in pixels of the image.
        level: Which of the maps to sample for each box, from 0; the nearest one if there is none of that
            number.
        strides: Pixels of the image per pixel of each map.
        size: Bins along y and x.
        samples: Samples per bin along y and x.
        aligned: Pixel ``i`` of a map covers ``[i, i + 1)`` and its centre is at ``i + 1/2``. Without it, as
            in the published weights of torchvision, centres are whole numbers, and boxes have sides of at
            least one pixel of the map.

    Returns:
        Features of every box.

    Raises:
        ValueError: If the numbers of maps and strides differ, those of boxes and levels, or the channels of
            the maps.

    >>> ramp = jnp.arange(8.0)[:, None, None] * jnp.ones((8, 8, 1)) + 0.5
    >>> roi_align([ramp], [[1.0, 1.0, 5.0, 5.0]], [0], strides=[1], size=2)[0, :, :, 0].tolist()
    [[2.0, 2.0], [4.0, 4.0]]
    """
    boxes, level = to_floats("boxes", boxes, "roi 4"), to_integers("level", level, "roi")
    boxes = boxes.astype(jnp.promote_types(boxes.dtype, jnp.float32))
    size, samples = one_integer("size", size), one_integer("samples", samples)
    check_same_shape(level=level, boxes=boxes[:, 0])
    if len(pyramid) != len(strides) or not pyramid:
        raise ValueError(
            f"pyramid and strides must be as many, and at least one: {len(pyramid)} maps and "
            f"{len(strides)} strides"
        )
    maps = [to_floats("pyramid", level_map, "y x channel") for level_map in pyramid]
    channels = maps[0].shape[-1]
    if any(level_map.shape[-1] != channels for level_map in maps):
        raise ValueError(
            f"pyramid must hold maps of as many channels, got the shapes {[one.shape for one in maps]}"
        )
    table = jnp.concatenate([level_map.reshape(-1, channels) for level_map in maps])
    shapes = np.array([level_map.shape[:2] for level_map in maps], np.int32)
    level = jnp.clip(level, 0, len(maps) - 1)
    starts = np.cumsum([0, *np.prod(shapes, axis=1)])[:-1].astype(np.int32)

    scaled = boxes / jnp.asarray(strides, boxes.dtype)[level][:, None] - (0.5 if aligned else 0.0)
    lengths = scaled[:, 2:] - scaled[:, :2]
    lengths = lengths if aligned else jnp.maximum(lengths, 1.0)
    steps = (np.arange(size * samples, dtype=np.float32) + 0.5) / (size * samples)
    points = scaled[:, :2, None] + lengths[:, :, None] * steps[None, None]
    sides = jnp.asarray(shapes)[level][:, :, None]
    within = (points >= -1) & (points <= sides)
    points = jnp.where(within, jnp.clip(points, 0, sides - 1), 0)  # NaN is no place to read from.
    low = jnp.floor(points).astype(jnp.int32)
    share = points - low
    # Both neighbours of every sample of a bin along y and along x, [roi, bin of y, bin of x, neighbour].
    down, right = (len(boxes), size, 1, 2 * samples), (len(boxes), 1, size, 2 * samples)
    near = jnp.stack([low, jnp.minimum(low + 1, sides - 1)], axis=-1)
    weights = jnp.stack([1 - share, share], axis=-1) * within[..., None]
    row_starts = jnp.asarray(starts)[level][:, None, None] + near[:, 0] * sides[:, 1, :, None]
    places = row_starts.reshape(down), near[:, 1].reshape(right)
    shares = weights[:, 0].reshape(down), weights[:, 1].reshape(right)
    return _summed(table, places, shares) / samples**2


@jax.custom_vjp
def _summed(
    table: Float[Array, "pixel channel"], places: tuple[Array, Array], shares: tuple[Array, Array]
) -> Float[Array, "roi size size channel"]:
    """Sums pixels by their shares, for all rows and columns [roi, size, size, neighbour] of a bin.

    One neighbour of all bins after another, which XLA makes one loop of; all of them at once are 16 times as
    large as the result. A part of the boxes at a time, in a loop of ours, or XLA would repeat its loop for
    every use of the result. In the gradient XLA:CPU adds to the table fastest at once. Gradients are in
    reverse mode only.
    """

    def of_box(inputs: tuple[tuple[Array, Array], tuple[Array, Array]]) -> Array:
        (rows, columns), (by_row, by_column) = inputs
        total = jnp.zeros((), table.dtype)
        for i, j in np.ndindex(rows.shape[-1], columns.shape[-1]):
            values = table.at[rows[..., i] + columns[..., j]].get(mode="promise_in_bounds")
            total = total + values * (by_row[..., i] * by_column[..., j]).astype(values.dtype)[..., None]
        return total

    return jax.lax.map(of_box, (places, shares), batch_size=PART)


def _summed_at_once(table: Array, places: tuple[Array, Array], shares: tuple[Array, Array]) -> Array:
    (rows, columns), (by_row, by_column) = places, shares
    values = table.at[rows[..., None] + columns[..., None, :]].get(mode="promise_in_bounds")
    both = (by_row[..., None] * by_column[..., None, :]).astype(values.dtype)
    return jnp.sum(values * both[..., None], axis=(-3, -2))


def _summed_forward(table, places, shares):
    return _summed(table, places, shares), (table, places, shares)


def _summed_backward(inputs, cotangent):
    table, places, shares = inputs
    _, backward = jax.vjp(lambda table, shares: _summed_at_once(table, places, shares), table, shares)
    by_table, by_shares = backward(cotangent)
    return by_table, None, by_shares


_summed.defvjp(_summed_forward, _summed_backward)
