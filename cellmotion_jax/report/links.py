"""Pictures of links between cells: their probabilities, and the cells that look most alike."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

from cellmotion_jax.report.figures import (
    BLUE,
    GREEN,
    GREY,
    VERMILLION,
    label_axes,
    new_figure,
    save_figure,
)

_BINS = 10


def plot_link_probabilities(
    probability: Float[np.ndarray, " pair"], true: Bool[np.ndarray, " pair"], out: pathlib.Path, *, title: str
) -> None:
    """Draws how often pairs of cells with a predicted probability are linked in truth, and their histogram.

    Args:
        probability: Predicted probability of a link of every pair.
        true: Whether the pair is linked in truth.
        out: The picture.
        title: Headline; the expected calibration error is added.
    """
    index = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    count = np.bincount(index, minlength=_BINS)
    mean = np.bincount(index, weights=probability, minlength=_BINS) / np.maximum(count, 1)
    share = np.bincount(index, weights=true, minlength=_BINS) / np.maximum(count, 1)
    error = float(np.sum(count * np.abs(mean - share)) / max(count.sum(), 1))
    figure = new_figure(
        9.5,
        4.4,
        title=f"{title}: expected calibration error {error:.3f}",
        hint="Good: left, the dots (larger for more pairs) lie on the diagonal; right, true and false pairs "
        "lie apart. Pairs farther apart than three cells are left out.",
    )
    left, right = figure.subplots(1, 2)
    label_axes(left, x="predicted probability of a link", y="share of pairs linked in truth")
    left.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    filled = count > 0
    left.scatter(mean[filled], share[filled], s=8 + 40 * np.log10(count[filled]), color=BLUE)
    label_axes(right, x="predicted probability of a link", y="pairs")
    edges = np.linspace(0, 1, 21)
    for chosen, colour, name in ((true, GREEN, "linked in truth"), (~true, VERMILLION, "not linked")):
        right.hist(
            probability[chosen],
            bins=edges.tolist(),
            color=colour,
            alpha=0.6,
            label=f"{name} ({chosen.sum()})",
        )
    right.set_yscale("symlog")
    right.legend(fontsize=8, frameon=False)
    save_figure(figure, out)


class Lookalikes(NamedTuple):
    """A cell and the cells of the next frame whose embeddings are nearest to its own."""

    cell: Num[np.ndarray, "y x"]
    """Surroundings of the cell."""
    nearest: Sequence[Num[np.ndarray, "y x"]]
    """Those of the others, nearest first."""
    probability: Sequence[float]
    """Similarity of each."""
    right: int | None
    """Which of them is the same cell, or a daughter; None if none is."""


def plot_lookalikes(rows: Sequence[Lookalikes], out: pathlib.Path, *, title: str) -> None:
    """Draws cells with their nearest neighbours among the embeddings of the next frame.

    Args:
        rows: At least one, each with as many neighbours.
        out: The picture.
        title: Headline.
    """
    columns = 1 + len(rows[0].nearest)
    figure = new_figure(
        max(7.0, 1.25 * columns),
        1.35 * len(rows) + 1,
        title=title,
        hint="Left: a cell. Right: the cells of the next frame that the visual head finds most alike, with "
        "its score.\nGreen: the same cell, or a daughter. Good: green comes first.",
    )
    shown = [np.ravel(image) for row in rows for image in (row.cell, *row.nearest)]
    low, high = np.percentile(np.concatenate(shown), (1, 99.5))
    for axes, row in zip(figure.subplots(len(rows), columns, squeeze=False), rows):
        for index, image in enumerate([row.cell, *row.nearest]):
            axes[index].imshow(image, cmap="gray", vmin=low, vmax=high)
            axes[index].set_xticks([])
            axes[index].set_yticks([])
            right = index > 0 and row.right == index - 1
            for side in axes[index].spines.values():
                side.set_color(GREEN if right else "0.8" if index else BLUE)
                side.set_linewidth(2.5 if right or not index else 1)
            if index:
                axes[index].set_title(f"{row.probability[index - 1]:.2f}", fontsize=8)
    save_figure(figure, out)
