"""Instances of one frame and their links to the frame before: the first step of linking."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int

from cellmotion_jax.inference.linking.gaps import NO_CANDIDATES, Candidates, mean_diameters
from cellmotion_jax.ops.labels import NumberedCells, areas_and_centroids
from cellmotion_jax.tracking.linking import LinkCost


class FrameInstances(NamedTuple):
    """The instances of a frame in the order of their labels, and their links to the frame before."""

    label: Int[np.ndarray, " instance"]
    centroid: Float[np.ndarray, "instance 2"]
    """(y, x) in pixels."""
    area: Float[np.ndarray, " instance"]
    """Pixels."""
    source: Int[np.ndarray, " instance"]
    """Index of the predecessor of each instance in the frame before; -1 for none."""
    divisions: Candidates
    """Candidate divisions: from instances of the frame before that have a successor, to instances here
    without a predecessor."""
    merges: Candidates
    """Candidate merges: from instances of the frame before without a successor, to instances here."""


def measure_instances(cells: NumberedCells) -> FrameInstances:
    """Areas and centroids of the instances of a frame, without links."""
    area, centroid = areas_and_centroids(cells)
    return FrameInstances(
        label=cells.labels[1:].astype(np.int64),
        centroid=centroid,
        area=area.astype(float),
        source=np.full(len(area), -1),
        divisions=NO_CANDIDATES,
        merges=NO_CANDIDATES,
    )


def shared_pixels(before: NumberedCells, after: NumberedCells) -> Int[np.ndarray, "before after"]:
    """Number of pixels that every instance of a frame shares with every instance of the next.

    The table is dense, O(before x after) memory: 0.3 GB for 6,000 instances in either frame.

    Raises:
        ValueError: If the frames differ in size.
    """
    if before.number.shape != after.number.shape:
        raise ValueError(
            f"labels have shape {after.number.shape}, but the frame before has {before.number.shape}"
        )
    shape = len(before.labels) - 1, len(after.labels) - 1
    both = (before.number > 0) & (after.number > 0)
    pair = (before.number[both].astype(np.int64) - 1) * shape[1] + after.number[both] - 1
    return np.bincount(pair, minlength=shape[0] * shape[1]).reshape(shape)


def link_to_previous(
    before: FrameInstances,
    after: FrameInstances,
    shared: Int[np.ndarray, "before after"],
    *,
    cost: LinkCost,
    division: LinkCost,
) -> FrameInstances:
    """Links a frame to the one before by optimal assignment; reference for `tracking.linking.link_frames`.

    The cost of a link is that of `LinkCost` on the intersection over union; of all sets of links with costs
    below 1, the one with the largest sum of (1 - cost) is taken. An instance without a successor may have
    merged with an instance of the next frame, at the same cost with the share of the smaller instance that
    overlaps as similarity, since the area of the larger one is not its own alone; or may be a daughter
    (`_divisions`).

    Distances, overlaps and costs are dense tables: memory and time grow with the product of the numbers of
    instances, also if most pairs are out of reach, and the assignment is cubic in the worst case. Two frames
    of 1,000 instances take 0.1 s and 70 MB, two of 6,000 take 5 s and 2.4 GB.

    Args:
        before: The frame before.
        after: This frame.
        shared: Result of `shared_pixels`.
        cost: Cost of links and merges.
        division: Cost of divisions.

    Returns:
        This frame with its links.
    """
    apart = np.linalg.norm(before.centroid[:, None] - after.centroid[None], axis=-1)
    areas = before.area[:, None], after.area[None]
    diameter = mean_diameters(*areas)
    gain = np.minimum(cost(shared / (sum(areas) - shared), apart, diameter) - 1, 0)
    row, column = scipy.optimize.linear_sum_assignment(gain)
    linked = gain[row, column] < 0
    source: Int[np.ndarray, " instance"] = np.full(len(after.area), -1)
    source[column[linked]] = row[linked]

    price = cost(shared / np.minimum(*areas), apart, diameter)
    ended = np.isin(np.arange(len(before.area)), source, invert=True)
    earlier, later = np.nonzero((price < 1) & ended[:, None])
    return after._replace(
        source=source,
        divisions=_divisions(before, after, source, cost=division),
        merges=Candidates(earlier, later, price[earlier, later]),
    )


def _divisions(
    before: FrameInstances, after: FrameInstances, source: Int[np.ndarray, " instance"], *, cost: LinkCost
) -> Candidates:
    """Candidate divisions: every instance without a predecessor as the sister of every instance with one.

    Daughters move apart in opposite directions and are of one size, whereas how far they go differs between
    kinds of cells: in four challenge movies 9 of 10 have their midpoint within half a diameter of the mother,
    themselves within 0.6 to 1.4. The cost is that of `LinkCost` with the ratio of their areas as similarity,
    from the midpoint to the mother, in diameters of the mother.
    """
    mother, daughter = source[source >= 0], np.flatnonzero(source >= 0)
    sister = np.flatnonzero(source < 0)
    middle = (after.centroid[daughter][:, None] + after.centroid[sister][None]) / 2
    areas = after.area[daughter][:, None], after.area[sister][None]
    price = cost(
        np.minimum(*areas) / np.maximum(*areas),
        np.linalg.norm(middle - before.centroid[mother][:, None], axis=-1),
        2 * np.sqrt(before.area[mother] / np.pi)[:, None],
    )
    row, column = np.nonzero(price < 1)
    return Candidates(mother[row], sister[column], price[row, column])
