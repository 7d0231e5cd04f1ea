"""Conversion of links between instances to tracks with parents."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from cellmotion_jax.data.track_table import TrackTable


def tracks_of_links(
    frame: Int[np.ndarray, " instance"], joins: Int[np.ndarray, "join 2"], links: Int[np.ndarray, "link 2"]
) -> tuple[TrackTable, Int[np.ndarray, " instance"]]:
    """Tracks in the format of the Cell Tracking Challenge from the links between instances.

    A track continues as long as an instance has exactly one successor, in the next frame, and this successor
    has no other predecessor. In all other cases a new track begins, since no gap is allowed within a label:
    the track after a gap is the only child of the track before it; two daughters are two children; and the
    track after a merge is the only child of one of the merged tracks, preferably of a linked one, since a
    track has one parent; the other merged tracks end.

    Args:
        frame: Frame of every instance, not descending.
        joins: Pairs of an earlier and a later instance across gaps, divisions and merges.
        links: Pairs of instances in neighbouring frames, one per later instance at most.

    Returns:
        The table, tracks 1, 2, ... in the order of their first instances; and the track of every instance.
    """
    # Links come last: of several predecessors the linked one is the parent.
    edges = np.concatenate([joins, links])
    parent: Int[np.ndarray, " instance"] = np.full(len(frame), -1)
    parent[edges[:, 1]] = edges[:, 0]
    successors, predecessors = (np.bincount(ends, minlength=len(frame)) for ends in edges.T)
    goes_on = (parent >= 0) & (successors[parent] == 1) & (predecessors == 1) & (frame[parent] == frame - 1)
    track = number_chains(parent, begins=~goes_on) + 1
    born = np.flatnonzero(~goes_on)
    end = np.zeros(len(born), np.int64)
    np.maximum.at(end, track - 1, frame)
    mother = np.where(parent[born] >= 0, track[parent[born]], 0)
    return TrackTable(label=track[born], begin=frame[born], end=end, parent=mother), track


def number_chains(
    source: Int[np.ndarray, " instance"], *, begins: Bool[np.ndarray, " instance"]
) -> Int[np.ndarray, " instance"]:
    """The chain of every instance; chains are numbered 0, 1, ... in the order of their first instances.

    Args:
        source: Index of the predecessor, lower than the own index, where there is one.
        begins: Whether an instance begins a chain.

    Returns:
        The number of the chain of every instance.
    """
    number = np.cumsum(begins) - 1
    for node in np.flatnonzero(~begins):
        number[node] = number[source[node]]
    return number
