"""Linking of instances that were found frame by frame to tracks with gaps, divisions and merges.

Two steps, as in Jaqaman et al. 2008. Instances of neighbouring frames are linked as soon as both are known,
with the optimal set of links; this gives track segments. After the last frame, the library laptrack (Fukai
and Kawaguchi 2023) joins the segments in one assignment for the whole movie: an end to a later beginning
(gap), a beginning to a cell that continues (division), an end to a cell that already existed (merge).

References:
    Jaqaman et al., Robust single-particle tracking in live-cell time-lapse sequences, Nature Methods 5, 2008.
    Fukai and Kawaguchi, LapTrack: linear assignment particle tracking with tunable metrics, Bioinformatics
    39, 2023.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32, Integer

from cellmotion_jax.data.track_table import MAX_LABEL, TrackTable
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.linking.frames import (
    FrameInstances,
    link_to_previous,
    measure_instances,
    shared_pixels,
)
from cellmotion_jax.inference.linking.gaps import NO_CANDIDATES, Candidates, gap_candidates, join_segments
from cellmotion_jax.inference.linking.tracks import number_chains, tracks_of_links
from cellmotion_jax.memory import require_memory
from cellmotion_jax.ops.labels import NumberedCells, number_cells
from cellmotion_jax.settings import Range, Settings
from cellmotion_jax.tracking.linking import LinkCost

# Two frames of 1,000 instances take 70 MB, see `link_to_previous`.
_BYTES_PER_PAIR = 70


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinkSettings(Settings):
    """Settings of linking."""

    cost: LinkCost = LinkCost()
    """Cost of links from frame to frame, across gaps, and of merges."""
    division: LinkCost = LinkCost(reach=0.5)
    """Cost of divisions; the distance is from the mother to the midpoint of the daughters."""
    longest_gap: Annotated[int, Range(0, 10**6)] = 2
    """Largest number of consecutive frames in which a cell may be missed without ending its track. Frames
    without information do not count."""
    divisions: bool = True
    """Whether a cell that appears may be the daughter of a neighbouring cell."""
    merges: bool = False
    """Whether a cell that disappears may have merged with a neighbouring cell."""


class Links(NamedTuple):
    """Tracks of all instances of a movie, by the rules of the Cell Tracking Challenge."""

    table: TrackTable
    """Tracks 1, 2, ... in the order of their first frames, and there of their labels."""
    tracks: tuple[Int[np.ndarray, " instance"], ...]
    """``tracks[t][label - 1]`` is the track of the instance in frame t; 0 for a label that is not there."""


class Linker:
    """Links the instances of a movie, whose label images are added one by one.

    It keeps a few numbers per instance of every frame, and the image of the last frame only.
    """

    def __init__(self, settings: LinkSettings | None = None) -> None:
        """Starts without frames."""
        self._settings = settings or LinkSettings()
        self._image: NumberedCells | None = None
        self._frames: list[FrameInstances] = []
        self._number: list[int] = []
        self._count = 0

    def add(self, labels: Integer[np.ndarray, "y x"]) -> None:
        """Adds the next frame and links it to the last one that was not skipped.

        Time and memory of this step grow with the square of the number of instances: 3,000 take about a
        second.

        Args:
            labels: Label image, 0 for background, labels up to 65535; it may be empty.

        Raises:
            ValueError: If it is not an image or differs in size from the frame before.
            InputError: If a label is negative or too large.
        """
        frame = self._count
        cells = number_cells(labels, name=f"labels of frame {frame}")
        if cells.labels[-1] > MAX_LABEL:
            raise InputError(
                f"labels of frame {frame} hold label {cells.labels[-1]}; labels go up to {MAX_LABEL}."
            )
        here = measure_instances(cells)
        if self._image is not None:
            before, after = len(self._image.labels) - 1, len(cells.labels) - 1
            require_memory(
                _BYTES_PER_PAIR * before * after,
                what=f"Linking of {before} to {after} cells in frame {frame}",
                instead="cut the movie into smaller fields, or look whether every cell has one label",
            )
            shared = shared_pixels(self._image, cells)
            settings = self._settings
            here = link_to_previous(
                self._frames[-1], here, shared, cost=settings.cost, division=settings.division
            )
        self._frames.append(here)
        self._number.append(frame)
        self._image = cells
        self._count += 1

    def skip(self) -> None:
        """Adds a frame without information: the frames before and after it are linked as neighbours."""
        self._count += 1

    @property
    def frames(self) -> tuple[FrameInstances, ...]:
        """The instances of all frames so far, without those that were skipped."""
        return tuple(self._frames)

    def links(self) -> Links:
        """The tracks of all frames so far.

        Returns:
            Table and tracks by the rules of :func:`~cellmotion_jax.inference.linking.tracks.tracks_of_links`;
            without any instance the table is empty. A track across skipped frames continues as the only child
            of the track before them, as across any gap; skipped frames have no instances.
        """
        nodes = _flatten(self._frames)
        settings, linked = self._settings, nodes.source >= 0
        goes_on = np.isin(np.arange(len(nodes.frame)), nodes.source)
        joins = join_segments(
            nodes.frame,
            number_chains(nodes.source, begins=~linked),
            gaps=gap_candidates(
                nodes.frame,
                nodes.centroid,
                nodes.area,
                ends=~goes_on,
                begins=~linked,
                longest=settings.longest_gap,
                cost=settings.cost,
            ),
            divisions=nodes.divisions if settings.divisions else NO_CANDIDATES,
            merges=nodes.merges if settings.merges else NO_CANDIDATES,
        )
        links = np.stack([nodes.source[linked], np.flatnonzero(linked)], axis=1)
        # The place among the frames that were not skipped becomes the number in the movie.
        number = np.array(self._number, np.int64)
        table, track = tracks_of_links(number[nodes.frame], joins, links)
        tracks: list[Int[np.ndarray, " instance"]] = [np.zeros(0, np.int64)] * self._count
        first = 0
        for place, frame in zip(self._number, self._frames):
            tracks[place] = np.zeros(frame.label.max(initial=0), np.int64)
            tracks[place][frame.label - 1] = track[first : first + len(frame.label)]
            first += len(frame.label)
        return Links(table, tuple(tracks))


def link_instances(
    segmentations: Iterable[Integer[np.ndarray, "y x"]], settings: LinkSettings | None = None
) -> Links:
    """Links the instances of a movie; runs a `Linker` over all label images.

    Args:
        segmentations: A label image of every frame.
        settings: Settings of linking.

    Returns:
        The tracks.

    Raises:
        ValueError: If an entry is not an image or the sizes differ.
        InputError: If a label is negative or above 65535.
    """
    linker = Linker(settings)
    for labels in segmentations:
        linker.add(labels)
    return linker.links()


def tracked_labels(
    labels: Integer[np.ndarray, "y x"], tracks: Int[np.ndarray, " instance"]
) -> Int32[np.ndarray, "y x"]:
    """The label image of a frame in which every instance has the id of its track.

    Args:
        labels: The label image that was linked.
        tracks: Tracks of that frame, an entry of `Links.tracks`.

    Returns:
        Track ids, 0 for background.

    Raises:
        ValueError: If it holds a label that was not linked.
    """
    for label in (labels.min(initial=0), labels.max(initial=0)):
        if not 0 <= label <= len(tracks):
            raise ValueError(f"labels hold {label}, but tracks has shape {tracks.shape}")
    if not tracks[np.setdiff1d(labels, 0) - 1].all():
        raise ValueError("labels hold a label that has no track; give the images that were linked")
    return np.concatenate([[0], tracks]).astype(np.int32)[labels]


class _Nodes(NamedTuple):
    """The instances of all frames, numbered through the whole movie."""

    frame: Int[np.ndarray, " instance"]
    centroid: Float[np.ndarray, "instance 2"]
    area: Float[np.ndarray, " instance"]
    source: Int[np.ndarray, " instance"]
    divisions: Candidates
    merges: Candidates


def _flatten(frames: Sequence[FrameInstances]) -> _Nodes:
    """Numbers the instances through the whole movie instead of within their frames."""
    counts = [len(frame.area) for frame in frames]
    first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    before = first[:-1] - np.array([0, *counts[:-1]])[: len(counts)]

    def shifted(candidates: list[Candidates]) -> Candidates:
        parts = [
            Candidates(part.earlier + earlier, part.later + later, part.cost)
            for part, earlier, later in zip(candidates, before, first)
        ]
        return Candidates(*(np.concatenate(column) for column in zip(NO_CANDIDATES, *parts)))

    return _Nodes(
        frame=np.repeat(np.arange(len(frames)), counts),
        centroid=np.concatenate([np.zeros((0, 2)), *(frame.centroid for frame in frames)]),
        area=np.concatenate([np.zeros(0), *(frame.area for frame in frames)]),
        source=np.concatenate(
            [
                np.zeros(0, np.int64),
                *(np.where(frame.source < 0, -1, frame.source + at) for frame, at in zip(frames, before)),
            ]
        ),
        divisions=shifted([frame.divisions for frame in frames]),
        merges=shifted([frame.merges for frame in frames]),
    )
