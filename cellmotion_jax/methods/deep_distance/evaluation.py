"""Evaluation of DeepDistance networks: detections and outlines in whole images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tqdm
from jaxtyping import Bool, Int

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.data.downsampling import image_points
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.deep_distance.cells import find_cells, predict_maps
from cellmotion_jax.methods.deep_distance.detection import detect_cells
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel
from cellmotion_jax.metrics import (
    Counts,
    PointMatches,
    one_to_one_matches,
    optimal_matches,
    segmentation_counts,
    total_counts,
)
from cellmotion_jax.metrics.annotation import annotated_points, known_cells
from cellmotion_jax.models.deep_distance import DistanceMaps, Task
from cellmotion_jax.morphology import centroid_pixels

HEIGHTS = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Candidates for h; the paper's are 0.1, 0.2, 0.3, 0.4 and 0.5 (Section 4.3)."""
AREAS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
"""Candidates for the smallest area of MultiClassificationBoundary, as shares of a disc of median diameter."""


class ImageResult(NamedTuple):
    """Result of one image."""

    image: AnnotatedImage
    matches: PointMatches
    """Matches of detections and markers by the paper's one-to-one rule."""
    counts: Mapping[str, Counts]
    """Counts of detections under ``one-to-one`` and ``optimal``, and of outlines, if there are any, under
    ``outlines``, one per threshold of IoU."""


class PartResult(NamedTuple):
    """Results of the images of one part."""

    name: str
    model: DeepDistanceModel
    """The model with the parameters used."""
    radius: float
    """Pixels within which a detection and a marker match."""
    images: tuple[ImageResult, ...]
    f_by_parameter: tuple[float, ...]
    """F-score by the one-to-one rule for every candidate of the detection parameter."""

    def counts(self, rule: str) -> Counts:
        """Counts of all images together."""
        return total_counts(result.counts[rule] for result in self.images)


def candidates(model: DeepDistanceModel) -> dict[float, DeepDistanceModel]:
    """The model with every candidate value of its free parameter (Sections 4.3 and 4.4).

    The parameter is the height h, or, for the model with a boundary map, the smallest area.
    """
    if Task.boundary in model.network.tasks:
        disc = np.pi / 4 * model.cell_diameter**2
        areas = [max(1, round(share * disc)) for share in AREAS]
        return {float(area): dataclasses.replace(model, area_threshold=area) for area in areas}
    return {
        h: dataclasses.replace(model, detection=dataclasses.replace(model.detection, h=h)) for h in HEIGHTS
    }


def choose_parameter(
    model: DeepDistanceModel, images: Sequence[AnnotatedImage], *, radius: float, tiling: Tiling
) -> tuple[float, DeepDistanceModel]:
    """The candidate with the highest F-score on validation images; of equal ones, the middle one.

    Args:
        model: Trained network.
        images: Validation images.
        radius: Pixels within which a detection and a marker match.
        tiling: Tiling of the images.

    Returns:
        The parameter and the model with it.
    """
    counts: list[list[Counts]] = []
    for image in tqdm.tqdm(images, desc="choosing", unit="image", leave=False, disable=None):
        maps = predict_maps(model, image.image(), tiling=tiling)
        labels, annotated = image.annotation()
        counts.append(_counts_by_parameter(model, maps, centroid_pixels(labels), annotated, radius=radius))
    scores = np.array(_scores(counts))
    best = np.flatnonzero(scores == scores.max())
    return list(candidates(model).items())[best[len(best) // 2]]


def evaluate_part(
    model: DeepDistanceModel, name: str, images: Sequence[AnnotatedImage], *, radius: float, tiling: Tiling
) -> PartResult:
    """Finds the cells of all images of a part and compares them with the annotation.

    Detections on pixels that are not annotated are ignored.

    Args:
        model: Trained network with its chosen parameter.
        name: Name of the part, for tables and the progress bar.
        images: The images.
        radius: Pixels within which a detection and a marker match.
        tiling: Tiling of the images.

    Returns:
        The result of every image.
    """
    results: list[ImageResult] = []
    by_parameter: list[list[Counts]] = []
    for image in tqdm.tqdm(images, desc=name, unit="image", leave=False, disable=None):
        labels, annotated = image.annotation()
        markers = centroid_pixels(labels)
        cells = find_cells(model, image.image(), segment=model.can_segment, tiling=tiling)
        points = annotated_points(cells.points, annotated)
        matches = one_to_one_matches(points, markers, radius=radius)
        counts = {
            "one-to-one": matches.counts,
            "optimal": optimal_matches(points, markers, radius=radius).counts,
        }
        if cells.labels is not None:
            # A predicted cell of which less than half lies where something is known is not judged.
            judged = known_cells(cells.labels, annotated)
            counts["outlines"] = segmentation_counts(judged, labels)
        results.append(ImageResult(image, matches, counts))
        by_parameter.append(_counts_by_parameter(model, cells.maps, markers, annotated, radius=radius))
    return PartResult(name, model, radius, tuple(results), _scores(by_parameter))


def _counts_by_parameter(
    model: DeepDistanceModel,
    maps: DistanceMaps,
    markers: Int[np.ndarray, "marker 2"],
    annotated: Bool[np.ndarray, "y x"],
    *,
    radius: float,
) -> list[Counts]:
    """One-to-one counts of an image for every candidate, all from the same maps."""
    counts = []
    for variant in candidates(model).values():
        found = detect_cells(maps, settings=variant.detection, area_threshold=variant.area_threshold)
        points = annotated_points(image_points(found.points, variant.downsample), annotated)
        counts.append(one_to_one_matches(points, markers, radius=radius).counts)
    return counts


def _scores(by_image: Sequence[Sequence[Counts]]) -> tuple[float, ...]:
    """F-score of all images together, for every candidate."""
    return tuple(float(total_counts(column).f_score) for column in zip(*by_image))
