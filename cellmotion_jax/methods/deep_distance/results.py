"""Tables and pictures of a finished DeepDistance experiment, written next to its checkpoints."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from cellmotion_jax.files import write_csv
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.deep_distance.cells import find_cells
from cellmotion_jax.methods.deep_distance.evaluation import PartResult, candidates
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel
from cellmotion_jax.metrics import IOU_THRESHOLDS, one_to_one_matches
from cellmotion_jax.metrics.annotation import annotated_points, known_cells
from cellmotion_jax.models.deep_distance import Table2, Task
from cellmotion_jax.morphology import centroid_pixels
from cellmotion_jax.report.cells import plot_cells
from cellmotion_jax.report.detection_scores import plot_models, plot_parameter_curve
from cellmotion_jax.report.summary import write_summary

# Table 2: F-scores on CAMA-1, MDA-MB-453 and, independent of training, MDA-MB-468.
PAPER_F_SCORES = {
    Table2.deep_distance: (0.9090, 0.9179, 0.8604),
    Table2.deep_distance_extended: (0.9125, 0.9219, 0.8635),
    Table2.single_inner: (0.8740, 0.8985, 0.8230),
    Table2.single_outer: (0.9080, 0.9078, 0.8143),
    Table2.single_classification: (0.8366, 0.8652, 0.6142),
    Table2.cascaded_classification_inner: (0.8449, 0.8776, 0.7143),
    Table2.multi_classification_boundary: (0.9003, 0.9147, 0.7737),
}
HEADER = (
    *("model", "part", "rule", "images", "radius_px", "parameter"),
    *("TP", "FP", "FN", "precision", "recall", "F", "AP"),
)


class ModelResult(NamedTuple):
    """Results of one model of Table 2."""

    table_2: Table2
    trained: DeepDistanceModel
    parameter: float
    """Parameter chosen on the validation images: h, or the smallest area."""
    parts: tuple[PartResult, ...]

    @property
    def name(self) -> str:
        """Name for tables and legends."""
        return self.table_2.name.replace("_", " ")


def write_model_results(folder: pathlib.Path, result: ModelResult, *, tiling: Tiling) -> None:
    """Draws, for one model, F-score over its parameter, and the worst and the typical image of every part.

    Args:
        folder: Folder of the model.
        result: Results of the model.
        tiling: Tiling of the images.
    """
    plot_parameter_curve(
        tuple(candidates(result.trained)),
        {part.name: part.f_by_parameter for part in result.parts},
        folder / "parameter.png",
        chosen=result.parameter,
        parameter="smallest area in pixels" if Task.boundary in result.table_2.value.tasks else "h",
    )
    for part in result.parts:
        scores = [float(image.counts["one-to-one"].f_score) for image in part.images]
        order = np.argsort(scores, kind="stable")
        for what, index in {"worst": order[0], "typical": order[len(order) // 2]}.items():
            _draw(folder / f"cells-{part.name}-{what}.png", result, part, int(index), tiling)


def write_results(folder: pathlib.Path, results: Sequence[ModelResult]) -> None:
    """Writes and prints the results of all models and parts, and draws several models together.

    Args:
        folder: Folder of the experiment.
        results: One per model.
    """
    rows = [row for result in results for part in result.parts for row in _rows(result, part)]
    write_csv(folder / "results.csv", HEADER, rows)
    write_summary(folder, _summary(results))
    if len(results) > 1:
        plot_models(
            [result.name for result in results],
            {part.name: [_f_score(result, part.name) for result in results] for part in results[0].parts},
            folder / "models.png",
            paper={
                "paper, same cell lines": [np.mean(PAPER_F_SCORES[it.table_2][:2]).item() for it in results],
                "paper, another cell line": [PAPER_F_SCORES[it.table_2][2] for it in results],
            },
        )
    print(f"Tables and pictures: {folder}")  # noqa: T201


def _f_score(result: ModelResult, name: str) -> float:
    part = next(part for part in result.parts if part.name == name)
    return float(part.counts("one-to-one").f_score)


def _rows(result: ModelResult, part: PartResult) -> Iterable[tuple]:
    common = (result.name, part.name)
    for rule in part.images[0].counts:
        counts = part.counts(rule)
        thresholds = IOU_THRESHOLDS if rule == "outlines" else (None,)
        for index, threshold in enumerate(thresholds):
            named = rule if threshold is None else f"outlines, IoU {threshold:g}"
            values = [
                float(np.atleast_1d(column)[index])
                for column in (
                    *counts,
                    counts.precision,
                    counts.recall,
                    counts.f_score,
                    counts.average_precision,
                )
            ]
            numbers = [f"{value:.0f}" for value in values[:3]] + [f"{value:.4f}" for value in values[3:]]
            yield (*common, named, len(part.images), f"{part.radius:.2f}", f"{result.parameter:g}", *numbers)


def _summary(results: Sequence[ModelResult]) -> list[str]:
    lines = [
        f"{'model':<31}{'part':<18}{'images':>6}{'radius':>8}{'precision':>11}{'recall':>8}{'F':>8}"
        f"{'F optimal':>11}{'AP50':>8}"
    ]
    for result in results:
        for part in result.parts:
            found, optimal = part.counts("one-to-one"), part.counts("optimal")
            outlined = "outlines" in part.images[0].counts
            ap = f"{part.counts('outlines').average_precision[0]:.3f}" if outlined else "-"
            lines.append(
                f"{result.name:<30} {part.name:<17} {len(part.images):>6}{part.radius:>8.1f}"
                f"{found.precision:>11.3f}{found.recall:>8.3f}{found.f_score:>8.3f}{optimal.f_score:>11.3f}"
                f"{ap:>8}"
            )
    return lines


def _draw(path: pathlib.Path, result: ModelResult, part: PartResult, index: int, tiling: Tiling) -> None:
    """Draws an image of a part with maps, cells and errors; it is predicted again, maps are not stored."""
    image = part.images[index].image
    pixels, (labels, annotated) = image.image(), image.annotation()
    model = part.model
    cells = find_cells(model, pixels, segment=model.can_segment, tiling=tiling)
    points, markers = annotated_points(cells.points, annotated), centroid_pixels(labels)
    plot_cells(
        pixels[..., 0] if pixels.shape[-1] == 1 else pixels,
        [(name, value) for name, value in cells.maps._asdict().items() if value is not None],
        points,
        one_to_one_matches(points, markers, radius=part.radius),
        markers,
        path,
        labels=None if cells.labels is None else known_cells(cells.labels, annotated),
        reference=labels,
        title=f"{result.name}: {image.name}",
    )
