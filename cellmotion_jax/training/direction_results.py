"""Tables and pictures of a finished direction experiment, written beside its checkpoints."""

from __future__ import annotations

import csv
import io
import itertools
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from cellmotion_jax.data.pipeline import gather
from cellmotion_jax.metrics.angular import (
    UNIFORM_GUESS_DEG,
    maximum_error_estimate_deg,
    mean_angular_error_deg,
    quadrant_baseline_deg,
)
from cellmotion_jax.metrics.calibration import coverage_table, error_by_confidence, fit_concentration
from cellmotion_jax.ops.angles import signed_difference
from cellmotion_jax.ops.mean_direction import arc_mean, circular_mean
from cellmotion_jax.report.directions import (
    plot_arrows,
    plot_calibration,
    plot_error_by_confidence,
    plot_grid,
    plot_rose,
    plot_tta,
)
from cellmotion_jax.training.checkpoint import write_text
from cellmotion_jax.training.direction_data import DirectionSamples
from cellmotion_jax.training.direction_evaluation import MemberPredictions

TABLE_5_VERSIONS = (1, 2, 6, 10, 14)
CALIBRATION_LEVELS = tuple(np.linspace(0.05, 0.95, 19))
TOLD_LEVELS = (0.5, 0.8, 0.95)
# Quadrant accuracies of Nishimoto et al. 2019 as Section 3.3 quotes and uses them.
QUADRANT_ACCURACIES = {"NIH3T3": 0.8789, "U373": 0.8186}


class Cell(NamedTuple):
    """One line of the table: the folds of one configuration under one protocol."""

    protocol: str
    objective: str
    members: tuple[MemberPredictions, ...]

    def errors_deg(self, versions: int = 1) -> np.ndarray:
        """E_deg of every fold with the fused first ``versions`` rotations."""
        return np.array([_error_deg(arc_mean(m.versions[:, :versions]), m.target) for m in self.members])


def write_results(
    folder: pathlib.Path, samples: DirectionSamples, predictions: Sequence[MemberPredictions], *, simulated: bool
) -> None:
    """Writes ``results.csv``, ``summary.md`` and the pictures, and prints the summary.

    Args:
        folder: Folder of the run.
        samples: What was trained and tested on.
        predictions: Test predictions of every member.
        simulated: Whether the cells are simulated, for the title.
    """
    cells = _table(predictions)
    _write_csv(folder / "results.csv", samples, predictions)
    pictures = list(_draw(folder, samples, cells))
    lines = [
        f"# Migration direction from one image, {'simulated' if simulated else 'real'} cells",
        "",
        f"{len(samples.angle)} images of {len(np.unique(samples.track))} cells "
        f"in {len(np.unique(samples.movie))} movies. E_deg is the mean angular error on the test images in "
        "degrees, its spread is over folds; the last column is mean + 3 standard deviations (Section 3.2).",
        "",
        "| split | configuration | folds | test images | test cells | E_deg | with rotations | max. estimate |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(samples, cell) for cell in cells),
        "",
        *(_calibration_lines(cells)),
        "",
        f"For comparison: guessing {UNIFORM_GUESS_DEG:.0f}; the quadrant classifier of Nishimoto et al., "
        + "; ".join(
            f"{name} {baseline.mean:.2f} (largest possible error {baseline.maximal_as_printed:.2f} on average)"
            for name, baseline in ((n, quadrant_baseline_deg(a)) for n, a in QUADRANT_ACCURACIES.items())
        )
        + ".",
        "",
        "Pictures: " + ", ".join(str(path) for path in pictures),
    ]
    write_text(folder / "summary.md", "\n".join(lines) + "\n")
    print("\n".join(lines))  # noqa: T201


def _table(predictions: Sequence[MemberPredictions]) -> list[Cell]:
    def key(prediction: MemberPredictions) -> tuple[str, str]:
        return prediction.member.protocol.value, prediction.objective.label

    order = {key(p): i for i, p in reversed(list(enumerate(predictions)))}
    ordered = sorted(predictions, key=lambda p: (key(p)[0], order[key(p)]))
    return [Cell(*name, tuple(members)) for name, members in itertools.groupby(ordered, key=key)]


def _row(samples: DirectionSamples, cell: Cell) -> str:
    errors, versions = cell.errors_deg(), cell.members[0].versions.shape[1]
    spread = _spread(errors)
    fused = cell.errors_deg(versions)
    tests = [m.member.split.test for m in cell.members]
    cells = np.mean([len(np.unique(samples.track[test])) for test in tests])
    return (
        f"| {cell.protocol} | {cell.objective} | {len(errors)} | {np.mean([len(t) for t in tests]):.0f} "
        f"| {cells:.0f} | {errors.mean():.2f} ± {spread:.2f} "
        f"| {fused.mean():.2f} ± {_spread(fused):.2f} (n = {versions}) "
        f"| {maximum_error_estimate_deg(float(errors.mean()), spread):.2f} |"
    )


