"""Collection of the tracker's observations of a movie into one table in image pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int

from cellmotion_jax.methods.celltrack.grid import points_from_grid
from cellmotion_jax.methods.celltrack.seeds import Seeds
from cellmotion_jax.methods.celltrack.tracks import Tracks
from cellmotion_jax.tracking import Observation

KEPT = ("identity", "position", "scale", "peak_response", "psr", "entropy", "confidence", "lost", "parent")


class TrackRecorder:
    """Collects the observations of the tracks of all frames; empty slots are not stored."""

    def __init__(self, *, shape: tuple[int, int], zoom: float, diameter: float) -> None:
        """Starts without records.

        Args:
            shape: Size (y, x) of the frames in pixels.
            zoom: Grid pixels per pixel.
            diameter: Of cells that had no mask where they began, in pixels.
        """
        self._shape, self._zoom, self._half = shape, zoom, np.float32(diameter / 2)
        self._begun: list[Seeds] = []
        self._parts: list[dict[str, np.ndarray]] = []

    def begin(self, seeds: Seeds) -> None:
        """Adds cells whose tracks will be observed."""
        self._begun.append(seeds)

    def add(self, first: int, observation: Observation) -> None:
        """Adds the observations of some frames.

        Args:
            first: Number of the first frame.
            observation: Observations as NumPy arrays, with the leading axes ``frame slot``.
        """
        frame, slot = np.nonzero(observation.identity)
        rows = {name: np.asarray(getattr(observation, name))[frame, slot] for name in KEPT}
        self._parts.append({"frame": first + frame} | rows)

    def wait(
        self, frame: int, identity: Int[np.ndarray, " cell"], position: Float32[np.ndarray, "cell 2"]
    ) -> None:
        """Adds cells that begin in a frame without information: they are at their places, and not seen.

        Args:
            frame: Number of the frame.
            identity: Ids of the cells.
            position: Places (y, x) in grid pixels.
        """
        count = len(identity)
        unknown = np.full(count, np.nan, np.float32)
        self._parts.append(
            {
                "frame": np.full(count, frame),
                "identity": np.asarray(identity, np.int32),
                "position": np.asarray(position, np.float32),
                "scale": np.ones(count, np.float32),
                "peak_response": unknown,
                "psr": unknown,
                "entropy": unknown,
                "confidence": np.ones(count, np.float32),
                "lost": np.ones(count, bool),
                "parent": np.zeros(count, np.int32),
            }
        )

    def tracks(self, frames: int) -> Tracks:
        """The table of all observations.

        Args:
            frames: Length of the movie.

        Returns:
            The tracks, ordered by first frame, those of one frame in the order in which they were added.
        """
        ids = np.concatenate([seeds.ids for seeds in self._begun])
        order = np.argsort(np.concatenate([seeds.frame for seeds in self._begun]), kind="stable")
        corners = np.concatenate([self._corners(seeds) for seeds in self._begun])[order]
        ids = ids[order]
        rows = {name: np.concatenate([part[name] for part in self._parts]) for name in ("frame", *KEPT)}
        by_id = np.argsort(ids)
        at = rows["frame"], by_id[np.searchsorted(ids, rows["identity"], sorter=by_id)]
        points = points_from_grid(rows["position"], shape=self._shape, zoom=self._zoom)
        boxes = np.tile(points + 0.5, 2) + rows["scale"][:, None] * corners[at[1]]
        parents: Int[np.ndarray, " track"] = np.zeros(len(ids), np.int64)
        np.maximum.at(parents, at[1], rows["parent"])

        def column(values: np.ndarray, fill: float | bool = np.nan) -> np.ndarray:
            whole = np.full((frames, len(ids), *values.shape[1:]), fill, values.dtype)
            whole[at] = values
            return whole

        return Tracks(
            ids=ids,
            points=column(points),
            present=column(np.ones(len(points), bool), fill=False),
            lost=column(rows["lost"], fill=False),
            psr=column(rows["psr"]),
            entropy=column(rows["entropy"]),
            peak_response=column(rows["peak_response"]),
            confidence=column(rows["confidence"]),
            boxes=column(boxes.astype(np.float32)),
            parents=parents,
        )

    def _corners(self, seeds: Seeds) -> Float32[np.ndarray, "cell 4"]:
        """Corners of the boxes relative to the points, in the half-open convention of boxes."""
        from_masks = seeds.boxes - np.tile(seeds.points + 0.5, 2)
        square = self._half * np.array([-1, -1, 1, 1], np.float32)
        return np.where(np.isnan(from_masks), square, from_masks).astype(np.float32)
