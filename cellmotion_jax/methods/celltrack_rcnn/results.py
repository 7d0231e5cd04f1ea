"""Tables and pictures of a CellTrack R-CNN experiment."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.special
from jaxtyping import Int

from cellmotion_jax.files import write_csv
from cellmotion_jax.methods.celltrack_rcnn.calibration import link_examples, measured_pairs
from cellmotion_jax.methods.celltrack_rcnn.evaluation import TOLERANCES, MovieScores, RCNNResult, TrackedTest
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.methods.celltrack_rcnn.pair_features import PairMeasures
from cellmotion_jax.methods.celltrack_rcnn.pairs import AnnotatedPair, adjacent_pairs, evenly_spread
from cellmotion_jax.report.lineage import plot_lineage
from cellmotion_jax.report.links import Lookalikes, plot_link_probabilities, plot_lookalikes
from cellmotion_jax.report.summary import write_summary
from cellmotion_jax.report.tracked_cells import TrackedView, plot_tracked_cells

PAPER_TABLE_1 = {
    "DeepCell": (84.63, 95.96, 95.46, 0.50),
    "FR-Ro-GE": (81.82, 95.12, 94.99, 0.13),
    "Ours w/o STH": (85.22, 96.93, 94.19, 2.74),
    "Our method": (85.26, 97.14, 97.05, 0.09),
}
"""Table 1 of the paper on RAW264.7: SEG, DET, TRA, DET - TRA, in percent."""
HEADER = (
    *("model", "cells", "links", "SEG", "DET", "TRA", "DET_minus_TRA", "LNK"),
    *(f"division_{part}_{tolerance}" for tolerance in TOLERANCES for part in ("F", "TP", "FP", "FN")),
)
_SHOWN_FRAMES = 3
_SHOWN_CELLS = 6
_SHOWN_LOOKALIKES = 5


class TestedModel(NamedTuple):
    """A trained network with its results on the test frames."""

    name: str
    model: RCNNModel
    found: RCNNResult
    """On the cells that it finds."""
    given: RCNNResult
    """On the annotated cells, linked by the tracking branch."""


def write_results(folder: pathlib.Path, tested: Sequence[TestedModel]) -> None:
    """Writes ``results.csv`` and prints the scores beside those of Table 1.

    Args:
        folder: Folder of the experiment.
        tested: One per network.
    """
    rows = [
        _row(model.name, cells, links, scores)
        for model in tested
        for cells, result in (("found", model.found), ("given", model.given))
        for links, scores in result.scores.items()
    ]
    write_csv(folder / "results.csv", HEADER, rows)
    write_summary(folder, _summary(tested))
    print(f"Tables and pictures: {folder}")  # noqa: T201


def draw_results(folder: pathlib.Path, tested: TestedModel) -> None:
    """Draws the cells, the lineage, the probabilities of links and the neighbours of embeddings.

    If no annotated cell of the test goes on in the next frame, there is no picture of the last.

    Args:
        folder: Folder of the network.
        tested: The network with its results.
    """
    way = next(iter(tested.found.scores))
    movie, scores = tested.found.movies[0], tested.found.scores[way]
    result = movie.tracked[way]
    plot_tracked_cells(
        _views(movie, way),
        folder / "tracks.png",
        title=f"Cells found and tracked in test frames: SEG {scores.seg:.3f}, TRA {scores.tra:.3f}",
    )
    plot_lineage(result.table, folder / "lineage.png", title=f"Lineages found, {way}")
    pairs = adjacent_pairs([image for part in tested.found.movies for image in part.images])
    measured = list(measured_pairs(tested.model, pairs))
    examples = [link_examples(*pair) for pair in measured]
    plot_link_probabilities(
        scipy.special.expit(tested.model.link.log_odds(np.concatenate([part.features for part in examples]))),
        np.concatenate([part.true for part in examples]),
        folder / "links.png",
        title="Links between annotated cells of test frames",
    )
    going_on = [number for number, (_, source) in enumerate(measured) if (source >= 0).any()]
    if going_on:
        # The middle of the test, away from the frames that the network was trained on.
        at = going_on[len(going_on) // 2]
        plot_lookalikes(
            _lookalikes(pairs[at], *measured[at]),
            folder / "lookalikes.png",
            title="Nearest embeddings of the visual head",
        )


def _views(movie: TrackedTest, way: str) -> list[TrackedView]:
    chosen = evenly_spread(len(movie.images), most=_SHOWN_FRAMES)
    views = []
    for index in chosen.tolist():
        image, cells = movie.images[index], movie.cells[index]
        tracks = movie.tracked[way].tracks[index]
        views.append(
            TrackedView(image.image_file.name, image.image().mean(axis=-1), cells.labels, cells.boxes, tracks)
        )
    return views


def _lookalikes(
    pair: AnnotatedPair, measures: PairMeasures, source: Int[np.ndarray, " later"]
) -> list[Lookalikes]:
    """Evenly chosen cells that go on in the next frame."""
    true = source[None] == np.arange(len(measures.earlier.area))[:, None]
    images = [image.image().mean(axis=-1) for image in pair]
    half = max(8, int(np.sqrt(np.median(measures.earlier.area))))
    count = min(_SHOWN_LOOKALIKES, true.shape[1])

    def window(frame: int, centre: np.ndarray) -> np.ndarray:
        wide = np.pad(images[frame], half, mode="edge")
        y, x = np.rint(centre).astype(int)
        return wide[y : y + 2 * half + 1, x : x + 2 * half + 1]

    rows = []
    going_on = np.flatnonzero(true.any(axis=1))
    for cell in going_on[evenly_spread(len(going_on), most=_SHOWN_CELLS)]:
        order = np.argsort(-measures.visual[cell], kind="stable")[:count]
        hits = np.flatnonzero(true[cell, order])
        rows.append(
            Lookalikes(
                cell=window(0, measures.earlier.centre[cell]),
                nearest=[window(1, measures.later.centre[other]) for other in order],
                probability=scipy.special.expit(measures.visual[cell, order]).tolist(),
                right=int(hits[0]) if len(hits) else None,
            )
        )
    return rows


def _row(name: str, cells: str, links: str, scores: MovieScores) -> tuple[str, ...]:
    measures = (scores.seg, scores.det, scores.tra, scores.tracking_loss, scores.lnk)
    divisions = [
        text
        for counts in scores.divisions
        for text in (f"{float(counts.f_score):.4f}", *(str(int(number)) for number in counts))
    ]
    return (name, cells, links, *(f"{value:.4f}" for value in measures), *divisions)


def _summary(tested: Sequence[TestedModel]) -> list[str]:
    lines = [
        f"{'model':<24}{'cells':<8}{'links':<12}{'SEG':>8}{'DET':>8}{'TRA':>8}{'D-T':>7}{'LNK':>8}"
        f"{'division F (0, 1 frames)':>27}"
    ]
    for model in tested:
        for cells, result in (("found", model.found), ("given", model.given)):
            for links, scores in result.scores.items():
                measures = "".join(f"{100 * value:>8.2f}" for value in (scores.seg, scores.det, scores.tra))
                found = ", ".join(f"{float(counts.f_score):.3f}" for counts in scores.divisions)
                total = int(scores.divisions[0].true_positives + scores.divisions[0].false_negatives)
                lines.append(
                    f"{model.name:<24}{cells:<8}{links:<12}{measures}{100 * scores.tracking_loss:>7.2f}"
                    f"{100 * scores.lnk:>8.2f}{f'{found} of {total}':>27}"
                )
    lines.append("Table 1 of the paper (RAW264.7):")
    for name, (seg, det, tra, loss) in PAPER_TABLE_1.items():
        lines.append(f"{name:<44}{seg:>8.2f}{det:>8.2f}{tra:>8.2f}{loss:>7.2f}")
    return lines
