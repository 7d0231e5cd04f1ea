"""Links between the cells of two frames by the joint assignment of calibrated probabilities."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.optimize
import scipy.sparse
import scipy.special
from jaxtyping import Bool, Float, Int

from cellmotion_jax.methods.celltrack_rcnn.fusion import FrameLinks
from cellmotion_jax.methods.celltrack_rcnn.pair_features import (
    LogisticModel,
    PairMeasures,
    division_features,
    link_features,
    near_triples,
)
from cellmotion_jax.settings import NotNegative, Positive, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class AssignmentCosts(Settings):
    """Costs beside those of links and divisions, as negative natural logarithms of probabilities."""

    birth: NotNegative = 3.5
    """Cost of a cell without a source, before the movie tells: 3.5 if one in 33 has none."""
    end: NotNegative = 3.5
    """Cost of a cell that has no link to the next frame, before the movie tells."""
    weight: Positive = 100.0
    """Number of cells that these two count for against those of the movie, in which births and ends are
    counted as it is tracked, at the border and away from it; a large number leaves both as they are."""
    gap: NotNegative = 5.0
    """Cost of a gap in a track besides that of the link across it, however long: a cell that was missed once
    is often missed again."""
    division: NotNegative = 0.0
    """Cost of a division besides that of its probability."""


def assign(
    pairs: PairMeasures,
    link: LogisticModel,
    division: LogisticModel,
    *,
    births: Float[np.ndarray, " later"],
    ends: Float[np.ndarray, " source"],
    costs: AssignmentCosts,
    waiting: Sequence[PairMeasures] = (),
) -> FrameLinks:
    """Links all cells of two frames jointly; beyond the paper.

    Every cell of the earlier frame goes on as one later cell, divides into two, or ends; every cell of the
    later frame has one source or is born. A track that ended one or more frames before may go on as well, so
    that a cell which was taken for one with its neighbour for a frame is not the daughter of the neighbour
    when both part. The sum of the costs is the smallest possible (the frame-to-frame problem of Jaqaman et
    al. 2008 with divisions in it, instead of after it). It is solved exactly as an integer program over the
    links and divisions that cost less than the births and ends that they replace.

    Births, ends and gaps have costs of their own. A link of probability p costs log((1 - p) / p): to draw it
    costs -log p, and not to draw it would have cost -log(1 - p). Without the second part a sure link is worth
    little more than a doubtful one, and four doubtful links that save a birth and an end displace three sure
    ones. A division costs -log p less the largest such -log(1 - p) of what it stands for: itself, and the
    links from the mother to either daughter.

    Args:
        pairs: Measures of all pairs.
        link: Regression of links.
        division: Regression of divisions.
        births: Cost of the birth of every later cell.
        ends: Cost of the end of every earlier cell, and then of every cell in `waiting`.
        costs: Costs of gaps and divisions.
        waiting: Measures of the later frame with cells that ended tracks: those of two frames before, of
            three frames before, and so on.

    Returns:
        The links; the source of a cell across a gap is counted among the cells given in `waiting`. The
        probability of a cell without a source is 1 minus the largest that it could have.
    """
    earlier, later = pairs.visual.shape
    counts = [earlier, *(len(cells.visual) for cells in waiting)]
    first = np.concatenate([[0], np.cumsum(counts)])
    source: Int[np.ndarray, " later"] = np.full(later, -1)
    steps: Int[np.ndarray, " later"] = np.ones(later, np.int64)
    if not first[-1] or not later:
        return FrameLinks(source, steps, np.ones(later))
    odds = np.concatenate([link.log_odds(link_features(cells)) for cells in (pairs, *waiting)])
    missed = np.repeat(np.arange(len(counts)), counts)
    # What a link or a division saves of the births and ends that it replaces.
    link_gain = births + (ends - costs.gap * (missed > 0))[:, None] + odds
    one, other = np.nonzero(link_gain > 0)
    triples = near_triples(pairs)
    division_odds = division.log_odds(division_features(pairs, triples))
    mother, daughter, sister = triples.T
    surest = np.maximum(np.maximum(odds[mother, daughter], odds[mother, sister]), division_odds)
    division_gain = births[daughter] + births[sister] + ends[mother] - costs.division
    division_gain += np.logaddexp(0, surest) - np.logaddexp(0, -division_odds)
    # A division that saves no more than the link to one of its daughters, which can always take its place, is
    # in no better solution; this leaves out nearly all.
    instead = np.maximum(link_gain[mother, daughter], link_gain[mother, sister])
    possible = division_gain > np.maximum(instead, 0)
    triples, division_odds = triples[possible], division_odds[possible]
    gain = np.concatenate([link_gain[one, other], division_gain[possible]])
    chosen = _best_set(
        gain,
        np.concatenate([one, triples[:, 0]]),
        [np.concatenate([other, triples[:, 1]]), np.concatenate([np.full(len(one), -1), triples[:, 2]])],
        shape=(len(odds), later),
    )
    probability = 1 - scipy.special.expit(odds).max(axis=0)
    links, divisions = chosen[: len(one)], chosen[len(one) :]
    one, other = one[links], other[links]
    source[other] = one - first[missed[one]]
    steps[other] = 1 + missed[one]
    probability[other] = scipy.special.expit(odds[one, other])
    for child in (1, 2):
        source[triples[divisions, child]] = triples[divisions, 0]
        probability[triples[divisions, child]] = scipy.special.expit(division_odds[divisions])
    return FrameLinks(source, steps, probability)


def _best_set(
    gain: Float[np.ndarray, " event"],
    earlier: Int[np.ndarray, " event"],
    later: list[Int[np.ndarray, " event"]],
    *,
    shape: tuple[int, int],
) -> Bool[np.ndarray, " event"]:
    """The events of largest total gain of which no two share a cell.

    Args:
        gain: Above 0.
        earlier: The cell of the earlier frame of each event.
        later: Its cells of the later frame, -1 for none.
        shape: Number of cells of both frames.
    """
    if not len(gain):
        return np.zeros(0, bool)
    event = np.arange(len(gain))
    rows, columns = [earlier], [event]
    for cell in later:
        rows.append(shape[0] + cell[cell >= 0])
        columns.append(event[cell >= 0])
    row, column = np.concatenate(rows), np.concatenate(columns)
    uses = scipy.sparse.csr_array((np.ones(len(row)), (row, column)), shape=(sum(shape), len(gain)))
    found = scipy.optimize.milp(
        -gain,
        constraints=scipy.optimize.LinearConstraint(uses, ub=1.0),
        integrality=np.ones(len(gain)),
        bounds=scipy.optimize.Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    return found.x > 0.5
