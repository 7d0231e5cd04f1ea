"""Table and pictures of finished feature nets, written beside their checkpoints."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from cellmotion_jax.data.pixel_classes import CLASSES
from cellmotion_jax.files import write_text
from cellmotion_jax.inference.deepcell import DeepCellEnsemble, NucleiSettings, find_nuclei
from cellmotion_jax.metrics import IOU_THRESHOLDS, one_to_one_matches
from cellmotion_jax.morphology import centroid_pixels
from cellmotion_jax.report.cells import plot_cells
from cellmotion_jax.training.deepcell_evaluation import PartResult
from cellmotion_jax.training.distance_evaluation import annotated_points, known_cells

HEADER = ("network", "part", "what", "images", "TP", "FP", "FN", "precision", "recall", "F", "AP")


def write_results(folder: pathlib.Path, results: Mapping[str, Sequence[PartResult]]) -> None:
    """The table of all networks and parts as ``results.csv`` and on the screen.

    Args:
        folder: Of the experiment.
        results: One per part, by the name of the network.
    """
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(HEADER)
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
                    writer.writerow((network, part.name, named, len(part.images), *numbers))
            pixels = "".join(f"{float(rows[name].f_score):>12.3f}" for name in CLASSES)
            outlines = rows["outlines"]
            lines.append(
                f"{network:<14}{part.name:<11}{pixels}{float(rows['one-to-one'].f_score):>10.3f}"
                f"{float(outlines.f_score[0]):>10.3f}{float(outlines.average_precision[0]):>8.3f}"
            )
    write_text(folder / "results.csv", table.getvalue())
    print("\n".join([*lines, f"Table and pictures: {folder}"]))  # noqa: T201


def draw_results(
    folder: pathlib.Path, ensemble: DeepCellEnsemble, settings: NucleiSettings, parts: Sequence[PartResult]
) -> None:
    """Of every part, the worst and the typical image with its maps, nuclei and mistakes.

    Args:
        folder: Of the experiment.
        ensemble: What was evaluated; maps are not kept, so that it is asked once more.
        settings: With what nuclei are found.
        parts: Its results.
    """
    for part in parts:
        order = np.argsort([float(it.outlines.f_score[0]) for it in part.images], kind="stable")
        for what, index in {"worst": order[0], "typical": order[len(order) // 2]}.items():
            image = part.images[index].image
            pixels, labels, annotated = image.image(), image.labels(), image.annotated()
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
