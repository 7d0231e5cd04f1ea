"""Tables and pictures of a finished ConvLSTM experiment, written next to its checkpoints."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np

from cellmotion_jax.files import write_csv
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.convlstm.evaluation import PartResult, segmented
from cellmotion_jax.methods.convlstm.foreground import Memory
from cellmotion_jax.methods.convlstm.model_file import ConvLSTMModel
from cellmotion_jax.metrics import optimal_matches, segmentation_score
from cellmotion_jax.morphology import centroid_pixels
from cellmotion_jax.report.cells import plot_cells
from cellmotion_jax.report.summary import write_summary

HEADER = ("memory", "part", "frame", "cells", "SEG", "jaccard")


def write_results(
    folder: pathlib.Path,
    model: ConvLSTMModel,
    results: Mapping[Memory, tuple[PartResult, ...]],
    *,
    tiling: Tiling,
) -> None:
    """Writes ``results.csv`` with one row per frame, prints a summary, and draws two test frames.

    Args:
        folder: Folder of the experiment; the pictures show the worst and the typical frame.
        model: The trained network.
        results: Results of all parts for every kind of memory that was tested.
        tiling: Tiling of the frames.
    """
    rows = []
    lines = [f"{'memory':<10}{'part':<12}{'frames':>7}{'cells':>7}{'SEG':>8}{'Jaccard':>9}"]
    for memory, parts in results.items():
        known = memory.value if model.network.recurrent else "one frame"
        for part in parts:
            for frame in part.frames:
                score = segmentation_score([frame.matches])
                rows.append(
                    (
                        known,
                        part.name,
                        frame.image.name,
                        score.cells,
                        f"{score.seg:.4f}",
                        f"{frame.jaccard:.4f}",
                    )
                )
            cells = sum(len(frame.matches.reference) for frame in part.frames)
            lines.append(
                f"{known:<10}{part.name:<12}{len(part.frames):>7}{cells:>7}{part.seg:>8.3f}"
                f"{part.jaccard:>9.3f}"
            )
    write_csv(folder / "results.csv", HEADER, rows)
    write_summary(folder, lines)
    memory, (*_, test) = list(results.items())[-1]
    _draw(folder, model, memory, test, tiling=tiling)
    print(f"Tables and pictures: {folder}")  # noqa: T201


def _draw(
    folder: pathlib.Path,
    model: ConvLSTMModel,
    memory: Memory,
    part: PartResult,
    *,
    tiling: Tiling,
) -> None:
    """Draws the worst and the typical frame of a part; both are predicted again, maps are not stored."""
    scores = [frame.jaccard for frame in part.frames]
    order = np.argsort(scores, kind="stable")
    wanted = {"worst": int(order[0]), "typical": int(order[len(order) // 2])}
    images = [frame.image for frame in part.frames]
    found = segmented(model, images, memory=memory, tiling=tiling)
    for index, (image, foreground, labels) in enumerate(found):
        for what in [what for what, chosen in wanted.items() if chosen == index]:
            truth = image.labels()
            points, markers = centroid_pixels(labels), centroid_pixels(truth)
            radius = model.image_diameter / 2
            plot_cells(
                image.image()[..., 0] if image.channels == 1 else image.image(),
                [("cell", foreground)],
                points,
                optimal_matches(points, markers, radius=radius),
                markers,
                folder / f"cells-{part.name}-{what}.png",
                labels=labels,
                reference=truth,
                title=image.name,
            )
