"""Matching of detected and annotated points within a radius.

Points are (y, x) in pixels. Two ways to pair them: the one-to-one rule of Koyuncu et al.,
*DeepDistance*, 2020 (Section 4.2), and an optimal assignment. Both return :class:`PointMatches`, whose
``counts`` have precision, recall and F-score.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics.counts import Counts
from cellmotion_jax.metrics.matching import cheapest_largest_matching
from cellmotion_jax.ops.arguments import Number
from cellmotion_jax.ops.host_arguments import host_floats, one_number


class PointMatches(NamedTuple):
    """Pairs of detections and markers, by their indices in the given arrays."""

    detection: Int[np.ndarray, " pair"]
    """Indices of the detections that are true positives."""
    marker: Int[np.ndarray, " pair"]
    """The marker of each of them."""
    false_detection: Int[np.ndarray, " false"]
    """Detections without a marker, ascending."""
    missed_marker: Int[np.ndarray, " missed"]
    """Markers without a detection, ascending."""

    @property
    def counts(self) -> Counts:
        """The numbers of pairs, of false detections and of missed markers."""
        columns = self.detection, self.false_detection, self.missed_marker
        return Counts(*(np.array(column.size) for column in columns))


def one_to_one_matches(
    detections: Number[ArrayLike, "..."] | Sequence,
    markers: Number[ArrayLike, "..."] | Sequence,
    *,
    radius: Number[ArrayLike, ""],
) -> PointMatches:
    """Matches points by the paper's rule: a pair counts if each is the only one near the other.

    A detection is a true positive if exactly one marker is less than ``radius`` away from it, and it is
    the only detection less than ``radius`` away from that marker. Two detections on one marker are both
    false, and the marker is missed; so the rule depends on the radius in both directions, and where cells
    are denser than the radius it fails good detections that :func:`optimal_matches` accepts.

    Args:
        detections: Centres of detected cells [n, 2], (y, x).
        markers: Annotated centres [m, 2], (y, x).
        radius: Pixels, 30 in the paper; a distance of exactly this is not a match.

    Returns:
        The pairs, in the order of the detections, and the rest of both.

    Raises:
        ValueError: If the points are not of shape [n, 2].
        InputError: If a point is not finite or the radius not positive.

    >>> found, true = np.array([[5, 5], [20, 20], [22, 20]]), np.array([[6, 5], [21, 20]])
    >>> one_to_one_matches(found, true, radius=5.0).detection.tolist()
    [0]
    """
    detections, markers = _points("detections", detections), _points("markers", markers)
    detection, marker, _ = _within(detections, markers, radius)
    only = (np.bincount(detection, minlength=len(detections))[detection] == 1) & (
        np.bincount(marker, minlength=len(markers))[marker] == 1
    )
    return _matches(detection[only], marker[only], len(detections), len(markers))


def optimal_matches(
    detections: Number[ArrayLike, "..."] | Sequence,
    markers: Number[ArrayLike, "..."] | Sequence,
    *,
    radius: Number[ArrayLike, ""],
) -> PointMatches:
    """Matches as many points less than ``radius`` apart as possible, with the smallest sum of distances.

    Two detections on one marker are one true and one false positive. There are never fewer true positives
    than by :func:`one_to_one_matches`.

    Args:
        detections: Centres of detected cells [n, 2], (y, x).
        markers: Annotated centres [m, 2], (y, x).
        radius: Pixels; a distance of exactly this is no match.

    Returns:
        The pairs, in the order of the detections, and the rest of both.

    Raises:
        ValueError: If the points are not of shape [n, 2].
        InputError: If a point is not finite or the radius not positive.

    >>> found, true = np.array([[5, 5], [20, 20], [22, 20]]), np.array([[6, 5], [21, 21]])
    >>> optimal_matches(found, true, radius=5.0).detection.tolist()
    [0, 1]
    """
    detections, markers = _points("detections", detections), _points("markers", markers)
    detection, marker, distance = _within(detections, markers, radius)
    chosen = cheapest_largest_matching(detection, marker, distance)
    return _matches(detection[chosen], marker[chosen], len(detections), len(markers))


def _points(name: str, points: Number[ArrayLike, "..."] | Sequence) -> Float[np.ndarray, "point 2"]:
    """Finite points in double precision; none of them if nothing is given."""
    points = host_floats(name, points)
    if points.shape == (0,):
        return points.reshape(0, 2)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"{name} must be points [n, 2] of (y, x), got shape {points.shape}")
    if not np.isfinite(points).all():
        raise InputError(f"{name} must be finite; point {np.argwhere(~np.isfinite(points))[0, 0]} is not")
    return points


def _within(
    detections: Float[np.ndarray, "detection 2"],
    markers: Float[np.ndarray, "marker 2"],
    radius: Number[ArrayLike, ""],
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"], Float[np.ndarray, " pair"]]:
    """All pairs less than ``radius`` apart, by detection, and their distances."""
    radius = one_number("radius", radius)
    if not radius > 0:
        raise InputError(f"radius must be positive, got {radius:g}")
    near = KDTree(detections).sparse_distance_matrix(KDTree(markers), radius, output_type="ndarray")
    near = np.sort(near[near["v"] < radius], order=["i", "j"])
    return near["i"], near["j"], near["v"]


def _matches(
    detection: Int[np.ndarray, " pair"], marker: Int[np.ndarray, " pair"], detections: int, markers: int
) -> PointMatches:
    return PointMatches(
        detection=detection,
        marker=marker,
        false_detection=np.setdiff1d(np.arange(detections), detection),
        missed_marker=np.setdiff1d(np.arange(markers), marker),
    )
