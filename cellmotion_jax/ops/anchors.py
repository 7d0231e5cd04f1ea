"""Anchors of region proposal networks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from cellmotion_jax.ops.host_arguments import image_shape


def grid_anchors(
    shape: tuple[int, int],
    *,
    stride: int | tuple[int, int],
    sizes: Sequence[int | float],
    ratios: Sequence[int | float] = (0.5, 1.0, 2.0),
) -> Float32[np.ndarray, "anchor 4"]:
    """Anchors around every pixel of a feature map, as in torchvision's ``AnchorGenerator``.

    Those of pixel ``(i, j)`` lie around the point ``(i, j)`` times the stride. Sides are rounded to even
    numbers.

    Args:
        shape: Rows and columns of the feature map.
        stride: Pixels of the image per pixel of the map, along y and along x if they differ.
        sizes: Square roots of the anchors' areas in pixels of the image.
        ratios: Height over width of the anchors.

    Returns:
        Boxes ``(y0, x0, y1, x1)``, row by row, then column by column, then by ratio, then by size.

    Raises:
        ValueError: If ``shape`` does not hold two numbers.

    >>> grid_anchors((1, 2), stride=8, sizes=(4.0,), ratios=(1.0,)).tolist()
    [[-2.0, -2.0, 2.0, 2.0], [-2.0, 6.0, 2.0, 10.0]]
    """
    shape = image_shape("shape", shape)
    heights = np.sqrt(np.asarray(ratios, np.float32))
    sides = np.stack([heights, 1 / heights], axis=-1)[:, None] * np.asarray(sizes, np.float32)[:, None]
    halves = np.rint(sides.reshape(-1, 2) / 2)
    steps = np.broadcast_to(np.asarray(stride, np.float32), 2)
    points = np.stack(np.meshgrid(*(np.arange(n) * step for n, step in zip(shape, steps)), indexing="ij"), -1)
    corners = np.concatenate([points[..., None, :] - halves, points[..., None, :] + halves], axis=-1)
    return corners.reshape(-1, 4).astype(np.float32)
