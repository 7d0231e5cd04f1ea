"""Matching of the cells of a result and a reference by the rule of the Cell Tracking Challenge (CTC)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int, Integer

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics.segmentation import overlaps_by_name
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.host_arguments import host_floats, host_int64, host_integers, one_integer


class FrameMatches(NamedTuple):
    """The cells of one frame and their matches; a few numbers per cell, no pixels."""

    reference: Int[np.ndarray, " reference"]
    """Labels of the reference cells, ascending."""
    result: Int[np.ndarray, " result"]
    """Labels of the result's cells, ascending."""
    partner: Int[np.ndarray, " reference"]
    """Label of the one result cell that each reference cell matches, 0 for none; several reference cells may
    have the same."""
    iou: Float[np.ndarray, " reference"]
    """Intersection over union of each reference cell and its partner, 0 for none."""


class Segmentation(NamedTuple):
    """The measure SEG and the numbers of cells and frames over which it was computed."""

    seg: float
    """In [0, 1]; NaN without a reference cell."""
    cells: int
    """Number of reference cells in all annotated frames."""
    frames: int
    """Annotated frames."""


def match_frame(
    reference: Number[ArrayLike, "y x"] | Sequence,
    result: Number[ArrayLike, "..."] | Sequence,
    *,
    margin: int = 0,
) -> FrameMatches:
    """Matches the cells of one frame.

    A result cell R matches a reference cell G if |R ∩ G| > |G| / 2: it covers more than half of it. So a
    reference cell (often only a marker) has at most one partner, but a result cell may cover several.

    Args:
        reference: Label image, 0 for background. Labels of any size; a cell may be in several pieces.
        result: Label image of the same shape.
        margin: Cells that lie completely within this many pixels of the edge are left out of both images, as
            the challenge does outside of its field of interest. 0 leaves out none.

    Returns:
        Labels and partners; empty columns for images without cells.

    Raises:
        ValueError: If the shapes differ or are not those of images.
        InputError: If a label is negative, or the margin is negative or leaves nothing of the image.

    References:
        Matula et al., Cell tracking accuracy measurement based on comparison of acyclic oriented graphs,
        PLOS ONE 2015, "Detection test"; Maska et al., Bioinformatics 2014, section 3.3.

    >>> match_frame(np.array([[1, 1, 1, 2, 2, 0]]), np.array([[7, 7, 0, 7, 9, 9]])).partner.tolist()
    [7, 0]
    """
    reference, result = host_integers("reference", reference), host_integers("result", result)
    margin = one_integer("margin", margin)
    overlaps = overlaps_by_name(result=result, reference=reference)
    truth = host_int64("reference", overlaps.true_label)
    found = host_int64("result", overlaps.predicted_label)
    in_truth = _in_field(truth, reference, margin)
    in_found = _in_field(found, result, margin)
    matched = 2 * overlaps.shared > overlaps.true_area[overlaps.true]
    matched &= in_truth[overlaps.true] & in_found[overlaps.predicted]
    partner, iou = np.zeros_like(truth), np.zeros(len(truth))
    partner[overlaps.true[matched]] = found[overlaps.predicted[matched]]
    iou[overlaps.true[matched]] = overlaps.iou[matched]
    return FrameMatches(truth[in_truth], found[in_found], partner[in_truth], iou[in_truth])


def read_matches(frames: Iterable[FrameMatches]) -> list[FrameMatches]:
    """The matches of several frames with columns that are arrays of int64 and float64.

    Args:
        frames: Matches; their columns may be lists.

    Returns:
        The same, each column an array.

    Raises:
        TypeError: If they are no list of `FrameMatches`, or a column holds no numbers.
    """
    # The matches of one frame are columns, and would be taken for frames.
    listed = None if isinstance(frames, FrameMatches) else list(frames)
    if listed is None or not all(isinstance(frame, FrameMatches) for frame in listed):
        raise TypeError("frames must be a list of FrameMatches, one per frame")
    return [
        FrameMatches(
            host_int64("reference", frame.reference, "cell"),
            host_int64("result", frame.result, "cell"),
            host_int64("partner", frame.partner, "cell"),
            host_floats("iou", frame.iou, "cell"),
        )
        for frame in listed
    ]


def segmentation_score(frames: Iterable[FrameMatches]) -> Segmentation:
    """SEG: the mean over all reference cells of the IoU with their partner, 0 where there is none.

    SEG = sum of |R ∩ G| / |R ∪ G| over the matched pairs / number of reference cells. Result cells without a
    reference cell do not count, so that frames may be annotated in part.

    Args:
        frames: The matches of the annotated frames, none of the others.

    Returns:
        The measure, NaN if no frame has a reference cell.

    References:
        Maska et al., A benchmark for comparison of cell tracking algorithms, Bioinformatics 2014, section
        3.3.
    """
    scores = [frame.iou for frame in read_matches(frames)]
    iou = np.concatenate([np.zeros(0), *scores])
    return Segmentation(float(iou.mean()) if len(iou) else float("nan"), len(iou), len(scores))


def _in_field(
    labels: Int[np.ndarray, " cell"], image: Integer[np.ndarray, "y x"], margin: int
) -> Bool[np.ndarray, " cell"]:
    """Whether each cell reaches into the field of interest."""
    y, x = image.shape
    if not 0 <= 2 * margin < min(y, x):
        raise InputError(
            f"margin is {margin}; in an image of {y} x {x} pixels it is 0 to {(min(y, x) - 1) // 2}."
        )
    if not margin:
        return np.ones(len(labels), bool)
    return np.isin(labels, image[margin : y - margin, margin : x - margin])
