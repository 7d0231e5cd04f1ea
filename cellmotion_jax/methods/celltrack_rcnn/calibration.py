"""Fit of the probabilities of links and divisions to annotated pairs of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tqdm
from jaxtyping import Bool, Int

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.inference.linking.frames import shared_pixels
from cellmotion_jax.methods.celltrack_rcnn.detection import (
    FoundCells,
    RCNNSettings,
    cells_of_mask,
    find_cells,
)
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
    evenly_spread,
    sources,
    track_table,
    tracked_frame,
)
from cellmotion_jax.methods.celltrack_rcnn.tracker import measure_pairs
from cellmotion_jax.ops.labels import NumberedCells

MOST_PAIRS = 60
"""Pairs of frames that are looked at, evenly spread over all."""


class LinkModels(NamedTuple):
    """Regressions of links and of divisions."""

    link: LogisticModel
    division: LogisticModel


def fit_links(model: RCNNModel, pairs: Sequence[AnnotatedPair], *, settings: RCNNSettings) -> LinkModels:
    """Fits both regressions to the cells of annotated pairs of frames: those annotated, and those found.

    What the network finds differs from the annotation in a way that links depend on: two cells that were
    taken for one in a frame, and are two in the next, are no division.

    Args:
        model: The network.
        pairs: Annotated pairs in the order of their movies.
        settings: How cells are found.

    Returns:
        The regressions.
    """
    chosen = [pairs[i] for i in evenly_spread(len(pairs), most=MOST_PAIRS)]
    measured = []
    for found in (None, settings):
        bar = tqdm.tqdm(
            measured_pairs(model, chosen, found=found),
            total=len(chosen),
            desc="links of annotated cells" if found is None else "links of found cells",
            disable=None,
            leave=False,
        )
        measured += list(bar)
    return LinkModels(
        fit_logistic([link_examples(*pair) for pair in measured]),
        fit_logistic([_divisions(*pair) for pair in measured]),
    )


def measured_pairs(
    model: RCNNModel, pairs: Sequence[AnnotatedPair], *, found: RCNNSettings | None = None
) -> Iterator[tuple[PairMeasures, Int[np.ndarray, " later"]]]:
    """Measures of the cells of annotated pairs of frames, and where each later cell comes from.

    Args:
        model: The network.
        pairs: Annotated pairs.
        found: How cells are found; None takes the annotated cells.

    Yields:
        Measures of all pairs of cells, and for every later cell the earlier one that is the same or its
        mother, -1 for none. A cell that was found has the track of the annotated cell whose larger part it
        covers, of several such that of the one that it shares most pixels with. One of which half or more
        lies where nothing is known, in the margin of a frame say, is left out.
    """
    frames: dict[int, _Read] = {}

    def read(image: AnnotatedImage) -> _Read:
        frame, pixels = tracked_frame(image, scale=1.0), image.image().mean(axis=-1)
        if found is None:
            cells = cells_of_mask(model, pixels, frame.number)
            return _Read(cells, frame.track, np.ones(len(frame.track), bool))
        cells = find_cells(model, pixels, settings=found)
        known = _mostly_known(frame, cells)
        return _Read(cells, _tracks_of_found(frame, cells)[known], known)

    for pair in pairs:
        frames = {id(image): frames.get(id(image)) or read(image) for image in pair}
        before, after = (frames[id(image)] for image in pair)
        measures = measure_pairs(model, before.cells, after.cells).of_cells(before.known, after.known)
        yield measures, sources(before.track, after.track, track_table(pair.later)) - 1


class _Read(NamedTuple):
    cells: FoundCells
    track: Int[np.ndarray, " counting"]
    """Track of the cells that count, 0 for none."""
    known: Bool[np.ndarray, " cell"]
    """Which cells count."""


def _mostly_known(frame: TrackedFrame, cells: FoundCells) -> Bool[np.ndarray, " cell"]:
    """Which cells that were found lie to the larger part where it is known whether there is a cell."""
    count = len(cells.boxes) + 1
    known = np.bincount(cells.labels[frame.known], minlength=count)[1:]
    return 2 * known > np.bincount(cells.labels.ravel(), minlength=count)[1:]


def _tracks_of_found(frame: TrackedFrame, cells: FoundCells) -> Int[np.ndarray, " cell"]:
    """The track of every cell that was found, 0 where it is no annotated cell."""
    true = NumberedCells(np.arange(len(frame.track) + 1), frame.number)
    shared = shared_pixels(true, cells.numbered)
    area = np.bincount(frame.number.ravel(), minlength=len(frame.track) + 1)[1:]
    shared = np.where(2 * shared > area[:, None], shared, 0)
    tracks: Int[np.ndarray, " cell"] = np.zeros(len(cells.boxes), np.int64)
    if shared.size:
        matched = shared.max(axis=0) > 0
        tracks[matched] = frame.track[shared.argmax(axis=0)][matched]
    return tracks


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
