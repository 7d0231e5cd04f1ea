"""Test of a trained network on consecutive annotated frames: segmentation, tracking and divisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tqdm

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.data.annotated_image import consecutive_frames
from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.inference.linking.linker import tracked_labels
from cellmotion_jax.methods.celltrack_rcnn.detection import (
    FoundCells,
    RCNNSettings,
    cells_of_mask,
    find_cells,
)
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.pairs import read_markers, track_table
from cellmotion_jax.methods.celltrack_rcnn.tracker import (
    RCNNLinkSettings,
    RCNNTracker,
    TrackedMovie,
)
from cellmotion_jax.metrics import (
    Counts,
    FrameMatches,
    aogm_score,
    division_counts,
    edge_errors,
    match_frame,
    node_errors,
    segmentation_score,
    total_counts,
)
from cellmotion_jax.metrics.aogm import EdgeErrors, NodeErrors

TOLERANCES = (0, 1)
"""Frames by which a division may be early or late."""


class MovieScores(NamedTuple):
    """Scores over all test frames, with the names of the Cell Tracking Challenge."""

    seg: float
    det: float
    tra: float
    lnk: float
    divisions: tuple[Counts, ...]
    """For every tolerance in `TOLERANCES`."""

    @property
    def tracking_loss(self) -> float:
        """D-T of Table 1: DET minus TRA."""
        return self.det - self.tra


class TrackedTest(NamedTuple):
    """The last frames of a movie with the cells and tracks that were found."""

    images: tuple[AnnotatedImage, ...]
    cells: tuple[FoundCells, ...]
    tracked: Mapping[str, TrackedMovie]
    """By the name of the way of linking."""


class RCNNResult(NamedTuple):
    """Result of a test."""

    scores: Mapping[str, MovieScores]
    """By the name of the way of linking."""
    movies: tuple[TrackedTest, ...]


def evaluate_model(
    model: RCNNModel,
    images: Sequence[AnnotatedImage],
    ways: Mapping[str, RCNNLinkSettings],
    *,
    settings: RCNNSettings,
    given_masks: bool = False,
) -> RCNNResult:
    """Finds and tracks the cells of annotated frames and compares them with the annotation.

    Args:
        model: The network.
        images: Frames in the order of their movies; those that follow one another are tracked together.
        ways: Ways of linking, by name.
        settings: How cells are found.
        given_masks: Track the annotated cells instead of found ones.

    Returns:
        Scores and what was found.
    """
    movies, parts = [], []
    for stretch in consecutive_frames(images):
        bar = tqdm.tqdm(stretch, desc="test", unit="frame", leave=False, disable=None)
        cells = []
        for image in bar:
            pixels = image.image().mean(axis=-1)
            found = (
                cells_of_mask(model, pixels, image.labels())
                if given_masks
                else find_cells(model, pixels, settings=settings)
            )
            cells.append(found)
        tracked = {}
        for name, way in ways.items():
            tracker = RCNNTracker(model, way)
            for found in cells:
                tracker.add(found)
            tracked[name] = tracker.result()
        movie = TrackedTest(tuple(stretch), tuple(cells), tracked)
        movies.append(movie)
        parts.append({name: _errors(movie, result) for name, result in tracked.items()})
    return RCNNResult({name: _scores([part[name] for part in parts]) for name in ways}, tuple(movies))


class _Errors(NamedTuple):
    segmentation: list[FrameMatches]
    nodes: NodeErrors
    edges: EdgeErrors
    divisions: tuple[Counts, ...]


def _errors(movie: TrackedTest, tracked: TrackedMovie) -> _Errors:
    segmentation, tracking = [], []
    for image, cells, tracks in zip(movie.images, movie.cells, tracked.tracks):
        found = tracked_labels(cells.labels, tracks)
        markers = read_markers(image)
        segmentation.append(match_frame(image.labels(), found, margin=image.margin))
        tracking.append(match_frame(markers, found, margin=image.margin))
    first = movie.images[0].movie_files.index(movie.images[0].image_file)
    table, reference = tracked.table, track_table(movie.images[0])
    result = TrackTable(table.label, table.begin + first, table.end + first, table.parent)
    return _Errors(
        segmentation,
        node_errors(tracking),
        edge_errors(tracking, reference, result, first_frame=first),
        tuple(
            division_counts(tracking, reference, result, tolerance=tolerance, first_frame=first)
            for tolerance in TOLERANCES
        ),
    )


def _scores(parts: Sequence[_Errors]) -> MovieScores:
    nodes = NodeErrors(*(sum(column) for column in zip(*(part.nodes for part in parts))))
    edges = EdgeErrors(*(sum(column) for column in zip(*(part.edges for part in parts))))
    return MovieScores(
        seg=segmentation_score(frame for part in parts for frame in part.segmentation).seg,
        det=aogm_score(nodes),
        tra=aogm_score(nodes, edges),
        lnk=aogm_score(edges),
        divisions=tuple(total_counts(column) for column in zip(*(part.divisions for part in parts))),
    )
