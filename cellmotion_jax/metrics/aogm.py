"""Acyclic oriented graph measure (AOGM): the weighted number of corrections between two graphs of tracks.

A node is a cell in a frame. An edge connects a cell with itself in the following frame (track link), or the
last node of a parent with the first of its child (parent link), which may be frames apart. A result is
corrected by splitting, adding and deleting nodes (NS, FN, FP), and by deleting, adding and retyping edges
(ED, EA, EC); each operation has its weight.

References:
    Matula et al., Cell tracking accuracy measurement based on comparison of acyclic oriented graphs, PLOS ONE
    2015. Weights: http://celltrackingchallenge.net/evaluation-methodology.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cellmotion_jax.metrics.ctc_matching import FrameMatches, read_matches
from cellmotion_jax.metrics.track_graph import Lineage, track_columns, track_edges, track_nodes

SPLIT_WEIGHT = 5.0
MISSED_NODE_WEIGHT = 10.0
SPURIOUS_NODE_WEIGHT = 1.0
SPURIOUS_EDGE_WEIGHT = 1.0
MISSED_EDGE_WEIGHT = 1.5
WRONG_KIND_WEIGHT = 1.0


class NodeErrors(NamedTuple):
    """Errors of the cells of all frames."""

    splits: int
    """NS: a result cell that matches n > 1 reference cells needs n - 1 splits."""
    missed: int
    """FN: reference cells without a result cell."""
    spurious: int
    """FP: result cells without a reference cell."""
    reference: int
    """Reference cells in all frames."""

    @property
    def aogm(self) -> float:
        """Weighted number of node corrections."""
        return (
            SPLIT_WEIGHT * self.splits
            + MISSED_NODE_WEIGHT * self.missed
            + SPURIOUS_NODE_WEIGHT * self.spurious
        )

    @property
    def aogm_from_scratch(self) -> float:
        """Weighted number of corrections that add all reference nodes."""
        return MISSED_NODE_WEIGHT * self.reference


class EdgeErrors(NamedTuple):
    """Errors of the links."""

    spurious: int
    """ED: result edges without a reference edge, between two cells that each match exactly one reference
    cell."""
    missed: int
    """EA: reference edges that are missing in the result, including those at missed or unsplit cells."""
    wrong_kind: int
    """EC: edges in both, but a track link in one and a parent link in the other."""
    reference: int
    """Reference edges."""

    @property
    def aogm(self) -> float:
        """Weighted number of edge corrections."""
        return (
            SPURIOUS_EDGE_WEIGHT * self.spurious
            + MISSED_EDGE_WEIGHT * self.missed
            + WRONG_KIND_WEIGHT * self.wrong_kind
        )

    @property
    def aogm_from_scratch(self) -> float:
        """Weighted number of corrections that add all reference edges."""
        return MISSED_EDGE_WEIGHT * self.reference


def node_errors(frames: Sequence[FrameMatches]) -> NodeErrors:
    """Counts the node operations that correct a result.

    Args:
        frames: The matches of every frame, in any order.

    Returns:
        The counts.
    """
    splits = missed = spurious = reference = 0
    for frame in read_matches(frames):
        matched = frame.partner[frame.partner > 0]
        partners = len(np.unique(matched))
        splits += len(matched) - partners
        missed += len(frame.reference) - len(matched)
        spurious += len(frame.result) - partners
        reference += len(frame.reference)
    return NodeErrors(splits, missed, spurious, reference)


def edge_errors(
    frames: Sequence[FrameMatches], reference: Lineage, result: Lineage, *, first_frame: int = 0
) -> EdgeErrors:
    """Counts the edge operations that correct a result.

    Every parent in the table makes a parent link, also that of an only child, as in the challenge's own
    programs. (traccuracy 0.4.3 takes only children for track links, and differs by their EC.) A cell that is
    absent from a frame of its track, because it lies in the margin, has no node and no edges there.

    Args:
        frames: The matches of consecutive frames.
        reference: The reference's tracks.
        result: The result's tracks.
        first_frame: Number of the first frame, in the tables' count.

    Returns:
        The counts.

    Raises:
        InputError: If a table has a label twice, an impossible span or a parent that it does not list, or a
            frame has a label that its table does not let live there.
    """
    frames = read_matches(frames)
    reference, result = track_columns(reference, name="reference"), track_columns(result, name="result")
    true = track_nodes([frame.reference for frame in frames], reference, first_frame, name="reference")
    found = track_nodes([frame.result for frame in frames], result, first_frame, name="result")
    true_edges, found_edges = track_edges(true, reference), track_edges(found, result)
    partner = np.concatenate([np.zeros(0, np.int64), *(frame.partner for frame in frames)])
    matched = np.flatnonzero(partner)
    true_node = true.number(true.label[matched], true.frame[matched])
    found_node = found.number(partner[matched], true.frame[matched])
    # Only the cells that match one reference cell alone keep their edges.
    alone = np.bincount(found_node, minlength=len(found.key))[found_node] == 1
    counterpart = np.full(len(found.key), -1)
    counterpart[found_node[alone]] = true_node[alone]
    source, target = counterpart[found_edges.source], counterpart[found_edges.target]
    kept = (source >= 0) & (target >= 0)
    here, there = (
        source[kept] * len(true.key) + target[kept],
        true_edges.source * len(true.key) + true_edges.target,
    )
    common, at, at_true = np.intersect1d(here, there, assume_unique=True, return_indices=True)
    kinds = found_edges.is_parent_link[kept][at], true_edges.is_parent_link[at_true]
    return EdgeErrors(
        spurious=len(here) - len(common),
        missed=len(there) - len(common),
        wrong_kind=int((kinds[0] != kinds[1]).sum()),
        reference=len(there),
    )


def aogm_score(*errors: NodeErrors | EdgeErrors) -> float:
    """1 - min(AOGM, AOGM0) / AOGM0, where AOGM0 is the measure of an empty result.

    DET of node errors, LNK of edge errors, TRA of both.

    Args:
        *errors: Node errors, edge errors, or both.

    Returns:
        In [0, 1]: 1 for a perfect result, 0 for one that is not better than an empty result. NaN if the
        reference has no nodes or edges.

    Raises:
        TypeError: If they are anything else.
    """
    if not all(isinstance(part, (NodeErrors, EdgeErrors)) for part in errors):
        raise TypeError("errors must be the results of node_errors and edge_errors")
    cost, scratch = sum(part.aogm for part in errors), sum(part.aogm_from_scratch for part in errors)
    return 1 - min(cost, scratch) / scratch if scratch else float("nan")
