"""Tracking of the cells of a movie, frame by frame: the cells of two frames are in memory at a time."""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.inference.linking.frames import shared_pixels
from cellmotion_jax.inference.linking.tracks import tracks_of_links
from cellmotion_jax.methods.celltrack_rcnn.assignment import AssignmentCosts, assign
from cellmotion_jax.methods.celltrack_rcnn.detection import FoundCells
from cellmotion_jax.methods.celltrack_rcnn.fusion import FrameLinks, fuse
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.pair_features import Measured, PairMeasures
from cellmotion_jax.models.celltrack_rcnn import CellEmbeddings, CellTrackRCNN, Similarities
from cellmotion_jax.ops.labels import NumberedCells, areas_and_centroids, number_cells
from cellmotion_jax.settings import Settings, Share


class LinkRule(enum.Enum):
    """How the scores of pairs become links."""

    ASSIGNMENT = "assignment"
    """All cells jointly, by the costs of calibrated probabilities."""
    FUSION = "fusion"
    """Every cell by itself, as in the paper."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RCNNLinkSettings(Settings):
    """How the cells of adjacent frames are linked."""

    rule: LinkRule = LinkRule.ASSIGNMENT
    """Joint assignment, or the fusion of the paper."""
    alpha: Share = 0.1
    """Fusion: smallest overlap of a link where the heads do not agree."""
    costs: AssignmentCosts = AssignmentCosts()
    """Assignment: costs of births, ends and divisions."""


class TrackedMovie(NamedTuple):
    """Tracks of all cells of a movie."""

    table: TrackTable
    """Tracks by the rules of the Cell Tracking Challenge."""
    tracks: tuple[Int[np.ndarray, " cell"], ...]
    """Of every frame the track of each cell."""
    probabilities: tuple[Float[np.ndarray, " cell"], ...]
    """Of every frame the probability of the link of each cell to the frame before; NaN in the first."""


@dataclasses.dataclass(eq=False)
class RCNNTracker:
    """Links the cells of a movie, which are added frame by frame."""

    model: RCNNModel
    settings: RCNNLinkSettings = dataclasses.field(default_factory=RCNNLinkSettings)

    def __post_init__(self) -> None:
        """Starts without frames."""
        self._last: FoundCells | None = None
        self._links: list[FrameLinks] = []

    def add(self, cells: FoundCells) -> FrameLinks:
        """Adds the cells of the next frame.

        Args:
            cells: The cells.

        Returns:
            Their links to the frame before.

        Raises:
            ValueError: If the frame has another size than the one before.
        """
        if self._last is None:
            count = len(cells.boxes)
            links = FrameLinks(np.full(count, -1), np.full(count, np.nan))
        else:
            links = self._linked(measure_pairs(self.model, self._last, cells))
        self._last = cells
        self._links.append(links)
        return links

    def result(self) -> TrackedMovie:
        """The tracks of all frames so far."""
        counts = [len(links.source) for links in self._links]
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        edges = [np.zeros((0, 2), np.int64)]
        for frame, links in enumerate(self._links):
            later = np.flatnonzero(links.source >= 0)
            edges.append(np.stack([first[frame - 1] + links.source[later], first[frame] + later], axis=-1))
        frames = np.repeat(np.arange(len(counts)), counts)
        table, track = tracks_of_links(frames, np.zeros((0, 2), np.int64), np.concatenate(edges))
        return TrackedMovie(
            table, tuple(np.split(track, first[1:-1])), tuple(links.probability for links in self._links)
        )

    def _linked(self, pairs: PairMeasures) -> FrameLinks:
        if self.settings.rule is LinkRule.FUSION:
            spatial = _sigmoid(pairs.spatial) if self.model.network.spatial else None
            share = pairs.shared / pairs.later.area[None]
            return fuse(_sigmoid(pairs.visual), spatial, share, alpha=self.settings.alpha)
        return assign(pairs, self.model.link, self.model.division, costs=self.settings.costs)


def measure_pairs(model: RCNNModel, earlier: FoundCells, later: FoundCells) -> PairMeasures:
    """Scores of both heads, overlaps, places and areas of the cells of two frames.

    Args:
        model: The network.
        earlier: Frame t - 1.
        later: Frame t.

    Returns:
        The measures.

    Raises:
        ValueError: If the frames differ in size.
    """
    counts = len(earlier.boxes), len(later.boxes)
    first, second = _in_equal_slots(earlier.embeddings, later.embeddings)
    found = _compare(model.network, model.variables, first, second)
    sisters = _compare(model.network, model.variables, second, second)
    visual = np.asarray(found.visual)[: counts[0], : counts[1]]
    alike = np.asarray(sisters.visual)[: counts[1], : counts[1]]
    spatial = np.zeros_like(visual)
    if found.spatial is not None:
        spatial = np.asarray(found.spatial)[: counts[0], : counts[1]]
    before, after = number_cells(earlier.labels), number_cells(later.labels)
    shared = shared_pixels(before, after).astype(float)
    return PairMeasures(visual, spatial, shared, alike, _measured(before), _measured(after))


def _measured(cells: NumberedCells) -> Measured:
    area, centroid = areas_and_centroids(cells)
    return Measured(centroid, area.astype(float))


def _in_equal_slots(*frames: CellEmbeddings) -> list[CellEmbeddings]:
    slots = max(len(frame.visual) for frame in frames)

    def wide(leaf: Any) -> Any:
        return jnp.pad(leaf, ((0, slots - len(leaf)), (0, 0)))

    return [jax.tree.map(wide, frame) for frame in frames]


@functools.partial(jax.jit, static_argnames=("network",))
def _compare(
    network: CellTrackRCNN, variables: Any, earlier: CellEmbeddings, later: CellEmbeddings
) -> Similarities:
    return network.apply(variables, earlier, later, method="compare")  # type: ignore[return-value]


def _sigmoid(values: Float[np.ndarray, "earlier later"]) -> Float[np.ndarray, "earlier later"]:
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))
