"""Motion of tracked cells: speed, heading, turning angle and persistence from their positions."""

from __future__ import annotations

import dataclasses
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from cellmotion_jax.ops.angles import heading, signed_difference
from cellmotion_jax.settings import Count, NotNegative, Range, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class MotionSettings(Settings):
    """Settings of the measurement of motion."""

    step_frames: Count = 1
    """Number of frames of a step; more frames reduce the noise of centroids from changes of the outline."""
    persistence_frames: Annotated[int, Range(2, 10**6)] = 8
    """Number of frames over which persistence is measured."""
    shortest_step: NotNegative = 0.5
    """Smallest length in pixels of a step that has a heading."""


class Motion(NamedTuple):
    """Motion of cells, one row per cell and frame; NaN where a track has too few earlier frames."""

    speed: Float[np.ndarray, " row"]
    """Length of the step into the frame divided by its duration, in pixels per frame."""
    heading: Float[np.ndarray, " row"]
    """Direction of that step, radians in [0, 2 pi), counter-clockwise from +x, y up; NaN for a short one."""
    turning: Float[np.ndarray, " row"]
    """Angle from the heading of the previous step to this one, radians in [-pi, pi), positive
    counter-clockwise."""
    persistence: Float[np.ndarray, " row"]
    """Ratio of net displacement to path length over the last frames, in [0, 1]; NaN for a cell that did not
    move."""


def cell_motion(
    track: Integer[np.ndarray, " row"],
    frame: Integer[np.ndarray, "..."],
    points: Float[np.ndarray, "..."],
    *,
    settings: MotionSettings = MotionSettings(),
) -> Motion:
    r"""Measures the motion of every cell up to every frame.

    With the place :math:`p_t` of a track, a step of :math:`w` frames and a persistence of :math:`n` frames,

    .. math:: v_t = \frac{|p_t - p_{t-w}|}{w}, \quad \alpha_t = \mathrm{heading}(p_t - p_{t-w}), \quad
       \tau_t = \alpha_t - \alpha_{t-w}, \quad
       \rho_t = \frac{|p_t - p_{t-n}|}{\sum_{k=0}^{n-1} |p_{t-k} - p_{t-k-1}|}.

    The persistence is also called straightness or directionality ratio (Gorelik and Gautreau 2014); it
    depends on :math:`n`, which is therefore the same for all tracks and not their lengths. Only places of the
    same track are compared: a daughter, or a cell after a gap, begins anew.

    Args:
        track: Track of every row.
        frame: Frame of each row; a track has at most one row per frame.
        points: Position (y, x) of each row in pixels.
        settings: Settings of the measurement.

    Returns:
        A row for every row, in the same order.

    Raises:
        ValueError: If the shapes differ or a track has a frame twice.

    References:
        Gorelik and Gautreau, Quantitative and unbiased analysis of directional persistence in cell migration,
        Nature Protocols 9, 2014.
    """
    if frame.shape != track.shape or points.shape != (*track.shape, 2):
        raise ValueError(
            f"track has shape {track.shape}, frame {frame.shape} and points {points.shape}; "
            "there is one (y, x) per row"
        )
    order = np.lexsort((frame, track))
    track, frame, points = track[order], frame[order], points[order].astype(float)
    if ((track[1:] == track[:-1]) & (frame[1:] == frame[:-1])).any():
        raise ValueError("a track has a frame twice")

    wide, long = settings.step_frames, settings.persistence_frames
    step = points - _earlier(points, wide, track, frame)
    length = np.linalg.norm(step, axis=-1)
    is_clear = length >= max(settings.shortest_step, np.finfo(float).tiny)
    direction = np.where(is_clear, np.asarray(heading(step), float), np.nan)
    before = _earlier(direction, wide, track, frame)

    single = np.linalg.norm(points - _earlier(points, 1, track, frame), axis=-1)
    path = np.cumsum(np.nan_to_num(single))
    # Within a track the steps since an earlier frame are the difference of two running sums.
    way = path - _earlier(path, long, track, frame)
    net = np.linalg.norm(points - _earlier(points, long, track, frame), axis=-1)
    # In a running sum over all tracks rounding is relative to the whole of it.
    moved = way > 1e-9 * max(1.0, path[-1] if len(path) else 0.0)
    persistence = np.divide(net, way, out=np.full(len(way), np.nan), where=moved)

    back = np.argsort(order)
    return Motion(
        speed=(length / wide)[back],
        heading=direction[back],
        turning=np.asarray(signed_difference(direction, before), float)[back],
        persistence=np.minimum(persistence, 1)[back],
    )


def _earlier(
    values: Float[np.ndarray, "row ..."],
    lag: int,
    track: Integer[np.ndarray, " row"],
    frame: Integer[np.ndarray, " row"],
) -> Float[np.ndarray, "row ..."]:
    """Values of the same track some frames earlier, without a gap in between; NaN if there are none.

    Rows are ordered by track, then by frame.
    """
    found = np.full_like(values, np.nan)
    row: Int[np.ndarray, " later"] = np.arange(lag, len(track))
    is_same: Bool[np.ndarray, " later"] = (track[row] == track[row - lag]) & (
        frame[row] == frame[row - lag] + lag
    )
    found[row[is_same]] = values[row[is_same] - lag]
    return found
