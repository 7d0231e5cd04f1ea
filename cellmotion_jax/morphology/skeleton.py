"""Skeleton of a cell as a tree, and how far each of its ends protrudes."""

from typing import NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from scipy.sparse.csgraph import dijkstra
from skimage.morphology import skeletonize

NEIGHBOURS = np.array([(0, 1), (1, -1), (1, 0), (1, 1)])


class SkeletonEnds(NamedTuple):
    """The skeleton of one cell and its end points."""

    skeleton: Bool[np.ndarray, "y x"]
    """Lines of one pixel width, connected like the mask."""
    points: Int[np.ndarray, "end 2"]
    """End points (row, column), row by row."""
    radius: Float[np.ndarray, " end"]
    """Depth of each end point, in pixels."""
    relief: Float[np.ndarray, " end"]
    """Relief of each end point: how far it protrudes from a slender part of the cell, in pixels."""


def skeleton_ends(
    mask: Bool[np.ndarray, "y x"],
    depth: Float[np.ndarray, "y x"],
    centre: tuple[int, int],
    *,
    slender: float,
) -> SkeletonEnds:
    r"""Finds the end points of a cell's skeleton, with their relief to separate protrusions from spurs.

    The skeleton is that of Lee et al. [1], which has far fewer spurs on ragged outlines than the one of
    Zhang and Suen. Its end points have one neighbour of the eight.

    Seen from the skeleton pixel nearest to the centre the skeleton is a tree. At a pixel :math:`p` on the
    path from an end point :math:`e` to the centre, let :math:`d(p)` be the depth (the radius of the largest
    disc around p inside the cell) and :math:`\ell(e, p)` the length of the path. The relief of the end point

    .. math:: \max_{p : d(p) \le s} \; \ell(e, p) + d(e) - d(p)

    is how far the end, with the disc around it, reaches beyond the disc around a part of the cell that is
    slender, with a half width of at most :math:`s`. The path ends where it meets a longer one: short branches
    do not get the length of the main branch. The ends of branches into the rounded front of a cell, and into
    the corners of its outline, have a relief near 0; an end nowhere slender has exactly 0.

    Args:
        mask: The cell in one piece.
        depth: Distance to the boundary of every pixel inside, finite.
        centre: A pixel (row, column) of the cell.
        slender: Largest half width in pixels of what counts as slender.

    Returns:
        The skeleton and its ends.

    References:
        [1] Lee, Kashyap, Chu, Building skeleton models via 3-D medial surface/axis thinning algorithms,
        1994.
    """
    skeleton = skeletonize(mask, method="lee").astype(bool)
    points = np.argwhere(skeleton)
    if not len(points):
        return SkeletonEnds(skeleton, np.zeros((0, 2), int), np.zeros(0), np.zeros(0))
    crowd = ndimage.convolve(skeleton.astype(np.uint8), np.ones((3, 3), np.uint8), mode="constant")
    root = int(((points - centre) ** 2).sum(axis=1).argmin())
    distance, before = dijkstra(
        _neighbour_graph(skeleton), directed=False, indices=root, return_predecessors=True
    )
    radius = depth[skeleton]
    ends = np.flatnonzero(crowd[skeleton] == 2)
    relief = _reliefs(distance, before, radius, slender)
    return SkeletonEnds(skeleton, points[ends], radius[ends], relief[ends])


def _reliefs(
    distance: Float[np.ndarray, " point"],
    before: Int[np.ndarray, " point"],
    radius: Float[np.ndarray, " point"],
    slender: float,
) -> Float[np.ndarray, " point"]:
    """The relief of every leaf of the tree; 0 for all other points.

    Args:
        distance: From the root, along the tree.
        before: The next point towards the root, negative at the root.
        radius: Depth.
        slender: Largest depth of a slender place.
    """
    relief = np.zeros(len(distance))
    leaf = np.arange(len(distance))
    reach = radius.copy()
    for point in np.argsort(-distance, kind="stable"):
        first = leaf[point]
        if radius[point] <= slender:
            relief[first] = max(relief[first], reach[point] - radius[point])
        towards = before[point]
        if towards < 0:
            continue
        come = reach[point] + distance[point] - distance[towards]
        if leaf[towards] == towards or come > reach[towards]:
            leaf[towards], reach[towards] = first, come
    return relief


def _neighbour_graph(skeleton: Bool[np.ndarray, "y x"]) -> scipy.sparse.csr_array:
    """Neighbouring pixels of a skeleton, weighted by their distance, 1 or the square root of 2."""
    framed = np.pad(skeleton, 1)
    points = np.argwhere(framed)
    node = np.zeros(framed.shape, np.int32)
    node[framed] = np.arange(len(points))
    edges = []
    for step in NEIGHBOURS:
        tail = points[framed[tuple((points + step).T)]]
        length = np.full(len(tail), np.hypot(*step))
        edges.append((length, node[tuple(tail.T)], node[tuple((tail + step).T)]))
    lengths, tails, heads = (np.concatenate(column) for column in zip(*edges))
    return scipy.sparse.csr_array((lengths, (tails, heads)), shape=(len(points), len(points)))
