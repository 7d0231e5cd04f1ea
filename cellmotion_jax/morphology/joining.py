"""Joining of cells that consist of several pieces."""

import itertools
from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from cellmotion_jax.ops.arguments import Mask
from cellmotion_jax.ops.host_arguments import host_mask

CORNERS = np.ones((3, 3), bool)
"""Pixels that touch at a corner are connected, as in the skeletons and paths inside a cell."""


def join_pieces(mask: Mask[ArrayLike, "y x"] | Sequence) -> Bool[np.ndarray, "y x"]:
    """Connects the pieces of a cell by straight bridges, as in the code of the protrusion method's authors.

    A bridge leads from the deepest pixel of each piece (the first of them, row by row) to that of the next,
    pieces in the order of their first pixel, and covers the pixels within one pixel of this line. The code of
    Gomez-de-Mariscal et al. 2021 does the same (``connect_connectedcomponents`` in microscopy-dl-suite-tf,
    lines two pixels wide); the paper does not mention it. A bridge may cross pixels outside of the cell.

    Args:
        mask: The cell. Pixels that touch at a corner hang together.

    Returns:
        The mask and its bridges; the mask itself if it is in one piece or empty.

    >>> join_pieces(np.array([[True, False, False, False, True]])).tolist()
    [[True, True, True, True, True]]
    """
    mask = host_mask("mask", mask, "y x")
    pieces = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, CORNERS, output=pieces)
    count = int(pieces.max())
    if count < 2:
        return mask
    # The image's edge is no boundary, as everywhere in this package.
    depth = np.asarray(ndimage.distance_transform_edt(mask))
    deepest = np.array(ndimage.maximum_position(depth, pieces, range(1, count + 1)), float)
    joined = mask.copy()
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    for start, end in itertools.pairwise(deepest):
        # Nothing else is within one pixel of the line; the window may be much larger.
        first = np.maximum(np.minimum(start, end).astype(int) - 1, 0)
        y, x = (slice(*side) for side in zip(first, np.maximum(start, end).astype(int) + 2))
        joined[y, x] |= _distance_to_segment(rows[y], columns[:, x], start, end) <= 1
    return joined


def _distance_to_segment(
    rows: Int[np.ndarray, "y 1"],
    columns: Int[np.ndarray, "1 x"],
    start: Float[np.ndarray, " 2"],
    end: Float[np.ndarray, " 2"],
) -> Float[np.ndarray, "y x"]:
    along = end - start
    y, x = rows - start[0], columns - start[1]
    share = np.clip((y * along[0] + x * along[1]) / (along @ along), 0, 1)
    return np.hypot(y - share * along[0], x - share * along[1])
