"""Pictures of pairs of windows: localisation of a cell in one by a filter learned in the other."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from cellmotion_jax.report.figures import GREEN, ORANGE, SKY, label_axes, new_figure, save_figure

_INCHES = 1.25
_PAIRS_PER_ROW = 2


class PairPicture(NamedTuple):
    """One pair with its maps; positions (y, x) are relative to the middle of their window."""

    name: str
    """Name of the source."""
    first: Float[np.ndarray, "y x"]
    """Window in which the filter was learned."""
    second: Float[np.ndarray, "y x"]
    """Window in which the cell is located."""
    response: Float[np.ndarray, "v u"]
    """Response of the filter, with the zero shift in the middle."""
    logits: Float[np.ndarray, "v u"]
    """Log probability of positions, with the zero shift in the middle."""
    believed: Float[np.ndarray, " 2"]
    """Position at which the filter was learned."""
    true: Float[np.ndarray, " 2"]
    """True position of the cell in the second window."""
    found: Float[np.ndarray, " 2"]
    """Position at which the cell was found."""


def plot_pairs(pairs: Sequence[PairPicture], out: pathlib.Path, *, title: str) -> None:
    """Draws both windows, the response and the probability of places of some pairs.

    Args:
        pairs: At least one.
        out: PNG file.
        title: Headline.
    """
    rows = math.ceil(len(pairs) / _PAIRS_PER_ROW)
    columns = 4 * _PAIRS_PER_ROW
    figure = new_figure(
        columns * _INCHES,
        rows * (_INCHES + 0.2) + 1,
        title=title,
        hint="From left to right: where the filter is learned (green), a later frame, the response, the "
        "probability of places.\nBlue circle: the truth. Orange cross: where the cell is found. "
        "Good: the cross lies in the circle.",
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for number, pair in enumerate(pairs):
        row, left = divmod(number, _PAIRS_PER_ROW)
        first, second, response, places = grid[row, 4 * left : 4 * left + 4]
        probability = np.exp(pair.logits - pair.logits.max())
        label_axes(first, title=pair.name)
        for axes, image, colours in (
            (first, pair.first, "gray"),
            (second, pair.second, "gray"),
            (response, pair.response, "magma"),
            (places, probability, "magma"),
        ):
            axes.imshow(image, cmap=colours)
        _mark(first, pair.believed, pair.first.shape, marker="o", color=GREEN)
        for axes, image in ((second, pair.second), (response, pair.response), (places, pair.logits)):
            _mark(axes, pair.true, image.shape, marker="o", color=SKY)
            _mark(axes, pair.found, image.shape, marker="x", color=ORANGE)
    save_figure(figure, out)


def _mark(
    axes: Axes, place: Float[np.ndarray, " 2"], shape: tuple[int, ...], *, marker: str, color: str
) -> None:
    y, x = place + np.array(shape) // 2
    axes.plot([x], [y], linestyle="none", marker=marker, color=color, fillstyle="none", markersize=7)
