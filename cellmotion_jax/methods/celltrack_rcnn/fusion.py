"""Links between the cells of two frames by the prediction fusion of Chen et al. 2021, Section 2.3."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class FrameLinks(NamedTuple):
    """Where every cell of a frame comes from."""

    source: Int[np.ndarray, " later"]
    """Cell of an earlier frame: the same cell, or the mother if several have the same source; -1 for none."""
    steps: Int[np.ndarray, " later"]
    """How many frames earlier that is: 1 for the frame before, more across a gap; 1 for a cell without a
    source."""
    probability: Float[np.ndarray, " later"]
    """Probability of the link; of a cell without a source, that it has none."""


def fuse(
    visual: Float[np.ndarray, "earlier later"],
    spatial: Float[np.ndarray, "earlier later"] | None,
    overlap: Float[np.ndarray, "earlier later"],
    *,
    alpha: float,
) -> FrameLinks:
    """Links every cell of a frame by itself, as the paper does.

    If the cell of the frame before with the highest visual score and that with the highest spatial score are
    the same, it is the source. Otherwise it is the cell with the largest overlap, if that is at least
    ``alpha``; or else there is none. Two cells with one source are its daughters. Without spatial scores (the
    ablation of Table 1) the visual score alone decides.

    Args:
        visual: Probabilities of the visual head.
        spatial: Those of the spatial head; None without it.
        overlap: Share of the pixels of each later cell that each earlier cell covers. The paper does not say
            what its overlapping area is measured against.
        alpha: Smallest overlap of a link; 0.1 in the paper.

    Returns:
        The links. The probability of one is the mean of both scores; of a cell without a source, 1 minus the
        largest such mean.
    """
    earlier, later = visual.shape
    if not earlier or not later:
        return FrameLinks(np.full(later, -1), np.ones(later, int), np.ones(later))
    score = visual if spatial is None else (visual + spatial) / 2
    source = visual.argmax(axis=0)
    if spatial is not None:
        agree = source == spatial.argmax(axis=0)
        nearest = overlap.argmax(axis=0)
        covered = overlap[nearest, np.arange(later)] >= alpha
        source = np.where(agree, source, np.where(covered, nearest, -1))
    linked = score[np.maximum(source, 0), np.arange(later)]
    return FrameLinks(source, np.ones(later, int), np.where(source >= 0, linked, 1 - score.max(axis=0)))
