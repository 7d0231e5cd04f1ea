"""Reference trajectories of the cells of an annotated movie, against which tracks are evaluated."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float32, Int
from tqdm import tqdm

from cellmotion_jax.data.centroids import frame_centroids
from cellmotion_jax.data.ctc import CtcSequence
from cellmotion_jax.morphology.fragments import without_fragments
from cellmotion_jax.ops.labels import tight_boxes


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectories:
    """Reference tracks over all frames of a movie, one column per cell, in the order of the track table.

    Attributes:
        labels: Id of each cell's track.
        points: Area centroids (y, x), in pixels; NaN outside the span of the track.
        boxes: Tight boxes of the masks (y0, x0, y1, x1), half-open; NaN outside the span. If a mask is only a
            marker, it is the box of the marker.
        begin: First frame of each track.
        end: Last frame of each track, inclusive.
        parent: Id of the track that each one continues or was born from, 0 for none.
    """

    labels: Int[np.ndarray, " cell"]
    points: Float32[np.ndarray, "frame cell 2"]
    boxes: Float32[np.ndarray, "frame cell 4"]
    begin: Int[np.ndarray, " cell"]
    end: Int[np.ndarray, " cell"]
    parent: Int[np.ndarray, " cell"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def present(self) -> Bool[np.ndarray, "frame cell"]:
        """Whether a cell is within the span of its track."""
        frame = np.arange(len(self.points))[:, None]
        return (self.begin <= frame) & (frame <= self.end)

    def of_first_frame(self) -> Trajectories:
        """The tracks that begin in frame 0, which a tracker without births can follow."""
        return self.select(np.flatnonzero(self.begin == 0))

    def select(self, cells: Int[np.ndarray, " chosen"]) -> Trajectories:
        """A subset of the cells, by their indices."""
        return Trajectories(
            labels=self.labels[cells],
            points=self.points[:, cells],
            boxes=self.boxes[:, cells],
            begin=self.begin[cells],
            end=self.end[cells],
            parent=self.parent[cells],
        )


def read_trajectories(sequence: CtcSequence) -> Trajectories:
    """Centroids and boxes of all tracking masks of a movie; every mask is read once.

    Stray pixels of a label widen no box (`morphology.fragments.without_fragments`).

    Args:
        sequence: An annotated movie.

    Returns:
        Every track of its table.

    Raises:
        InputError: If a label is absent from a frame of its span or present outside of it.
    """
    tracks, masks = sequence.tracks, sequence.tracking_masks
    points = np.full((len(masks), len(tracks), 2), np.nan, np.float32)
    boxes = np.full((len(masks), len(tracks), 4), np.nan, np.float32)
    order = np.argsort(tracks.label)
    for frame in tqdm(range(len(masks)), desc=f"masks of {sequence.name}", disable=None, leave=False):
        mask = masks[frame]
        source = str(masks.path / masks.frame_names[frame])
        found = frame_centroids(frame, mask, tracks, source=source)
        column = order[np.searchsorted(tracks.label, found.label, sorter=order)]
        points[frame, column] = np.stack([found.y, found.x], axis=-1)
        boxes[frame, column] = tight_boxes(without_fragments(mask), found.label)
    return Trajectories(tracks.label, points, boxes, tracks.begin, tracks.end, tracks.parent)
