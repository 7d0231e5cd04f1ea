"""Joining of track segments across gaps, divisions and merges with the library laptrack."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components

from cellmotion_jax.tracking.linking import LinkCost

BATCH = 150
"""Number of segments that are given to laptrack in one call; each call takes some milliseconds per frame."""


class Candidates(NamedTuple):
    """Pairs of instances that may be joined; instances are numbered through the movie, frame by frame."""

    earlier: Int[np.ndarray, " pair"]
    later: Int[np.ndarray, " pair"]
    cost: Float[np.ndarray, " pair"]
    """Cost of each pair, at least 0 and below 1; 1 is the cost of leaving an end or a beginning unjoined."""


NO_CANDIDATES = Candidates(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def gap_candidates(
    frame: Int[np.ndarray, " instance"],
    centroid: Float[np.ndarray, "instance 2"],
    area: Float[np.ndarray, " instance"],
    *,
    ends: Bool[np.ndarray, " instance"],
    begins: Bool[np.ndarray, " instance"],
    longest: int,
    cost: LinkCost,
) -> Candidates:
    """Candidate pairs of the end of a segment and the beginning of a later one, which may be the same cell.

    The cost is that of `LinkCost` with the ratio of the smaller area to the larger one, the highest
    intersection over union that is possible, and the distance divided by the square root of the number of
    frames in between, since the displacement of a random walk grows with the square root of time.

    Args:
        frame: Frame of every instance, not descending.
        centroid: (y, x) in pixels.
        area: Pixels.
        ends: Whether an instance ends a segment.
        begins: Whether an instance begins one.
        longest: Largest number of consecutive frames without the cell.
        cost: Settings of the cost.

    Returns:
        All pairs with a cost below 1.
    """
    end_nodes, begin_nodes = np.flatnonzero(ends), np.flatnonzero(begins)
    parts = [NO_CANDIDATES]
    for number in np.unique(frame[end_nodes]):
        earlier = end_nodes[frame[end_nodes] == number]
        steps = frame[begin_nodes] - number
        later = begin_nodes[(steps > 1) & (steps <= longest + 1)]
        pairs = earlier[:, None], later[None]
        apart = np.linalg.norm(centroid[pairs[0]] - centroid[pairs[1]], axis=-1)
        first, second = (area[nodes] for nodes in pairs)
        price = cost(
            np.minimum(first, second) / np.maximum(first, second),
            apart / np.sqrt(frame[pairs[1]] - number),
            mean_diameters(first, second),
        )
        row, column = np.nonzero(price < 1)
        parts.append(Candidates(earlier[row], later[column], price[row, column]))
    return Candidates(*(np.concatenate(column) for column in zip(*parts)))


def join_segments(
    frame: Int[np.ndarray, " instance"],
    segment: Int[np.ndarray, " instance"],
    *,
    gaps: Candidates,
    divisions: Candidates,
    merges: Candidates,
) -> Int[np.ndarray, "join 2"]:
    """Chooses the joins that minimise the sum of their costs plus 1 for every end or beginning left unjoined.

    One assignment for the whole movie (Jaqaman et al. 2008, second step), solved by laptrack: an end has at
    most one join, so has a beginning, and a cell that continues takes at most one daughter and one merging
    cell.

    laptrack calls a Python function for every pair of cells of neighbouring frames, searches all known links
    in every frame, and looks through all segments for every segment. It is therefore given only the instances
    that occur in a candidate, the links of a segment as a chain between these, and the costs in a dictionary;
    and only about 150 segments at a time. Candidates connect segments to groups, and no candidate connects
    two groups, so that solving each group alone gives the same optimum. Time grows with the number of groups,
    but with the square of the segments of one: 3,000 cells in 4 frames with 5 % missed take 5 s instead of
    15, but 1,000 in 20 frames with 15 % missed, nearly all of them one group, take 16 s as before.

    Args:
        frame: Frame of every instance, not descending.
        segment: Segment of every instance.
        gaps: From the end of a segment to the beginning of another.
        divisions: From an instance to the beginning of a segment in the next frame.
        merges: From the end of a segment to an instance in the next frame.

    Returns:
        Pairs of an earlier and a later instance, in no order.
    """
    parts = (gaps, divisions, merges)
    batches = _batches(frame, segment, parts)
    joins = [np.zeros((0, 2), np.int64)]
    for number in np.unique(np.concatenate(batches)):
        chosen = (
            Candidates(*(column[batch == number] for column in part)) for part, batch in zip(parts, batches)
        )
        joins.append(_join_batch(frame, segment, *chosen))
    return np.concatenate(joins)


def _batches(
    frame: Int[np.ndarray, " instance"], segment: Int[np.ndarray, " instance"], parts: Sequence[Candidates]
) -> list[Int[np.ndarray, " pair"]]:
    """The batch of every candidate; a segment occurs in one batch only, and batches are in temporal order."""
    earlier, later = (np.concatenate(ends) for ends in list(zip(*parts))[:2])
    _, ends = np.unique(segment[np.concatenate([earlier, later])], return_inverse=True)
    first, second = ends[: len(earlier)], ends[len(earlier) :]
    count = int(ends.max(initial=-1)) + 1
    tied = scipy.sparse.coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    groups, group = connected_components(tied, directed=False)
    begins = np.full(groups, len(frame))
    np.minimum.at(begins, group[first], frame[earlier])
    order = np.argsort(begins, kind="stable")
    batch: Int[np.ndarray, " group"] = np.empty(groups, np.int64)
    batch[order] = np.cumsum(np.bincount(group, minlength=groups)[order]) // BATCH
    return np.split(batch[group[first]], np.cumsum([len(part.cost) for part in parts])[:-1])


def _join_batch(
    frame: Int[np.ndarray, " instance"],
    segment: Int[np.ndarray, " instance"],
    gaps: Candidates,
    divisions: Candidates,
    merges: Candidates,
) -> Int[np.ndarray, "join 2"]:
    """As `join_segments`, for one batch."""
    parts = (gaps, divisions, merges)
    nodes = np.unique(np.concatenate([end for part in parts for end in (part.earlier, part.later)]))
    # Takes more than a second and pulls in pandas and scikit-learn, which only this needs.
    from laptrack import LapTrack

    later_frames = np.arange(int(frame[nodes[0]]) + 1, int(frame[nodes[-1]]) + 1)
    per_frame = np.split(nodes, np.searchsorted(frame[nodes], later_frames))
    place = {int(node): (number, at) for number, here in enumerate(per_frame) for at, node in enumerate(here)}
    chains = nodes[np.argsort(segment[nodes], kind="stable")]
    together = np.flatnonzero(segment[chains[1:]] == segment[chains[:-1]])
    known = {(int(chains[at]), int(chains[at + 1])) for at in together}
    linker = LapTrack(  # pyright: ignore[reportCallIssue] (pydantic's Field has the defaults)
        cutoff=0.0,
        gap_closing_metric=_lookup(gaps.earlier, gaps.later, gaps.cost),
        gap_closing_cutoff=1.0,
        gap_closing_max_frame_count=int((frame[gaps.later] - frame[gaps.earlier]).max(initial=1)),
        # laptrack asks for the cost of a daughter and a mother, in this order.
        splitting_metric=_lookup(divisions.later, divisions.earlier, divisions.cost),
        splitting_cutoff=1.0 if len(divisions.cost) else False,
        merging_metric=_lookup(merges.earlier, merges.later, merges.cost),
        merging_cutoff=1.0 if len(merges.cost) else False,
        segment_start_cost=1.0,
        segment_end_cost=1.0,
        no_splitting_cost=1.0,
        no_merging_cost=1.0,
    )
    tree = linker.predict(
        [here[:, None].astype(float) for here in per_frame],
        connected_edges=[(place[first], place[second]) for first, second in known],
    )
    found = {
        tuple(int(per_frame[number][at]) for number, at in edge)  # both ends, the earlier one first
        for edge in tree.edges
    }
    return np.array(sorted(found - known), np.int64).reshape(-1, 2)


def _lookup(
    first: Int[np.ndarray, " pair"], second: Int[np.ndarray, " pair"], cost: Float[np.ndarray, " pair"]
) -> Callable[[Float[np.ndarray, "1"], Float[np.ndarray, "1"]], float]:
    """The cost function for laptrack: the cost of a candidate, infinite for any other pair."""
    table = dict(zip(zip(first.tolist(), second.tolist()), cost.tolist()))
    return lambda a, b: table.get((int(a[0]), int(b[0])), math.inf)


def mean_diameters(
    first: Float[np.ndarray, "..."], second: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Mean of the equivalent diameters of two areas, with broadcasting."""
    return (np.sqrt(first) + np.sqrt(second)) / np.sqrt(np.pi)
