"""What trained feature nets reach: classes of pixels, and nuclei found and outlined in whole images."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tqdm
from jaxtyping import Float32, UInt8

from cellmotion_jax.data.annotated import AnnotatedImage, shrink_labels
from cellmotion_jax.data.pixel_classes import CLASSES, pixel_classes
from cellmotion_jax.inference.cells import enlarge_labels
from cellmotion_jax.inference.deepcell import (
    DeepCellEnsemble,
    NucleiSettings,
    find_nuclei,
    label_nuclei,
    predict_probabilities,
)
from cellmotion_jax.metrics import Counts, PointMatches, one_to_one_matches, segmentation_counts, total_counts
from cellmotion_jax.models.feature_net import INTERIOR
from cellmotion_jax.morphology import centroid_pixels
from cellmotion_jax.training.distance_evaluation import annotated_points, known_cells

SEEDS = (0.5, 0.7, 0.85, 0.95, 0.98)
"""Candidates for the probability from which on a piece is a nucleus."""
EXTENTS = (0.02, 0.05, 0.1, 0.25)
"""Candidates for the probability of the interior down to which nuclei grow, over their boundary."""


class ImageResult(NamedTuple):
    """How one image went."""

    image: AnnotatedImage
    matches: PointMatches
    """Centres of nuclei by the one-to-one rule of DeepDistance."""
    classes: dict[str, Counts]
    """Pixels of each class."""
    outlines: Counts
    """Nuclei, one count per threshold of IoU."""


class PartResult(NamedTuple):
    """How the images of one part went."""

    name: str
    radius: float
    """Pixels within which a nucleus and a marker match."""
    images: tuple[ImageResult, ...]

    def rows(self) -> dict[str, Counts]:
        """Sums over all images, by what is counted."""
        return {
            **{name: total_counts(image.classes[name] for image in self.images) for name in CLASSES},
            "one-to-one": total_counts(image.matches.counts for image in self.images),
            "outlines": total_counts(image.outlines for image in self.images),
        }


def choose_settings(
    ensemble: DeepCellEnsemble, settings: NucleiSettings, images: Sequence[AnnotatedImage]
) -> NucleiSettings:
    """The seed and extent with the highest AP at an IoU of 0.5 on validation images.

    Args:
        ensemble: Trained networks.
        settings: The other settings.
        images: Validation images.

    Returns:
        The settings with both chosen; of equals, the first.
    """
    pairs = [(seed, extent) for seed, extent in itertools.product(SEEDS, EXTENTS) if extent <= seed]
    candidates = [dataclasses.replace(settings, seed=seed, extent=extent) for seed, extent in pairs]
    counts: list[list[Counts]] = []
    for image in tqdm.tqdm(images, desc="choosing", unit="image", leave=False, disable=None):
        interior = predict_probabilities(ensemble, image.image(), settings=settings)[..., INTERIOR]
        truth, annotated = image.labels(), image.annotated()
        of_image = []
        for candidate in candidates:
            labels = enlarge_labels(label_nuclei(interior, settings=candidate), settings.shrink, truth.shape)
            of_image.append(segmentation_counts(known_cells(labels, annotated), truth, thresholds=[0.5]))
        counts.append(of_image)
    scores = [float(total_counts(column).average_precision[0]) for column in zip(*counts)]
    return candidates[int(np.argmax(scores))]


def evaluate_part(
    ensemble: DeepCellEnsemble,
    settings: NucleiSettings,
    name: str,
    images: Sequence[AnnotatedImage],
    *,
    width: float,
    radius: float,
) -> PartResult:
    """Finds the nuclei of all images of a part and holds them against what is annotated.

    Args:
        ensemble: Trained networks.
        settings: With what nuclei are found.
        name: Of the part.
        images: The images.
        width: Of the boundary, in shrunken pixels.
        radius: Pixels within which a nucleus and a marker match.

    Returns:
        The result of every image.
    """
    results = []
    for image in tqdm.tqdm(images, desc=name, unit="image", leave=False, disable=None):
        truth, annotated = image.labels(), image.annotated()
        nuclei = find_nuclei(ensemble, image.image(), settings=settings)
        points = annotated_points(nuclei.points, annotated)
        classes = pixel_classes(shrink_labels(truth, settings.shrink), width=width)
        known = shrink_labels(annotated, settings.shrink)
        results.append(
            ImageResult(
                image=image,
                matches=one_to_one_matches(points, centroid_pixels(truth), radius=radius),
                classes=class_counts(nuclei.probabilities[known], classes[known]),
                outlines=segmentation_counts(known_cells(nuclei.labels, annotated), truth),
            )
        )
    return PartResult(name, radius, tuple(results))


def class_counts(
    probabilities: Float32[np.ndarray, "pixel class"], classes: UInt8[np.ndarray, " pixel"]
) -> dict[str, Counts]:
    """Pixels of each class that were taken for it, wrongly taken for it, and not taken for it.

    Args:
        probabilities: Of the classes; the most likely one is the prediction.
        classes: The true ones.

    Returns:
        Counts by the name of the class.
    """
    predicted = np.argmax(probabilities, axis=-1)
    counts = {}
    for name, number in CLASSES.items():
        said, true = predicted == number, classes == number
        counts[name] = Counts(*(np.array(np.sum(it)) for it in (said & true, said & ~true, true & ~said)))
    return counts
