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
    MOST_DISTANCE,
    Examples,
    LogisticModel,
    PairMeasures,
    division_features,
    fit_logistic,
    link_features,
    near_triples,
    relative_distances,
)
from cellmotion_jax.methods.celltrack_rcnn.pairs import (
    AnnotatedPair,
    TrackedFrame,
    sources,
    track_table,
    tracked_frame,
)
from cellmotion_jax.methods.celltrack_rcnn.tracker import measure_pairs

MOST_PAIRS = 60
"""Pairs of frames that are looked at, evenly spread over all."""


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
    return LinkModels(
        fit_logistic([link_examples(*pair) for pair in measured]),
        fit_logistic([_divisions(*pair) for pair in measured]),
    )


def measured_pairs(
    model: RCNNModel, pairs: Sequence[AnnotatedPair]
) -> Iterator[tuple[PairMeasures, Int[np.ndarray, " later"]]]:
    """Measures of the annotated cells of pairs of frames, and the source of each later cell, -1 for none."""
    frames: dict[int, tuple[TrackedFrame, FoundCells]] = {}

    def read(image: AnnotatedImage) -> tuple[TrackedFrame, FoundCells]:
        frame = tracked_frame(image, scale=1.0)
        return frame, cells_of_mask(model, image.image().mean(axis=-1), frame.number)

    for pair in pairs:
        frames = {id(image): frames.get(id(image)) or read(image) for image in pair}
        (earlier, before), (later, after) = (frames[id(image)] for image in pair)
        yield measure_pairs(model, before, after), sources(earlier, later, track_table(pair.later)) - 1


def link_examples(pairs: PairMeasures, source: Int[np.ndarray, " later"]) -> Examples:
    """All pairs of cells within reach; true are those of which one continues the other."""
    features = link_features(pairs)
    children = np.bincount(source[source >= 0], minlength=len(features))
    true = (source[None] == np.arange(len(features))[:, None]) & (children == 1)[:, None]
    chosen = true | (relative_distances(pairs) < MOST_DISTANCE)
    return Examples(features[chosen], true[chosen])


def _divisions(pairs: PairMeasures, source: Int[np.ndarray, " later"]) -> Examples:
    """All triples within reach; true are those of a mother and her daughters."""
    triples = near_triples(pairs)
    mother, first, second = triples.T
    return Examples(division_features(pairs, triples), (source[first] == mother) & (source[second] == mother))
