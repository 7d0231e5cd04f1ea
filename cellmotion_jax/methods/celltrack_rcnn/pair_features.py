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
DIVISION_FEATURES = ("link_first", "link_second", "midpoint", "sisters", "sister_ratio", "sum_ratio")
MOST_DISTANCE = 3.0
"""Distances beyond this many cell diameters count as this many."""
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
    weights: Float[np.ndarray, " sample"]
    """How much it counts."""


class PairMeasures(NamedTuple):
    """Measures of all pairs of cells of two frames."""

    visual: Float[np.ndarray, "earlier later"]
    """Log odds of the visual head."""
    spatial: Float[np.ndarray, "earlier later"]
    """Log odds of the spatial head; 0 without one."""
    overlap: Float[np.ndarray, "earlier later"]
    """Intersection over union."""
    earlier: Measured
    later: Measured


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
    apart = np.linalg.norm(earlier.centre[:, None] - later.centre[None], axis=-1)
    diameter = (_diameters(earlier)[:, None] + _diameters(later)[None]) / 2
    ratio = np.abs(np.log(earlier.area[:, None] / later.area[None]))
    return np.stack(
        [
            np.clip(pairs.visual, -MOST_LOGIT, MOST_LOGIT) / 4,
            np.clip(pairs.spatial, -MOST_LOGIT, MOST_LOGIT) / 4,
            pairs.overlap,
            np.minimum(apart / diameter, MOST_DISTANCE),
            np.minimum(ratio, MOST_DISTANCE),
        ],
        axis=-1,
    )


def division_features(
    pairs: PairMeasures,
    link: Float[np.ndarray, "earlier later"],
    mother: Int[np.ndarray, " triple"],
    first: Int[np.ndarray, " triple"],
    second: Int[np.ndarray, " triple"],
) -> Float[np.ndarray, "triple feature"]:
    """Features of triples of a mother and two cells of the next frame for the regression of divisions.

    In the order of `DIVISION_FEATURES`: log odds of both links, the higher one first, over 4; distance from
    the mother to the midpoint of both, and of both from each other, in diameters of the mother; absolute
    logarithm of the ratio of both areas; absolute logarithm of the ratio of their sum to that of the mother.

    Args:
        pairs: Measures of all pairs.
        link: Log odds of the links of all pairs.
        mother: Earlier cell.
        first: Later cell.
        second: Another one.

    Returns:
        A row per triple, the same if first and second change places.
    """
    earlier, later = pairs.earlier, pairs.later
    odds = np.clip(np.stack([link[mother, first], link[mother, second]]), -2 * MOST_LOGIT, 2 * MOST_LOGIT)
    diameter = _diameters(earlier)[mother]
    middle = (later.centre[first] + later.centre[second]) / 2
    areas = later.area[first], later.area[second]
    return np.stack(
        [
            odds.max(axis=0) / 4,
            odds.min(axis=0) / 4,
            np.minimum(np.linalg.norm(middle - earlier.centre[mother], axis=-1) / diameter, MOST_DISTANCE),
            np.minimum(np.linalg.norm(later.centre[first] - later.centre[second], axis=-1) / diameter, 2 * MOST_DISTANCE),
            np.abs(np.log(areas[0] / areas[1])),
            np.abs(np.log((areas[0] + areas[1]) / earlier.area[mother])),
        ],
        axis=-1,
    )


def fit_logistic(examples: Sequence[Examples]) -> LogisticModel:
    """Fits a logistic regression with a small penalty on squared weights.

    Args:
        examples: Examples, in parts.

    Returns:
        The model; without any positive, or any negative, one that says so nearly surely.
    """
    features, true, counts = (np.concatenate(part) for part in zip(*examples))
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    sign, share = np.where(true, 1.0, -1.0), counts / max(counts.sum(), 1e-9)

    def loss(weights: Float[np.ndarray, " feature"]) -> tuple[float, Float[np.ndarray, " feature"]]:
        margin = sign * (rows @ weights)
        penalised = np.append(weights[:-1], 0.0)
        value = share @ np.logaddexp(0, -margin) + PENALTY / 2 * penalised @ penalised
        slope = -rows.T @ (share * sign * scipy.special.expit(-margin)) + PENALTY * penalised
        return float(value), slope

    found = scipy.optimize.minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B")
    return LogisticModel(weights=tuple(float(w) for w in found.x[:-1]), bias=float(found.x[-1]))


def _diameters(cells: Measured) -> Float[np.ndarray, " cell"]:
    return 2 * np.sqrt(cells.area / np.pi)
