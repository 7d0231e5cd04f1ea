"""Tables and pictures of a finished direction experiment, written next to its checkpoints."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array

from cellmotion_jax.data.pipeline import gather
from cellmotion_jax.files import write_csv, write_text
from cellmotion_jax.methods.direction.data import DirectionSamples
from cellmotion_jax.methods.direction.evaluation import MemberPredictions
from cellmotion_jax.metrics.angular import (
    UNIFORM_GUESS_DEG,
    maximum_error_estimate_deg,
    mean_angular_error_deg,
    quadrant_baseline_deg,
)
from cellmotion_jax.metrics.calibration import coverage_table, fit_concentration
from cellmotion_jax.ops.mean_direction import arc_mean, circular_mean
from cellmotion_jax.report.comparisons import Spread, plot_grid, plot_tta
from cellmotion_jax.report.confidence import plot_calibration
from cellmotion_jax.report.directions import best_typical_worst, plot_arrows, plot_rose, signed_errors
from cellmotion_jax.report.summary import counted

TABLE_5_VERSIONS = (1, 2, 6, 10, 14)
HEADER = (
    *("protocol", "fold", "configuration", "test_images", "test_cells", "versions"),
    *("E_deg", "E_deg_circular_mean"),
)
FUSIONS = {"paper's fusion": arc_mean, "circular mean": circular_mean}
SHOWN_COLUMNS = 6
"""Images of the best, of the typical and of the worst predictions that are drawn."""
# Quadrant accuracies of Nishimoto et al. 2019, with the share of each wrong quadrant, as in Section 3.3.
QUADRANT_CLASSIFIERS = {
    "NIH3T3": quadrant_baseline_deg(0.8789, each_wrong=0.0404),
    "U373": quadrant_baseline_deg(0.8186, each_wrong=0.0605),
}


class Cell(NamedTuple):
    """One row of the table: the folds of one configuration under one protocol."""

    protocol: str
    objective: str
    members: tuple[MemberPredictions, ...]

    def errors_deg(self, versions: int = 1, fuse: Callable[[np.ndarray], Array] = arc_mean) -> np.ndarray:
        """E_deg of every fold with the first ``versions`` rotations fused."""
        return np.array([_error_deg(fuse(m.versions[:, :versions]), m.target) for m in self.members])


def write_results(
    folder: pathlib.Path,
    samples: DirectionSamples,
    predictions: Sequence[MemberPredictions],
    *,
    simulated: bool,
) -> None:
    """Writes ``results.csv``, ``summary.md`` and the pictures, and prints the summary.

    Args:
        folder: Folder of the run.
        samples: The training and test samples.
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
        "degrees, its spread is over folds; the largest is estimated as mean + 3 spreads (Section 3.2).",
        "",
        "| split | configuration | folds | test images | test cells | E_deg | with rotations | largest |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(samples, cell) for cell in cells),
        "",
        *(_calibration_lines(cells)),
        "",
        f"For comparison: guessing {UNIFORM_GUESS_DEG:.0f}; the quadrant classifier of Nishimoto et al., "
        + "; ".join(
            f"{name} {baseline.mean:.2f} (largest possible {baseline.maximal_as_printed:.2f})"
            for name, baseline in QUADRANT_CLASSIFIERS.items()
        )
        + ".",
        "",
        "Pictures: " + ", ".join(path.name for path in pictures),
    ]
    write_text(folder / "summary.md", "\n".join(lines) + "\n")
    print("\n".join(lines))  # noqa: T201
    print(f"Tables and pictures: {folder}")  # noqa: T201


def _table(predictions: Sequence[MemberPredictions]) -> list[Cell]:
    def key(prediction: MemberPredictions) -> tuple[str, str]:
        return prediction.member.protocol.value, prediction.objective.label

    order = {key(p): i for i, p in reversed(list(enumerate(predictions)))}
    ordered = sorted(predictions, key=lambda p: (key(p)[0], order[key(p)]))
    return [Cell(*name, tuple(members)) for name, members in itertools.groupby(ordered, key=key)]


def _row(samples: DirectionSamples, cell: Cell) -> str:
    errors, versions = cell.errors_deg(), cell.members[0].versions.shape[1]
    tests = [m.member.split.test for m in cell.members]
    cells = np.mean([len(np.unique(samples.track[test])) for test in tests])
    largest = "-"  # One fold has no spread to estimate it from.
    if len(errors) > 1:
        largest = f"{maximum_error_estimate_deg(float(errors.mean()), float(_spread(errors))):.2f}"
    return (
        f"| {cell.protocol} | {cell.objective} | {len(errors)} | {np.mean([len(t) for t in tests]):.0f} "
        f"| {cells:.0f} | {_told(errors)} | {_told(cell.errors_deg(versions))} (n = {versions}) | {largest} |"
    )


def _told(errors: np.ndarray) -> str:
    """Mean over the folds as text, with the standard deviation if there are several."""
    return f"{errors.mean():.2f}" + (f" ± {_spread(errors):.2f}" if len(errors) > 1 else "")


