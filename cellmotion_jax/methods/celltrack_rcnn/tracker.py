"""Tracking of the cells of a movie, frame by frame: the cells of the last few frames are in memory."""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.inference.linking.frames import shared_pixels
from cellmotion_jax.inference.linking.tracks import tracks_of_links
from cellmotion_jax.methods.celltrack_rcnn.assignment import AssignmentCosts, assign
from cellmotion_jax.methods.celltrack_rcnn.detection import FoundCells
from cellmotion_jax.methods.celltrack_rcnn.fusion import FrameLinks, fuse
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.pair_features import Measured, PairMeasures
from cellmotion_jax.methods.celltrack_rcnn.turnover import NOTHING_SEEN, at_border
from cellmotion_jax.models.celltrack_rcnn import CellEmbeddings, CellTrackRCNN, Similarities
from cellmotion_jax.ops.labels import NumberedCells, areas_and_centroids
from cellmotion_jax.settings import Range, Settings, Share


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
    """Assignment: costs of births, ends, gaps and divisions."""
    longest_gap: Annotated[int, Range(0, 100)] = 4
    """Assignment: largest number of consecutive frames in which a cell may be missed without ending its
    track. Frames without information do not count."""


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
        self._recent: list[_Recent] = []
        self._links: list[FrameLinks] = []
        self._linked_frames: list[int] = []
        self._turnover = NOTHING_SEEN

    def add(self, cells: FoundCells) -> FrameLinks:
        """Adds the cells of the next frame, and links them to those of the last one that was not skipped.

        Args:
            cells: The cells.

        Returns:
            Their links to the frame before, or across a gap.

        Raises:
            ValueError: If the frame has another size than the one before.
        """
        count = len(cells.boxes)
        links = FrameLinks(np.full(count, -1), np.ones(count, np.int64), np.full(count, np.nan))
        if self._recent:
            links = self._linked(cells)
        for steps, frame in enumerate(self._recent, start=1):
            frame.ended[links.source[(links.source >= 0) & (links.steps == steps)]] = False
        self._recent = [_Recent(cells, np.ones(count, bool)), *self._recent[: self.settings.longest_gap]]
        self._linked_frames.append(len(self._links))
        self._links.append(links)
        return links

    def skip(self) -> None:
        """Adds a frame without information: the frames before and after it are linked as neighbours."""
        self._links.append(FrameLinks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)))

    def result(self) -> TrackedMovie:
        """The tracks of all frames so far."""
        counts = [len(links.source) for links in self._links]
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        edges = [np.zeros((0, 2), np.int64)]
        linked = np.array(self._linked_frames, np.int64)
        for place, frame in enumerate(self._linked_frames):
            links = self._links[frame]
            later = np.flatnonzero(links.source >= 0)
            # Steps do not count frames that were skipped.
            before = first[linked[place - links.steps[later]]] + links.source[later]
            edges.append(np.stack([before, first[frame] + later], axis=-1))
        frames = np.repeat(np.arange(len(counts)), counts)
        table, track = tracks_of_links(frames, np.zeros((0, 2), np.int64), np.concatenate(edges))
        return TrackedMovie(
            table, tuple(np.split(track, first[1:-1])), tuple(links.probability for links in self._links)
        )

    def _linked(self, cells: FoundCells) -> FrameLinks:
        before, *older = self._recent
        pairs = measure_pairs(self.model, before.cells, cells)
        if self.settings.rule is LinkRule.FUSION:
            spatial = _sigmoid(pairs.spatial) if self.model.network.spatial else None
            share = pairs.shared / pairs.later.area[None]
            return fuse(_sigmoid(pairs.visual), spatial, share, alpha=self.settings.alpha)
        every = np.ones(len(cells.boxes), bool)
        none = pairs.of_cells(np.zeros(len(before.cells.boxes), bool), every)
        waiting = [
            measure_pairs(self.model, frame.cells, cells).of_cells(frame.ended, every)
            if frame.ended.any()
            else none
            for frame in older
        ]
        costs, size = self.settings.costs, cells.labels.shape
        born_at_border = at_border(pairs.later, size)
        ends_at_border = [at_border(measures.earlier, size) for measures in (pairs, *waiting)]
        links = assign(
            pairs,
            self.model.link,
            self.model.division,
            births=self._turnover.cost(born_at_border, expected=costs.birth, weight=costs.weight),
            ends=self._turnover.cost(np.concatenate(ends_at_border), expected=costs.end, weight=costs.weight),
            costs=costs,
            waiting=waiting,
        )
        self._turnover = self._turnover.after(links, ends_at_border[0], born_at_border)
        source = links.source.copy()
        for steps, frame in enumerate(older, start=2):
            across = (source >= 0) & (links.steps == steps)
            source[across] = np.flatnonzero(frame.ended)[source[across]]
        return links._replace(source=source)


class _Recent(NamedTuple):
    """A frame whose cells may still be linked."""

    cells: FoundCells
    ended: Bool[np.ndarray, " cell"]
    """Cells without a successor so far."""


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
    before, after = earlier.numbered, later.numbered
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
