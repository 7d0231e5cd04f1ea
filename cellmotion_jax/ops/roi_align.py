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
    # Both neighbours of a sample along an axis, [roi, axis, 2 samples].
    near = jnp.stack([low, jnp.minimum(low + 1, sides - 1)], axis=-1).reshape(len(boxes), 2, -1)
    weights = (jnp.stack([1 - share, share], axis=-1) * within[..., None]).reshape(len(boxes), 2, -1)

    rows, columns = near[:, 0], near[:, 1]
    index = jnp.asarray(starts)[level][:, None] + rows * sides[:, 1]
    values = table.at[index[:, :, None] + columns[:, None]].get(mode="promise_in_bounds")
    both = (weights[:, 0, :, None] * weights[:, 1, None]).astype(values.dtype)
    bins = (len(boxes), size, 2 * samples, size, 2 * samples)
    return jnp.sum((values * both[..., None]).reshape(*bins, channels), axis=(2, 4)) / samples**2
