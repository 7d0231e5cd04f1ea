"""The technical measures of the Cell Tracking Challenge (CTC): SEG, DET, LNK, TRA, OP_CSB and OP_CTB."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from jax.typing import ArrayLike

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics.aogm import (
    EdgeErrors,
    NodeErrors,
    aogm_score,
    edge_errors,
    node_errors,
)
from cellmotion_jax.metrics.ctc_matching import FrameMatches, Segmentation, match_frame, segmentation_score
from cellmotion_jax.metrics.track_graph import Lineage, track_columns
from cellmotion_jax.ops.arguments import Number


class CtcScores(NamedTuple):
    """Scores and errors of a result; every measure is in [0, 1], 1 is the best."""

    segmentation: Segmentation
    """SEG with the numbers of cells and frames over which it was computed."""
    nodes: NodeErrors
    """Cells to split, to add and to delete (NS, FN, FP)."""
    edges: EdgeErrors | None
    """Links to delete, to add and to retype (ED, EA, EC); None for a result without tracks."""

    @property
    def seg(self) -> float:
        """SEG, segmentation: mean IoU over the reference cells; NaN without one."""
        return self.segmentation.seg

    @property
    def det(self) -> float:
        """DET, detection: 1 - min(AOGM-D, AOGM-D0) / AOGM-D0 of the nodes; NaN without a reference cell."""
        return aogm_score(self.nodes)

    @property
    def lnk(self) -> float:
        """LNK, linking: the same of the edges; NaN without a reference edge or without tracks."""
        return float("nan") if self.edges is None else aogm_score(self.edges)

    @property
    def tra(self) -> float:
        """TRA, tracking: the same of both; NaN without a reference cell or without tracks."""
        return float("nan") if self.edges is None else aogm_score(self.nodes, self.edges)

    @property
    def aogm(self) -> float:
        """AOGM: the weighted sum of all errors, not normalised; NaN without tracks."""
        return float("nan") if self.edges is None else self.nodes.aogm + self.edges.aogm

    @property
    def op_csb(self) -> float:
        """OP_CSB = (SEG + DET) / 2, the ranking score of the Cell Segmentation Benchmark."""
        return (self.seg + self.det) / 2

    @property
    def op_ctb(self) -> float:
        """OP_CTB = (SEG + TRA) / 2, the ranking score of the Cell Tracking Benchmark."""
        return (self.seg + self.tra) / 2


def ctc_scores(
    reference_frames: Iterable[Number[ArrayLike, "y x"] | Sequence],
    result_frames: Iterable[Number[ArrayLike, "_ _"] | Sequence],
    reference_tracks: Lineage,
    result_tracks: Lineage | None,
    *,
    outlines: Iterable[Number[ArrayLike, "_ _"] | Sequence | None] | None = None,
    margin: int = 0,
) -> CtcScores:
    """Scores tracked label images against the reference, one frame in memory at a time.

    DET, LNK and TRA correct the result's graph into that of the reference with the challenge's weights: NS 5,
    FN 10, FP 1, ED 1, EA 1.5, EC 1 (:mod:`cellmotion_jax.metrics.aogm`). Only numbers are kept of a frame:
    memory grows with the number of cells, not of pixels.

    Frames without cells, in either or both, are ordinary frames. A result without any cell scores 0. A
    measure that is not defined, since the reference has nothing of the kind, is NaN.

    Deviations: none from the challenge's programs. Those refuse an empty result, and py-ctcmetrics 1.3.3
    and traccuracy 0.4.3 misjudge or refuse empty frames; traccuracy counts an unsplit cell once, whatever
    the number of cells in it, and takes the links of only children for track links.

    Args:
        reference_frames: Label image of every frame, 0 for background, labels of any size; outlines or
            markers.
        result_frames: As many label images of the same size.
        reference_tracks: A row per label; frames are counted from 0.
        result_tracks: The same of the result; None if its labels are numbers within a frame.
        outlines: What SEG is measured against, None for frames that are not outlined; without it, the
            reference frames.
        margin: Leave out cells that lie completely within this many pixels of the edge, in all images.

    Returns:
        Scores and errors.

    Raises:
        ValueError: If the images of a frame differ in shape.
        InputError: If there are more frames of one kind than of another, a label is negative or not to be
            in its frame by its table, a table has a label twice or an unlisted parent, or the margin leaves
            nothing of the image.

    References:
        Maska et al., The Cell Tracking Challenge: 10 years of objective benchmarking, Nature Methods 2023;
        Matula et al., PLOS ONE 2015; http://celltrackingchallenge.net/evaluation-methodology.
    """
    # Before the frames: a table that cannot be read must not cost the time of a whole movie.
    truth = track_columns(reference_tracks, name="reference")
    found = None if result_tracks is None else track_columns(result_tracks, name="result")
    tracking: list[FrameMatches] = []
    outlined: list[FrameMatches] = []
    if outlines is None:
        for reference, result in _in_step(reference_frames=reference_frames, result_frames=result_frames):
            tracking.append(match_frame(reference, result, margin=margin))
        outlined = tracking
    else:
        streams = {"reference_frames": reference_frames, "result_frames": result_frames, "outlines": outlines}
        for reference, result, outline in _in_step(**streams):
            tracking.append(match_frame(reference, result, margin=margin))
            if outline is not None:
                outlined.append(match_frame(outline, result, margin=margin))
    edges = None if found is None else edge_errors(tracking, truth, found)
    return CtcScores(segmentation_score(outlined), node_errors(tracking), edges)


def _in_step(**streams: Iterable) -> Iterator[tuple]:
    """Zips several streams; raises InputError if their lengths differ."""
    over = object()
    for number, together in enumerate(itertools.zip_longest(*streams.values(), fillvalue=over)):
        for name, element in zip(streams, together):
            if element is over:
                raise InputError(f"{name} ends after {number} frames, but there are more of the others.")
        yield together
