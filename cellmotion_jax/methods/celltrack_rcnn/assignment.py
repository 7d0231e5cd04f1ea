"""Links between the cells of two frames by the joint assignment of calibrated probabilities."""

from __future__ import annotations

import dataclasses

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
from cellmotion_jax.settings import NotNegative, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class AssignmentCosts(Settings):
    """Costs beside those of links and divisions, as negative natural logarithms of probabilities."""

    birth: NotNegative = 3.5
    """Cost of a cell without a source: 3.5 if one in 33 has none. Between 3 and 4 the result hardly depends
    on it."""
    end: NotNegative = 3.5
    """Cost of a cell that has no link to the next frame. A link is drawn only if it costs less than an end
    and a birth together."""
    division: NotNegative = 0.0
    """Cost of a division besides that of its probability."""


def assign(
    pairs: PairMeasures, link: LogisticModel, division: LogisticModel, *, costs: AssignmentCosts
) -> FrameLinks:
    """Links all cells of two frames jointly; beyond the paper.

    Every cell of the earlier frame goes on as one later cell, divides into two, or ends; every cell of the
    later frame has one source or is born. The sum of the costs is the smallest possible: -log p of links and
    divisions, and the costs of births and ends (the frame-to-frame problem of Jaqaman et al. 2008 with
    divisions in it, instead of after it). It is solved exactly as an integer program over the links and
    divisions that cost less than the births and ends that they replace.

    Args:
        pairs: Measures of all pairs.
        link: Regression of links.
        division: Regression of divisions.
        costs: Costs of what is neither.

    Returns:
        The links. The probability of a cell without a source is 1 minus the largest that it could have.
    """
    earlier, later = pairs.visual.shape
    source: Int[np.ndarray, " later"] = np.full(later, -1)
    if not earlier or not later:
        return FrameLinks(source, np.ones(later))
    odds = link.log_odds(link_features(pairs))
    # What a link or a division saves of the births and ends that it replaces.
    link_gain = costs.birth + costs.end - np.logaddexp(0, -odds)
    one, other = np.nonzero(link_gain > 0)
    triples = near_triples(pairs)
    division_odds = division.log_odds(division_features(pairs, triples))
    division_gain = 2 * costs.birth + costs.end - np.logaddexp(0, -division_odds) - costs.division
    # A division that saves no more than the link to one of its daughters, which can always take its place, is
    # in no better solution; this leaves out nearly all.
    mother, first, second = triples.T
    instead = np.maximum(link_gain[mother, first], link_gain[mother, second])
    possible = division_gain > np.maximum(instead, 0)
    triples, division_odds = triples[possible], division_odds[possible]
    gain = np.concatenate([link_gain[one, other], division_gain[possible]])
    chosen = _best_set(
        gain,
        np.concatenate([one, triples[:, 0]]),
        [np.concatenate([other, triples[:, 1]]), np.concatenate([np.full(len(one), -1), triples[:, 2]])],
        shape=(earlier, later),
    )
    probability = 1 - scipy.special.expit(odds).max(axis=0)
    links, divisions = chosen[: len(one)], chosen[len(one) :]
    source[other[links]] = one[links]
    probability[other[links]] = scipy.special.expit(odds[one[links], other[links]])
    for daughter in (1, 2):
        source[triples[divisions, daughter]] = triples[divisions, 0]
        probability[triples[divisions, daughter]] = scipy.special.expit(division_odds[divisions])
    return FrameLinks(source, probability)


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
