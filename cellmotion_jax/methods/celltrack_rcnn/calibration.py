"""Fit of the probabilities of links and divisions to annotated pairs of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tqdm
from jaxtyping import Int

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.methods.celltrack_rcnn.detection import FoundCells, cells_of_mask
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.pair_features import (
    Examples,
    LogisticModel,
    PairMeasures,
    division_features,
    fit_logistic,
    link_features,
)
from cellmotion_jax.methods.celltrack_rcnn.pairs import (
    AnnotatedPair,
    TrackedFrame,
    sources,
    track_table,
    tracked_frame,
)
from cellmotion_jax.methods.celltrack_rcnn.tracker import measure_pairs

MOST_DISTANT = 3.0
"""Cells farther apart than this many diameters are no examples: they are too easy."""
MOST_PAIRS = 60
"""Pairs of frames that are looked at, evenly spread over all."""
MISSED = 0.05
"""Share of the cells that a detector is taken to miss: weight of the examples of a second daughter that are
the successor of another cell, which would then have none."""


class LinkModels(NamedTuple):
    """Regressions of links and of divisions."""

    link: LogisticModel
    division: LogisticModel


def fit_links(model: RCNNModel, pairs: Sequence[AnnotatedPair]) -> LinkModels:
    """Fits both regressions to the annotated cells of pairs of frames.

    Args:
        model: The network.
        pairs: Annotated pairs in the order of their movies.

    Returns:
        The regressions.
    """
    chosen = [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, MOST_PAIRS).round().astype(int))]
    bar = tqdm.tqdm(measured_pairs(model, chosen), total=len(chosen), desc="links", disable=None, leave=False)
    measured = list(bar)
    link = fit_logistic([_links(*pair) for pair in measured])
    return LinkModels(link, fit_logistic([_triples(*pair, link) for pair in measured]))


def measured_pairs(
    model: RCNNModel, pairs: Sequence[AnnotatedPair]
) -> Iterator[tuple[PairMeasures, Int[np.ndarray, " later"]]]:
    """Measures of the annotated cells of pairs of frames, and where each later cell comes from, -1 for none."""
    frames: dict[int, tuple[TrackedFrame, FoundCells]] = {}

    def read(image: AnnotatedImage) -> tuple[TrackedFrame, FoundCells]:
        frame = tracked_frame(image, scale=1.0)
        return frame, cells_of_mask(model, image.image().mean(axis=-1), frame.number)

    for pair in pairs:
        frames = {id(image): frames.get(id(image)) or read(image) for image in pair}
        (earlier, before), (later, after) = (frames[id(image)] for image in pair)
        yield measure_pairs(model, before, after), sources(earlier, later, track_table(pair.later)) - 1


def _links(pairs: PairMeasures, source: Int[np.ndarray, " later"]) -> Examples:
    """All pairs of cells within reach, and all true ones."""
    features = link_features(pairs)
    true = source[None] == np.arange(len(features))[:, None]
    chosen = true | (features[..., 3] < MOST_DISTANT)
    return Examples(features[chosen], true[chosen], np.ones(np.count_nonzero(chosen)))


def _triples(pairs: PairMeasures, source: Int[np.ndarray, " later"], link: LogisticModel) -> Examples:
    """A cell with a true successor, and any other later cell within reach as the second daughter."""
    odds = link.log_odds(link_features(pairs))
    near = link_features(pairs)[..., 3] < MOST_DISTANT
    first, second = np.nonzero((source >= 0)[:, None] & near[np.maximum(source, 0)])
    other = first != second
    first, second = first[other], second[other]
    mother = source[first]
    true = source[second] == mother
    weights = np.where(true | (source[second] < 0), 1.0, MISSED)
    return Examples(division_features(pairs, odds, mother, first, second), true, weights)