def _calibration_lines(cells: Sequence[Cell]) -> Iterable[str]:
    """Coverage of the central arcs of the first configuration under each protocol."""
    for protocol in dict.fromkeys(cell.protocol for cell in cells):
        cell = next(c for c in cells if c.protocol == protocol)
        table = coverage_table(_pooled_errors(cell), _pooled_kappa(cell))
        told = ", ".join(
            f"{level:.0%} arcs hold {held:.0%}" for level, held in zip(table.level, table.covered)
        )
        origin = (
            "predicted concentration"
            if cell.members[0].objective.kappa_head
            else "one concentration fitted to validation cells"
        )
        yield f"Calibration {protocol} ({origin}): {told}."


def _draw(folder: pathlib.Path, samples: DirectionSamples, cells: Sequence[Cell]) -> Iterable[pathlib.Path]:
    """Draws the first configuration under each protocol, and a comparison of all configurations."""
    for protocol in dict.fromkeys(cell.protocol for cell in cells):
        cell = next(c for c in cells if c.protocol == protocol)
        stem = protocol.replace(" ", "-")
        first, errors, of_all = cell.members[0], _pooled_errors(cell), _counted(samples, cell.members)
        label = "kappa" if first.objective.kappa_head else "length of the encoded vector"

        out = folder / f"arrows-{stem}.png"
        of_first = signed_errors(first.versions[:, 0], first.target)
        shown = np.concatenate([*best_typical_worst(np.abs(of_first), SHOWN_COLUMNS).values()])
        images = gather(samples.source, first.member.split.test[shown])["image"][..., 0]
        plot_arrows(
            images, first.versions[shown, 0], first.target[shown], first.confidence[shown], out,
            confidence_label="kappa" if first.objective.kappa_head else "length", columns=SHOWN_COLUMNS,
            of=_counted(samples, cell.members[:1]), all_errors=of_first,
            title=f"Unseen cells, split {protocol}, {cell.objective}",
        )  # fmt: skip
        yield out
        out = folder / f"rose-{stem}.png"
        plot_rose(errors, out, of=of_all, title=f"Errors of the predicted directions, split {protocol}")
        yield out
        out = folder / f"calibration-{stem}.png"
        confidence = np.concatenate([m.confidence for m in cell.members])
        plot_calibration(
            errors, _pooled_kappa(cell), out, confidence=confidence, confidence_label=label, of=of_all
        )
        yield out
        versions = [n for n in TABLE_5_VERSIONS if n <= first.versions.shape[1]]
        if len(versions) > 1:
            out = folder / f"rotations-{stem}.png"
            by_n = np.array([[cell.errors_deg(n, fuse) for n in versions] for fuse in FUSIONS.values()])
            plot_tta(np.array(versions), by_n.mean(-1), _spread(by_n), out, fusions=list(FUSIONS))
            yield out
    if len({cell.objective for cell in cells}) > 1:
        out = folder / "grid.png"
        protocols = dict.fromkeys(cell.protocol for cell in cells)
        plot_grid(
            {
                f"here, {protocol}": {
                    cell.objective: Spread(cell.errors_deg().mean(), float(_spread(cell.errors_deg())))
                    for cell in cells
                    if cell.protocol == protocol
                }
                for protocol in protocols
            },
            out,
        )
        yield out


def _counted(samples: DirectionSamples, members: Sequence[MemberPredictions]) -> str:
    """What was predicted: a cell has an image in many frames, and folds may share test images."""
    tests = np.concatenate([member.member.split.test for member in members])
    images, cells = len(np.unique(tests)), len(np.unique(samples.track[tests]))
    told = f"{counted(images, 'image')} of {counted(cells, 'cell')}"
    return told if len(tests) == images else f"{len(tests)} predictions for {told}"


def _pooled_errors(cell: Cell) -> np.ndarray:
    return np.concatenate([signed_errors(m.versions[:, 0], m.target) for m in cell.members])


def _pooled_kappa(cell: Cell) -> np.ndarray:
    """Predicted concentrations, or for each fold the concentration that fits its validation errors best."""
    kappas = []
    for member in cell.members:
        if member.objective.kappa_head:
            kappas.append(member.confidence)
        else:
            errors = signed_errors(member.validation_angle, member.validation_target)
            kappas.append(np.full(len(member.target), fit_concentration(errors)))
    return np.concatenate(kappas)


def _error_deg(predicted, target: np.ndarray) -> float:
    return float(mean_angular_error_deg(predicted, target))


def _spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the folds, the last axis; a single fold has none."""
    return np.asarray(np.std(values, axis=-1, ddof=min(1, values.shape[-1] - 1)))


def _write_csv(
    path: pathlib.Path, samples: DirectionSamples, predictions: Sequence[MemberPredictions]
) -> None:
    """One row per member and number of rotated versions, with both ways of fusing them."""
    rows = [
        (
            *(p.member.protocol.value, p.member.fold, p.objective.label),
            *(len(p.member.split.test), len(np.unique(samples.track[p.member.split.test])), n),
            f"{_error_deg(arc_mean(p.versions[:, :n]), p.target):.4f}",
            f"{_error_deg(circular_mean(p.versions[:, :n]), p.target):.4f}",
        )
        for p in predictions
        for n in TABLE_5_VERSIONS
        if n <= p.versions.shape[1]
    ]
    write_csv(path, HEADER, rows)
