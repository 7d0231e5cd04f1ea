"""Evaluation of feature nets: pixel classes, and detection and segmentation of nuclei in whole images."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tqdm
from jaxtyping import Float32, UInt8

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.data.downsampling import downsample_labels, upsample_labels
from cellmotion_jax.files import write_csv
from cellmotion_jax.methods.deepcell.nuclei import (
    DeepCellEnsemble,
    NucleiSettings,
    find_nuclei,
    label_nuclei,
    predict_probabilities,
)
from cellmotion_jax.methods.deepcell.pixel_classes import CLASSES, pixel_classes
from cellmotion_jax.metrics import (
    IOU_THRESHOLDS,
    Counts,
    PointMatches,
    one_to_one_matches,
    segmentation_counts,
    total_counts,
)
from cellmotion_jax.metrics.annotation import annotated_points, known_cells
from cellmotion_jax.models.feature_net import INTERIOR
from cellmotion_jax.morphology import centroid_pixels
from cellmotion_jax.report.cells import plot_cells
from cellmotion_jax.report.summary import write_summary

HEADER = ("network", "part", "what", "images", "TP", "FP", "FN", "precision", "recall", "F", "AP")
SEEDS = (0.5, 0.7, 0.85, 0.95, 0.98)
"""Candidates for the probability of the interior above which a component is a nucleus."""
EXTENTS = (0.02, 0.05, 0.1, 0.25)
"""Candidates for the probability of the interior down to which nuclei are grown into their boundary."""


class ImageResult(NamedTuple):
    """Result of one image."""

    image: AnnotatedImage
    matches: PointMatches
    """Matches of the centres of nuclei by the one-to-one rule of DeepDistance."""
    classes: dict[str, Counts]
    """Pixel counts of each class."""
    outlines: Counts
    """Counts of segmented nuclei, one per threshold of IoU."""


class PartResult(NamedTuple):
    """Results of the images of one part."""

    name: str
    radius: float
    """Pixels within which a nucleus and a marker match."""
    images: tuple[ImageResult, ...]

    def rows(self) -> dict[str, Counts]:
        """Sums of the counts over all images, by name."""
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
        The settings with both values; of equal ones, the first.
    """
    pairs = [(seed, extent) for seed, extent in itertools.product(SEEDS, EXTENTS) if extent <= seed]
    candidates = [dataclasses.replace(settings, seed=seed, extent=extent) for seed, extent in pairs]
    counts: list[list[Counts]] = []
    for image in tqdm.tqdm(images, desc="choosing", unit="image", leave=False, disable=None):
        interior = predict_probabilities(ensemble, image.image(), settings=settings)[..., INTERIOR]
        truth, annotated = image.annotation()
        of_image = []
        for candidate in candidates:
            labels = upsample_labels(
                label_nuclei(interior, settings=candidate), settings.downsample, truth.shape
            )
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
    """Finds the nuclei of all images of a part and compares them with the annotation.

    Args:
        ensemble: Trained networks.
        settings: Settings of the segmentation.
        name: Name of the part.
        images: The images.
        width: Width of the boundary, in downsampled pixels.
        radius: Pixels within which a nucleus and a marker match.

    Returns:
        The result of every image.
    """
    results = []
    for image in tqdm.tqdm(images, desc=name, unit="image", leave=False, disable=None):
        truth, annotated = image.annotation()
        nuclei = find_nuclei(ensemble, image.image(), settings=settings)
        points = annotated_points(nuclei.points, annotated)
        classes = pixel_classes(downsample_labels(truth, settings.downsample), width=width)
        known = downsample_labels(annotated, settings.downsample)
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
    """True positive, false positive and false negative pixels of each class.

    Args:
        probabilities: Probabilities of the classes; the most likely one is the prediction.
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


def write_results(folder: pathlib.Path, results: Mapping[str, Sequence[PartResult]]) -> None:
    """Writes ``results.csv`` of all networks and parts, and prints the table.

    Args:
        folder: Folder of the experiment.
        results: Results of all parts, by the name of the network.
    """
    table = []
    names = "".join(f"{name:>12}" for name in CLASSES)
    lines = [f"{'F-score of':<25}{names}{'centres':>10}{'IoU 0.5':>10}{'AP50':>8}"]
    for network, parts in results.items():
        for part in parts:
            rows = part.rows()
            for what, counts in rows.items():
                columns = (*counts, counts.precision, counts.recall, counts.f_score, counts.average_precision)
                for index, values in enumerate(zip(*(np.atleast_1d(column) for column in columns))):
                    named = f"{what}, IoU {IOU_THRESHOLDS[index]:g}" if what == "outlines" else what
                    numbers = [f"{it:.0f}" for it in values[:3]] + [f"{it:.4f}" for it in values[3:]]
                    table.append((network, part.name, named, len(part.images), *numbers))
            pixels = "".join(f"{float(rows[name].f_score):>12.3f}" for name in CLASSES)
            outlines = rows["outlines"]
            lines.append(
                f"{network:<14}{part.name:<11}{pixels}{float(rows['one-to-one'].f_score):>10.3f}"
                f"{float(outlines.f_score[0]):>10.3f}{float(outlines.average_precision[0]):>8.3f}"
            )
    write_csv(folder / "results.csv", HEADER, table)
    write_summary(folder, lines)
    print(f"Tables and pictures: {folder}")  # noqa: T201


def draw_results(
    folder: pathlib.Path, ensemble: DeepCellEnsemble, settings: NucleiSettings, parts: Sequence[PartResult]
) -> None:
    """Draws the worst and the typical image of every part with maps, nuclei and errors.

    Args:
        folder: Folder of the experiment.
        ensemble: The evaluated networks; the images are predicted again, since maps are not stored.
        settings: Settings of the segmentation.
        parts: Results of the networks.
    """
    for part in parts:
        order = np.argsort([float(it.outlines.f_score[0]) for it in part.images], kind="stable")
        for what, index in {"worst": order[0], "typical": order[len(order) // 2]}.items():
            image = part.images[index].image
            pixels, (labels, annotated) = image.image(), image.annotation()
            nuclei = find_nuclei(ensemble, pixels, settings=settings)
            points, markers = annotated_points(nuclei.points, annotated), centroid_pixels(labels)
            plot_cells(
                pixels,
                [(name, nuclei.probabilities[..., number]) for name, number in CLASSES.items()],
                points,
                one_to_one_matches(points, markers, radius=part.radius),
                markers,
                folder / f"nuclei-{part.name}-{what}.png",
                labels=known_cells(nuclei.labels, annotated),
                reference=labels,
                title=f"DeepCell: {image.name}",
            )
