"""What is known of every pair of cells of two frames, and logistic regressions of links and divisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Bool, Float, Int

from cellmotion_jax.settings import Range, Settings

LINK_FEATURES = ("visual", "spatial", "overlap", "distance", "area_ratio")
DIVISION_FEATURES = (
    *("visual_first", "visual_second", "spatial", "overlap", "alike"),
    *("midpoint", "sisters", "sister_ratio", "sum_ratio"),
)
MOST_DISTANCE = 3.0
"""Distances beyond this many cell diameters count as this many."""
DIVISION_REACH = 2.0
"""Daughters lie within this many mean diameters of their mother."""
MOST_LOGIT = 8.0
"""Log odds of a head beyond this count as this."""
PENALTY = 1e-4
"""Weight of the squared coefficients against the mean loss."""


class Measured(NamedTuple):
    """The cells of a frame, as far as links depend on them."""

    centre: Float[np.ndarray, "cell 2"]
    """Centroid (y, x) in pixels."""
    area: Float[np.ndarray, " cell"]
    """Pixels."""


class Examples(NamedTuple):
    """Examples for a logistic regression."""

    features: Float[np.ndarray, "sample feature"]
    """A row per sample, each feature of about unit size."""
    true: Bool[np.ndarray, " sample"]
    """Whether a sample is positive."""


class PairMeasures(NamedTuple):
    """Measures of all pairs of cells of two frames."""

    visual: Float[np.ndarray, "earlier later"]
    """Log odds of the visual head."""
    spatial: Float[np.ndarray, "earlier later"]
    """Log odds of the spatial head; 0 without one."""
    shared: Float[np.ndarray, "earlier later"]
    """Pixels that both cover."""
    alike: Float[np.ndarray, "later later"]
    """Log odds of the visual head for two cells of the later frame."""
    earlier: Measured
    later: Measured

    def of_cells(
        self, earlier: Bool[np.ndarray, " earlier"], later: Bool[np.ndarray, " later"]
    ) -> PairMeasures:
        """Those of some cells of both frames."""
        both = np.ix_(earlier, later)
        return PairMeasures(
            visual=self.visual[both],
            spatial=self.spatial[both],
            shared=self.shared[both],
            alike=self.alike[np.ix_(later, later)],
            earlier=Measured(self.earlier.centre[earlier], self.earlier.area[earlier]),
            later=Measured(self.later.centre[later], self.later.area[later]),
        )


Coefficient = Annotated[float, Range(-1e6, 1e6)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogisticModel(Settings):
    """A logistic regression on standardised features."""

    weights: tuple[Coefficient, ...]
    """Factor of every feature."""
    bias: Coefficient = 0.0
    """Log odds where all features are 0."""

    def log_odds(self, features: Float[np.ndarray, "*shape feature"]) -> Float[np.ndarray, "*shape"]:
        """Log odds for features."""
        return features @ np.array(self.weights) + self.bias


NO_LINKS = LogisticModel(weights=(0.0,) * len(LINK_FEATURES))
"""Before the regression of links is fitted: one half for every pair."""
NO_DIVISIONS = LogisticModel(weights=(0.0,) * len(DIVISION_FEATURES))


def link_features(pairs: PairMeasures) -> Float[np.ndarray, "earlier later feature"]:
    """Features of all pairs for the regression of links, each of about unit size.

    In the order of `LINK_FEATURES`: log odds of both heads over 4; intersection over union; distance of the
    centroids in mean diameters; absolute logarithm of the ratio of areas.
    """
    earlier, later = pairs.earlier, pairs.later
    union = earlier.area[:, None] + later.area[None] - pairs.shared
    return np.stack(
        [
            _clipped(pairs.visual),
            _clipped(pairs.spatial),
            pairs.shared / union,
            relative_distances(pairs),
            np.minimum(np.abs(np.log(earlier.area[:, None] / later.area[None])), MOST_DISTANCE),
        ],
        axis=-1,
    )


def relative_distances(pairs: PairMeasures) -> Float[np.ndarray, "earlier later"]:
    """Distances of the centroids of all pairs in mean diameters, at most `MOST_DISTANCE`."""
    apart = np.linalg.norm(pairs.earlier.centre[:, None] - pairs.later.centre[None], axis=-1)
    diameter = (diameters(pairs.earlier)[:, None] + diameters(pairs.later)[None]) / 2
    return np.minimum(apart / diameter, MOST_DISTANCE)


def diameters(cells: Measured) -> Float[np.ndarray, " cell"]:
    """Diameters of discs of the areas of cells, in pixels."""
    return 2 * np.sqrt(cells.area / np.pi)


def near_triples(pairs: PairMeasures) -> Int[np.ndarray, "triple 3"]:
    """All triples of a cell and two later ones within `DIVISION_REACH` of it: mother, daughter, daughter."""
    near = relative_distances(pairs) < DIVISION_REACH
    triples = [np.zeros((0, 3), np.int64)]
    for mother, row in enumerate(near):
        later = np.flatnonzero(row)
        first, second = np.triu_indices(len(later), 1)
        triples.append(np.stack([np.full(len(first), mother), later[first], later[second]], axis=-1))
    return np.concatenate(triples)


def division_features(
    pairs: PairMeasures, triples: Int[np.ndarray, "triple 3"]
) -> Float[np.ndarray, "triple feature"]:
    """Features of triples of a mother and two cells of the next frame for the regression of divisions.

    In the order of `DIVISION_FEATURES`: log odds of the visual head between mother and daughters over 4, the
    higher one first, and the sum of those of the spatial head; share of both daughters that the mother
    covers; log odds that the daughters look alike; distance from the mother to the midpoint of both, and of
    both from each other, in diameters of the mother; absolute logarithm of the ratio of both areas, and of
    their sum to that of the mother.

    Args:
        pairs: Measures of all pairs.
        triples: Mother, daughter, daughter.

    Returns:
        A row per triple, the same if the daughters change places.
    """
    mother, first, second = triples.T
    earlier, later = pairs.earlier, pairs.later
    visual = _clipped(np.stack([pairs.visual[mother, first], pairs.visual[mother, second]]))
    spatial = _clipped(pairs.spatial[mother, first]) + _clipped(pairs.spatial[mother, second])
    sum_of_areas = later.area[first] + later.area[second]
    diameter = diameters(earlier)[mother]
    middle = (later.centre[first] + later.centre[second]) / 2
    apart = np.linalg.norm(later.centre[first] - later.centre[second], axis=-1)
    return np.stack(
        [
            visual.max(axis=0),
            visual.min(axis=0),
            spatial,
            (pairs.shared[mother, first] + pairs.shared[mother, second]) / sum_of_areas,
            _clipped(pairs.alike[first, second]),
            np.minimum(np.linalg.norm(middle - earlier.centre[mother], axis=-1) / diameter, MOST_DISTANCE),
            np.minimum(apart / diameter, 2 * MOST_DISTANCE),
            np.abs(np.log(later.area[first] / later.area[second])),
            np.abs(np.log(sum_of_areas / earlier.area[mother])),
        ],
        axis=-1,
    )


def _clipped(log_odds: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.clip(log_odds, -MOST_LOGIT, MOST_LOGIT) / 4


def fit_logistic(examples: Sequence[Examples]) -> LogisticModel:
    """Fits a logistic regression with a small penalty on squared weights.

    Args:
        examples: Examples, in parts.

    Returns:
        The model; without any positive, or any negative, one that says so nearly surely. Without examples
        nothing is held for true.
    """
    features, true = (np.concatenate(part) for part in zip(*examples))
    if not len(true):
        return LogisticModel(weights=(0.0,) * features.shape[1], bias=-2 * MOST_LOGIT)
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    sign, share = np.where(true, 1.0, -1.0), 1 / len(rows)

    def loss(weights: Float[np.ndarray, " feature"]) -> tuple[float, Float[np.ndarray, " feature"]]:
        margin = sign * (rows @ weights)
        penalised = np.append(weights[:-1], 0.0)
        value = share * np.logaddexp(0, -margin).sum() + PENALTY / 2 * penalised @ penalised
        slope = -share * rows.T @ (sign * scipy.special.expit(-margin)) + PENALTY * penalised
        return float(value), slope

    found = scipy.optimize.minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B")
    return LogisticModel(weights=tuple(float(w) for w in found.x[:-1]), bias=float(found.x[-1]))
