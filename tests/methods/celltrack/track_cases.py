"""Tracks written down as places by frame."""

from collections.abc import Mapping

import numpy as np

from cellmotion_jax.methods.celltrack.tracks import Tracks


def tracks_of(
    paths: Mapping[int, Mapping[int, tuple[float, float]]],
    *,
    frames: int,
    parents: Mapping[int, int] | None = None,
) -> Tracks:
    """One track per path; boxes of 4 x 6 pixels, a PSR of 10 x label + frame, lost in odd frames."""
    shape = frames, len(paths)
    points = np.full((*shape, 2), np.nan, np.float32)
    for track, path in enumerate(paths.values()):
        for frame, place in path.items():
            points[frame, track] = place
    ids = np.array(list(paths), np.int64)
    present = np.isfinite(points).all(axis=-1)
    half = np.array([2, 3], np.float32)
    nothing = np.where(present, np.float32(0.5), np.float32(np.nan))
    frame = np.arange(frames, dtype=np.float32)[:, None]
    return Tracks(
        ids=ids,
        points=points,
        present=present,
        lost=present & (frame % 2 == 1),
        psr=np.where(present, 10 * ids + frame, np.nan).astype(np.float32),
        entropy=nothing,
        peak_response=nothing,
        confidence=nothing,
        boxes=np.concatenate([points - half, points + half], axis=-1),
        parents=np.array([(parents or {}).get(label, 0) for label in paths], np.int64),
    )
