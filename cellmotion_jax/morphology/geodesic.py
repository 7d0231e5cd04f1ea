"""Geodesic distances inside a cell: lengths of the shortest paths inside its mask."""

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse
from jax.typing import ArrayLike
from jaxtyping import Float, Int, Integer
from scipy.sparse.csgraph import dijkstra

from cellmotion_jax.ops.arguments import Mask, Number
from cellmotion_jax.ops.host_arguments import host_floats, host_integers, host_mask, image_shape

REACH = 3
"""Longest side of a step in pixels."""
TINY = 1e-6
"""Small offset that separates the two pixels between which a step passes exactly in the middle."""


def geodesic_distance(
    mask: Mask[ArrayLike, "y x"] | Sequence, start: tuple[int, int]
) -> Float[np.ndarray, "y x"]:
    r"""Length of the shortest path inside a mask from one pixel to every other.

    A path is a chain of straight steps between pixel centres. A step leads to one of 32 pixels in the square
    of side 7 around a pixel (those whose dy and dx have no common divisor), and its weight is its Euclidean
    length. In every row or column that a step crosses, the pixel nearest to it must be inside, of two equally
    near ones at least one; so a path cannot jump over a gap. Pixels that touch at a corner are connected.

    Without obstacles the result is never too short and at most 1.3 % too long, 0.5 % on average over all
    directions. Steps to the 8 neighbours only, as in Gomez-de-Mariscal et al. 2021 (and in
    ``skimage.graph.MCP_Geometric``), are up to 8.2 % too long, 5.5 % on average: more than 2 um on a
    protrusion of 40 um.

    Args:
        mask: The cell.
        start: The pixel (row, column) from which to measure; it lies inside.

    Returns:
        Distances in pixels: 0 at the start, infinite outside of the mask and for pixels without a path.

    Raises:
        ValueError: If the start is not a pixel of the mask.

    >>> geodesic_distance(np.array([[1, 1, 1], [0, 0, 1], [1, 0, 1]], bool), (0, 0)).round(2).tolist()
    [[0.0, 1.0, 2.0], [inf, inf, 2.24], [inf, inf, 3.24]]
    """
    mask, start = host_mask("mask", mask, "y x"), image_shape("start", start)
    height, width = mask.shape
    if not (0 <= start[0] < height and 0 <= start[1] < width and mask[start]):
        raise ValueError(f"start {start} is not a pixel of the mask of shape {mask.shape}")
    framed = np.pad(mask, REACH)
    flat, row = framed.ravel(), framed.shape[1]
    pixels = np.flatnonzero(flat)
    node = np.zeros(flat.size, np.int32)
    node[pixels] = np.arange(pixels.size)
    tails: list[Int[np.ndarray, " edge"]] = []
    heads: list[Int[np.ndarray, " edge"]] = []
    lengths: list[Float[np.ndarray, " edge"]] = []
    for (dy, dx), pairs in _steps():
        tail = pixels[flat[pixels + dy * row + dx]]
        for (y0, x0), (y1, x1) in pairs:
            tail = tail[flat[tail + y0 * row + x0] | flat[tail + y1 * row + x1]]
        tails.append(node[tail])
        heads.append(node[tail + dy * row + dx])
        lengths.append(np.full(tail.size, math.hypot(dy, dx)))
    edges = np.concatenate(tails), np.concatenate(heads)
    graph = scipy.sparse.csr_array((np.concatenate(lengths), edges), shape=(pixels.size, pixels.size))
    begin = node[(start[0] + REACH) * row + start[1] + REACH]
    distance = np.full(mask.shape, np.inf)
    distance[mask] = dijkstra(graph, directed=False, indices=begin)
    return distance


def shortest_way(
    distance: Number[ArrayLike, "y x"] | Sequence, pixel: Integer[ArrayLike, " 2"] | Sequence
) -> Int[np.ndarray, "point 2"]:
    """The shortest path of a geodesic distance, from a pixel back to the start.

    Args:
        distance: Result of :func:`geodesic_distance`.
        pixel: A pixel (row, column) that the start reaches.

    Returns:
        The pixels that the steps join, from ``pixel`` to the start. Of equally short ways one.

    Raises:
        ValueError: If the start does not reach the pixel.

    >>> inside = np.array([[1, 1, 1], [0, 0, 1], [1, 0, 1]], bool)
    >>> shortest_way(geodesic_distance(inside, (0, 0)), np.array([2, 2])).tolist()
    [[2, 2], [1, 2], [0, 0]]
    """
    distance, pixel = host_floats("distance", distance, "y x"), host_integers("pixel", pixel, "2")
    pixel = pixel.astype(np.intp)
    if not np.isfinite(distance[tuple(pixel)]):
        raise ValueError(f"pixel {pixel.tolist()} is not reached from the start")
    framed = np.pad(distance, REACH, constant_values=np.inf)
    steps = np.concatenate([sign * np.array([step for step, _ in _steps()]) for sign in (1, -1)])
    lengths = np.hypot(*steps.T)
    way = [pixel + REACH]
    while framed[tuple(way[-1])] > 0:
        candidates = way[-1] + steps
        # A step across a gap could save more than a way costs; the one that was taken fits exactly.
        misfit = np.abs(framed[tuple(candidates.T)] + lengths - framed[tuple(way[-1])])
        way.append(candidates[misfit.argmin()])
    return np.array(way) - REACH


@functools.cache
def _steps() -> list[tuple[tuple[int, int], list[tuple[tuple[int, int], tuple[int, int]]]]]:
    """Half of all steps (dy, dx), without their reverses, and the nearest pixels along each."""
    steps = []
    for dy, dx in itertools.product(range(REACH + 1), range(-REACH, REACH + 1)):
        if math.gcd(dy, dx) != 1 or (dy == 0 and dx < 0):
            continue
        long = max(abs(dy), abs(dx))
        between = [(dy * part / long, dx * part / long) for part in range(1, long)]
        pairs = [(_rounded(y, x, -TINY), _rounded(y, x, TINY)) for y, x in between]
        steps.append(((dy, dx), pairs))
    return steps


def _rounded(y: float, x: float, shift: float) -> tuple[int, int]:
    return round(y + shift), round(x + shift)
