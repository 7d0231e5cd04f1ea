"""Links between the cells of two frames by linear assignment of calibrated probabilities."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Float, Int

from cellmotion_jax.methods.celltrack_rcnn.fusion import FrameLinks
from cellmotion_jax.methods.celltrack_rcnn.pair_features import (
    LogisticModel,
    PairMeasures,
    division_features,
    link_features,
)
from cellmotion_jax.settings import NotNegative, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class AssignmentCosts(Settings):
    """Costs beside those of links, as negative natural logarithms of probabilities."""

    birth: NotNegative = 1.0
    """Cost of a cell without a source."""
    end: NotNegative = 1.0
    """Cost of a cell that has no link to the next frame. A link is drawn only if it costs less than an end and
    a birth together: with 1 and 1, if its probability is above 0.14."""
    division: NotNegative = 0.7
    """Largest cost of a division: with 0.7, those with a probability above one half are drawn."""


def assign(
    pairs: PairMeasures, link: LogisticModel, division: LogisticModel | None, *, costs: AssignmentCosts
) -> FrameLinks:
    """Links all cells of two frames jointly; beyond the paper.

    First every cell has at most one link to either side: the sum of the costs of links, which are -log p, of
    ends and of births is the smallest possible (Jaqaman et al. 2008). Then cells without a source may be the
    second daughters of cells that have a link: of these, the divisions are drawn whose costs -log p are
    smallest in sum and each below ``costs.division``; a mother has one further daughter at most. Cubic in the
    number of cells in the worst case.

    Args:
        pairs: Measures of all pairs.
        link: Regression of links.
        division: Regression of divisions; None draws none.
        costs: Costs of what is not a link.

    Returns:
        The links.
    """
    earlier, later = pairs.visual.shape
    source: Int[np.ndarray, " later"] = np.full(later, -1)
    probability = np.ones(later)
    if not earlier or not later:
        return FrameLinks(source, probability)
    odds = link.log_odds(link_features(pairs))
    cost = np.logaddexp(0, -odds)
    gain = np.minimum(cost - costs.birth - costs.end, 0)
    row, column = scipy.optimize.linear_sum_assignment(gain)
    linked = gain[row, column] < 0
    row, column = row[linked], column[linked]
    source[column] = row
    probability = 1 - scipy.special.expit(odds).max(axis=0)
    probability[column] = scipy.special.expit(odds[row, column])
    if division is not None:
        _add_daughters(source, probability, pairs, odds, division, costs)
    return FrameLinks(source, probability)


def _add_daughters(
    source: Int[np.ndarray, " later"],
    probability: Float[np.ndarray, " later"],
    pairs: PairMeasures,
    odds: Float[np.ndarray, "earlier later"],
    division: LogisticModel,
    costs: AssignmentCosts,
) -> None:
    """Gives cells without a source to mothers, in place."""
    daughter, sister = np.flatnonzero(source >= 0), np.flatnonzero(source < 0)
    if not len(daughter) or not len(sister):
        return
    first, second = (grid.ravel() for grid in np.meshgrid(daughter, sister, indexing="ij"))
    features = division_features(pairs, odds, source[first], first, second)
    log_odds = division.log_odds(features).reshape(len(daughter), len(sister))
    gain = np.minimum(np.logaddexp(0, -log_odds) - costs.division, 0)
    row, column = scipy.optimize.linear_sum_assignment(gain)
    drawn = gain[row, column] < 0
    row, column = row[drawn], column[drawn]
    source[sister[column]] = source[daughter[row]]
    probability[sister[column]] = scipy.special.expit(log_odds[row, column])