def _calibration_lines(cells: Sequence[Cell]) -> Iterable[str]:
    """Coverage of the central arcs of the first configuration under each protocol."""
    for protocol in dict.fromkeys(cell.protocol for cell in cells):
        cell = next(c for c in cells if c.protocol == protocol)
        table = coverage_table(_pooled_errors(cell), _pooled_kappa(cell), levels=TOLD_LEVELS)
        told = ", ".join(f"{level:.0%} arcs hold {held:.0%}" for level, held in zip(table.level, table.covered))
        origin = "predicted concentration" if cell.members[0].objective.kappa_head else "one concentration fitted"
        yield f"Calibration {protocol} ({origin} on the validation cells): {told}."


def _draw(folder: pathlib.Path, samples: DirectionSamples, cells: Sequence[Cell]) -> Iterable[pathlib.Path]:
    """Draws the first configuration under each protocol, and all of them against each other."""
    for protocol in dict.fromkeys(cell.protocol for cell in cells):
        cell = next(c for c in cells if c.protocol == protocol)
        stem = protocol.replace(" ", "-")
        first = cell.members[0]
        errors = _pooled_errors(cell)
        confidence = np.concatenate([m.confidence for m in cell.members])

        out = folder / f"arrows-{stem}.png"
        shown = _best_typical_worst(first)
        images = gather(samples.source, first.member.split.test[shown])["image"][..., 0]
        plot_arrows(images, first.versions[shown, 0], first.target[shown], first.confidence[shown], out)
        yield out
        out = folder / f"rose-{stem}.png"
        plot_rose(errors, out)
        yield out
        out = folder / f"calibration-{stem}.png"
        plot_calibration(coverage_table(errors, _pooled_kappa(cell), levels=CALIBRATION_LEVELS), out)
        yield out
        if np.ptp(confidence) > 0:
            out = folder / f"error-by-confidence-{stem}.png"
            plot_error_by_confidence(error_by_confidence(errors, confidence, bins=min(10, len(errors))), out)
            yield out
        versions = [n for n in TABLE_5_VERSIONS if n <= first.versions.shape[1]]
        if len(versions) > 1:
            out = folder / f"rotations-{stem}.png"
            by_n = np.stack([cell.errors_deg(n) for n in versions])
            plot_tta(np.array(versions), by_n.mean(axis=1), np.array([_spread(row) for row in by_n]), out)
            yield out
    if len({cell.objective for cell in cells}) > 1:
        for protocol in dict.fromkeys(cell.protocol for cell in cells):
            out = folder / f"grid-{protocol.replace(' ', '-')}.png"
            rows = [cell for cell in cells if cell.protocol == protocol]
            plot_grid(
                [cell.objective for cell in rows],
                np.array([cell.errors_deg().mean() for cell in rows]),
                np.array([_spread(cell.errors_deg()) for cell in rows]),
                out,
            )
            yield out


def _best_typical_worst(prediction: MemberPredictions, each: int = 8) -> np.ndarray:
    """Indices of test samples with the smallest, the median and the largest errors."""
    difference = signed_difference(prediction.versions[:, 0], prediction.target)
    order = np.argsort(np.abs(np.asarray(difference)))
    each = min(each, len(order) // 3) or len(order)
    middle = (len(order) - each) // 2
    return np.unique(np.concatenate([order[:each], order[middle : middle + each], order[-each:]]))


def _pooled_errors(cell: Cell) -> np.ndarray:
    return np.concatenate([np.asarray(signed_difference(m.versions[:, 0], m.target)) for m in cell.members])


def _pooled_kappa(cell: Cell) -> np.ndarray:
    """Predicted concentrations, or for each fold the one that fits its validation errors best."""
    kappas = []
    for member in cell.members:
        if member.objective.kappa_head:
            kappas.append(member.confidence)
        else:
            errors = np.asarray(signed_difference(member.validation_angle, member.validation_target))
            kappas.append(np.full(len(member.target), fit_concentration(errors)))
    return np.concatenate(kappas)


def _error_deg(predicted, target: np.ndarray) -> float:
    return float(mean_angular_error_deg(predicted, target))


def _spread(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _write_csv(
    path: pathlib.Path, samples: DirectionSamples, predictions: Sequence[MemberPredictions]
) -> None:
    """One row per member and number of rotated versions, with both ways of fusing them."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(
        ("protocol", "fold", "configuration", "test_images", "test_cells", "versions", "E_deg", "E_deg_circular_mean")
    )
    for p in predictions:
        test = p.member.split.test
        for n in (n for n in TABLE_5_VERSIONS if n <= p.versions.shape[1]):
            rows.writerow((
                p.member.protocol.value, p.member.fold, p.objective.label, len(test),
                len(np.unique(samples.track[test])), n,
                f"{_error_deg(arc_mean(p.versions[:, :n]), p.target):.4f}",
                f"{_error_deg(circular_mean(p.versions[:, :n]), p.target):.4f}",
            ))  # fmt: skip
    write_text(path, text.getvalue())
