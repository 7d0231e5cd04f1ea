"""Detection of cells as peaks of a distance map or components of a classification map (Koyuncu 2020)."""

from __future__ import annotations

import dataclasses
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32

from cellmotion_jax.models.deep_distance import DistanceMaps
from cellmotion_jax.ops.labels import number_cells
from cellmotion_jax.ops.peaks import h_maxima, label_components, peak_centroids
from cellmotion_jax.settings import NotNegative, OneOf, Positive, Settings

FEWEST_SLOTS = 1024  # For peaks; if there are more, the next power of two, so that few sizes are compiled.


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionSettings(Settings):
    """Settings of the detection of peaks."""

    h: Positive = 0.2
    """Height h of the h-maxima transform, in units of the map (Section 3.3)."""
    floor: NotNegative = 0.2
    """Smallest value of the top of a peak. The paper uses h only, which on a background of 0 has the same
    effect; where cells touch and a small h is best, this suppresses small peaks of the background."""
    connectivity: Annotated[int, OneOf((4, 8))] = 8
    """Number of neighbours of a pixel: 4 (shared side) or 8 (shared side or corner)."""


class Detections(NamedTuple):
    """Cells found in one map, the most certain first."""

    points: Float[np.ndarray, "cell 2"]
    """Centroids (y, x) in pixels of the map."""
    values: Float[np.ndarray, " cell"]
    """Largest value of the map on the peak, or on the component of a classification map."""
    markers: Int32[np.ndarray, "y x"]
    """Label i + 1 on the pixels of detection i, 0 elsewhere."""


def detect_cells(maps: DistanceMaps, *, settings: DetectionSettings, area_threshold: int) -> Detections:
    """Detects cells by the rule of the paper for the available maps (Sections 3.3 and 4.4).

    ==========================================================  =====================================
    DeepDistance, its extension, SingleInner and
    CascadedClassificationInner                                 peaks of the inner distance
    MultiClassificationBoundary                                 :func:`detect_components`
    SingleOuter                                                 peaks of the outer distance
    SingleClassification                                        peaks of the probability of a cell
    ==========================================================  =====================================

    Args:
        maps: Predicted maps of one image, ``[y x]`` each.
        settings: Settings for peaks.
        area_threshold: Smallest area for MultiClassificationBoundary.

    Returns:
        Detections.

    Raises:
        ValueError: If there is none of these maps.
    """
    if maps.inner is not None:
        return detect_peaks(np.asarray(maps.inner), settings=settings)
    if maps.classification is not None and maps.boundary is not None:
        return detect_components(
            np.asarray(maps.classification),
            np.asarray(maps.boundary),
            area_threshold=area_threshold,
            connectivity=settings.connectivity,
        )
    for peaked in (maps.outer, maps.classification):
        if peaked is not None:
            return detect_peaks(np.asarray(peaked), settings=settings)
    raise ValueError("maps hold neither inner, outer nor classification; cells cannot be told from these")


def detect_peaks(detection_map: Float[np.ndarray, "..."], *, settings: DetectionSettings) -> Detections:
    """The h-maxima of a map and their centroids (Section 3.3), found on the device.

    A peak whose top is not above ``h`` and above the floor is not a detection: since the background is 0, it
    cannot be higher than its surroundings by ``h``. This also removes the highest peak of an empty map, which
    the transform always keeps. One program is compiled for each size of maps.

    Args:
        detection_map: Map ``[y x]`` whose background is 0.
        settings: Height, floor and connectivity.

    Returns:
        One detection per peak, the highest first; equal ones in the order of their first pixels, row by row.

    Raises:
        ValueError: If the map is not of shape ``[y x]`` or holds no pixel.
    """
    on_device, connectivity = jnp.asarray(detection_map), settings.connectivity
    maxima = _h_maxima(on_device, settings.h, connectivity=connectivity)
    floor = max(settings.h, settings.floor)
    return _plateaus(on_device, maxima, floor=floor, connectivity=connectivity)


def detect_components(
    classification: Float[np.ndarray, "y x"],
    boundary: Float[np.ndarray, "..."],
    *,
    area_threshold: int,
    connectivity: int,
) -> Detections:
    """Connected components of cell pixels without the boundary: MultiClassificationBoundary of Section 4.4.

    The rule of Chen et al. (2017): both probabilities are thresholded at one half.

    Args:
        classification: Probability of a cell pixel.
        boundary: Probability of a pixel of a widened boundary.
        area_threshold: Smallest area of a cell in pixels; smaller components are noise.
        connectivity: 4 or 8.

    Returns:
        One detection per component, that with the largest probability first.

    Raises:
        ValueError: If the shapes differ.
    """
    if classification.shape != boundary.shape:
        raise ValueError(
            f"classification has shape {classification.shape}, but boundary has {boundary.shape}"
        )
    inside = (classification > 0.5) & ~(boundary > 0.5)
    pieces = number_cells(np.asarray(_label_components(jnp.asarray(inside), connectivity=connectivity)))
    large = np.bincount(pieces.number.ravel()) >= area_threshold
    cells = jnp.asarray(inside & large[pieces.number])
    return _plateaus(jnp.asarray(classification), cells, floor=0.5, connectivity=connectivity)


_h_maxima = jax.jit(h_maxima, static_argnames="connectivity")
_label_components = jax.jit(label_components, static_argnames="connectivity")
_peak_centroids = jax.jit(peak_centroids, static_argnames=("connectivity", "max_peaks"))


def _plateaus(
    image: Float[Array, "y x"], where: Bool[Array, "y x"], *, floor: float, connectivity: int
) -> Detections:
    """One detection for every connected component of a mask on which the map exceeds a floor."""
    peaks = _peak_centroids(image, where, connectivity=connectivity, max_peaks=FEWEST_SLOTS)
    if peaks.found > FEWEST_SLOTS:
        slots = 2 ** (int(peaks.found) - 1).bit_length()
        peaks = _peak_centroids(image, where, connectivity=connectivity, max_peaks=slots)
    points, values, valid, _ = jax.device_get(peaks)
    kept = int(np.count_nonzero(valid & (values > floor)))  # The first ones, since they are in order.

    # The same order again: by the tops, of equals that whose name, its first pixel, is the smaller.
    cells = number_cells(np.asarray(_label_components(where, connectivity=connectivity)), name="where")
    covered = cells.number > 0
    tops = np.full(len(cells.labels), -np.inf, image.dtype)
    np.maximum.at(tops, cells.number[covered], np.asarray(image)[covered])
    number_of = np.zeros(len(cells.labels), np.int32)
    number_of[1 + np.argsort(-tops[1:], kind="stable")[:kept]] = np.arange(1, kept + 1)
    return Detections(points[:kept], values[:kept], number_of[cells.number])
