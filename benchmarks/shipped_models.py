"""Quality of the networks that come with the package on annotated movies, which they were not trained on.

``python -m benchmarks.shipped_models DATASET [DATASET ...]`` from the root of the repository, with datasets
of the Cell Tracking Challenge, or folders with ``images`` and ``masks`` of equal names. Each is analysed by
``cellmotion analyze`` without any option. Printed are the model, which follows from the proposed kind of
microscopy, the estimated diameter of the cells, and SEG (gold and silver), DET, LNK and TRA of the challenge.
Images that are no movie have SEG and DET.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pathlib
import tempfile

from cellmotion_jax.cli import main as cellmotion
from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.data.label_images import open_labels
from cellmotion_jax.inference.ctc_scores import open_result, score_result
from cellmotion_jax.metrics import match_frame
from cellmotion_jax.metrics.aogm import node_errors
from cellmotion_jax.metrics.ctc import CtcScores
from cellmotion_jax.metrics.ctc_matching import segmentation_score


def rows(root: pathlib.Path, scratch: pathlib.Path) -> list[list[str]]:
    """A table row for each movie of a dataset."""
    if (root / "images").is_dir():
        out = scratch / root.name
        about = analysed(root / "images", out)
        found, truth = open_labels(out / "tracks"), open_labels(root / "masks")
        matches = [match_frame(truth[frame], found[frame]) for frame in range(len(truth))]
        scores = CtcScores(segmentation_score(matches), node_errors(matches), None)
        return [[root.name, *about, number(scores.seg), "", number(scores.det), "", ""]]
    table = []
    for sequence in open_dataset(root):
        out = scratch / sequence.full_name.replace("/", "-")
        about = analysed(sequence.movie.path, out)
        scores = score_result(open_result(out / "tracks", sequence), sequence)
        measures = (scores.gold.seg, scores.silver.seg, scores.gold.det, scores.gold.lnk, scores.gold.tra)
        table.append([sequence.full_name, *about, *map(number, measures)])
    return table


def analysed(movie: pathlib.Path, out: pathlib.Path) -> list[str]:
    """Analyses a movie; returns the model and the diameter of the cells that were taken."""
    with contextlib.redirect_stdout(io.StringIO()):
        cellmotion(["analyze", str(movie), "--out", str(out), "--steps"])
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return [run["model"], f"{run['cell_diameter_px']:g}"]


def number(value: float) -> str:
    """A score with three digits, empty where there is none."""
    return f"{value:.3f}" if value == value else ""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    print("| movie | model | diameter (px) | SEG gold | SEG silver | DET | LNK | TRA |")
    print("|" + " --- |" * 8)
    with tempfile.TemporaryDirectory() as scratch:
        for root in options.datasets:
            for row in rows(root, pathlib.Path(scratch)):
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
