"""Tracked cells as a graph: nodes are cells in a frame, edges their links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int

from cellmotion_jax.errors import InputError
from cellmotion_jax.ops.host_arguments import host_int64


@runtime_checkable
class Lineage(Protocol):
    """Tracks as four columns, one row per track, as `data.track_table.TrackTable` holds them."""

    @property
    def label(self) -> Int[np.ndarray, " track"]:
        """Label of the track in every frame of its span; at least 1, and none twice."""
        ...

    @property
    def begin(self) -> Int[np.ndarray, " track"]:
        """First frame."""
        ...

    @property
    def end(self) -> Int[np.ndarray, " track"]:
        """Last frame, inclusive."""
        ...

    @property
    def parent(self) -> Int[np.ndarray, " track"]:
        """Label of the track that it continues or was born from, 0 for none."""
        ...


class TrackColumns(NamedTuple):
    """A lineage whose columns are arrays of int64."""

    label: Int[np.ndarray, " track"]
    begin: Int[np.ndarray, " track"]
    end: Int[np.ndarray, " track"]
    parent: Int[np.ndarray, " track"]


def track_columns(tracks: Lineage, *, name: str) -> TrackColumns:
    """Reads the columns of a table of tracks.

    Args:
        tracks: The table; its columns may be lists.
        name: Name of the result or reference in error messages.

    Returns:
        The columns.

    Raises:
        TypeError: If it is no such table, or a column holds no numbers.
        ValueError: If the columns differ in length or hold a number that is not whole.
    """
    if not isinstance(tracks, Lineage):
        raise TypeError(
            f"{name} tracks must have the columns label, begin, end and parent, got {type(tracks).__name__}; "
            "make a data.track_table.TrackTable(label, begin, end, parent) of them"
        )
    columns = TrackColumns(
        *(
            host_int64(f"{column} of the {name} tracks", getattr(tracks, column), "track")
            for column in TrackColumns._fields
        )
    )
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(f"{len(numbers)} of {column}" for column, numbers in columns._asdict().items())
        raise ValueError(f"{name} tracks must have columns of equal length, got {lengths}")
    return columns


class TrackNodes(NamedTuple):
    """Nodes: one per cell and frame."""

    label: Int[np.ndarray, " node"]
    """Label of each node, frame by frame."""
    frame: Int[np.ndarray, " node"]
    """Frame of each node, ascending."""
    tracks: Int[np.ndarray, " track"]
    """Labels of all tracks, ascending."""
    stride: int
    """Number larger than the last frame plus one."""
    key: Int[np.ndarray, " node"]
    """Position of the track in ``tracks`` * stride + frame, ascending; the place of a node herein is its
    number."""

    def number(
        self, label: Int[np.ndarray, " asked"], frame: Int[np.ndarray, " asked"]
    ) -> Int[np.ndarray, " asked"]:
        """Index of the node of each label and frame, -1 if there is none."""
        return _position(self.key, _position(self.tracks, label) * self.stride + frame)


class TrackEdges(NamedTuple):
    """Links between nodes, by their numbers; no two are the same."""

    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    is_parent_link: Bool[np.ndarray, " edge"]
    """Whether the link connects a parent with a child; otherwise it is a link within a track."""


def track_nodes(
    labels: Sequence[Int[np.ndarray, " _"]], tracks: Lineage, first_frame: int, *, name: str
) -> TrackNodes:
    """Numbers the cells of consecutive frames.

    Args:
        labels: Labels in each frame, none twice.
        tracks: Table of the tracks.
        first_frame: Number of the first frame, in the table's count.
        name: Name of the result or reference in error messages.

    Returns:
        The nodes.

    Raises:
        InputError: If the table has a label twice or an impossible span, or a frame has a label that the
            table does not let live there.
    """
    order = np.argsort(tracks.label)
    known, begin, end = tracks.label[order], tracks.begin[order], tracks.end[order]
    if (twice := known[1:][known[1:] == known[:-1]]).size:
        raise InputError(f"{name} tracks list label {twice[0]} twice; a label is one track.")
    if (odd := np.flatnonzero((begin < 0) | (begin > end))).size:
        raise InputError(
            f"{name} tracks let track {known[odd[0]]} last from frame {begin[odd[0]]} to {end[odd[0]]}."
        )
    label = np.concatenate([np.zeros(0, np.int64), *labels])
    frame = np.repeat(np.arange(len(labels)), [len(column) for column in labels]) + first_frame
    row = _position(known, label)
    alive = row >= 0
    alive[alive] = (begin[row[alive]] <= frame[alive]) & (frame[alive] <= end[row[alive]])
    if not alive.all():
        raise InputError(
            f"{name} frame {frame[~alive][0]} holds label {label[~alive][0]}, which the {name} tracks do not "
            "let live there."
        )
    # So that the last node of a track and the first of the next are not neighbours.
    stride = int(end.max(initial=0)) + 2
    return TrackNodes(label, frame, known, stride, np.sort(row * stride + frame))


def track_edges(nodes: TrackNodes, tracks: Lineage) -> TrackEdges:
    """Links every node with that of the same track in the following frame, and parents with children.

    Args:
        nodes: The cells.
        tracks: The table that they were made with. A parent link joins the last node of the parent with the
            first of the child, however far apart; where either is absent, there is none.

    Returns:
        The links.

    Raises:
        InputError: If a parent is not listed.
    """
    following = np.flatnonzero(np.diff(nodes.key) == 1)
    child = np.flatnonzero(tracks.parent > 0)
    place = _position(nodes.tracks, tracks.parent[child])
    if (place < 0).any():
        orphan = child[place < 0][0]
        raise InputError(
            f"the tracks give track {tracks.label[orphan]} the parent {tracks.parent[orphan]}, which they do "
            "not list."
        )
    parent = np.argsort(tracks.label)[place]
    source = nodes.number(tracks.label[parent], tracks.end[parent])
    target = nodes.number(tracks.label[child], tracks.begin[child])
    present = (source >= 0) & (target >= 0)
    return TrackEdges(
        source=np.concatenate([following, source[present]]),
        target=np.concatenate([following + 1, target[present]]),
        is_parent_link=np.repeat([False, True], [len(following), int(present.sum())]),
    )


def _position(
    ascending: Int[np.ndarray, " known"], values: Int[np.ndarray, " value"]
) -> Int[np.ndarray, " value"]:
    """Index of each value, -1 if it is absent."""
    if not len(ascending):
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.where(ascending[place] == values, place, -1)
