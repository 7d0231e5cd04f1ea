"""Pictures of the filters of a network, and of its feature maps of a few windows."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from cellmotion_jax.report.figures import new_figure, save_figure

COLUMNS = 8


def plot_filters(filters: Float[np.ndarray, "y x filter"], out: pathlib.Path, *, title: str) -> None:
    """All filters of a first layer, each on its own scale: blue below 0, white at 0, red above.

    Args:
        filters: Kernels of a layer that sees one channel.
        out: The picture.
        title: Headline.
    """
    number = filters.shape[-1]
    rows = -(-number // COLUMNS)
    figure = new_figure(
        0.9 * COLUMNS,
        0.95 * rows + 1.1,
        title=title,
        hint="Edges and spots were learned; filters that look like noise, or all alike, were not.",
    )
    for index in range(number):
        axes = figure.add_subplot(rows, COLUMNS, index + 1)
        one = filters[..., index]
        largest = float(np.abs(one).max()) or 1.0
        axes.imshow(one, cmap="RdBu_r", vmin=-largest, vmax=largest)
        axes.set_axis_off()
    save_figure(figure, out)


def plot_feature_maps(
    windows: Float[np.ndarray, "window y x"],
    layers: Mapping[str, Float[np.ndarray, "window _ _ _"]],
    out: pathlib.Path,
    *,
    names: Sequence[str],
    title: str,
) -> None:
    """One row per window: the window, and of every layer the map that varies most over all windows.

    Args:
        windows: Inputs of the network.
        layers: Maps by the name of their layer, from shallow to deep.
        out: The picture.
        names: Names of the windows.
        title: Headline.
    """
    columns = len(layers) + 1
    figure = new_figure(
        1.5 * columns,
        1.6 * len(windows) + 1.1,
        title=title,
        hint="Bright where the map is large. Good maps follow the nucleus; a pattern that is the same in all "
        "rows, above all along the border, says nothing of the cell.",
    )
    for row, (window, name) in enumerate(zip(windows, names)):
        _panel(figure, (len(windows), columns, row * columns + 1), window, name)
    for column, (name, maps) in enumerate(layers.items(), start=2):
        strongest = int(np.argmax(maps.std(axis=(0, 1, 2))))
        for row, one in enumerate(maps[..., strongest]):
            label = f"{name}, map {strongest}" if row == 0 else ""
            _panel(figure, (len(windows), columns, row * columns + column), one, label)
    save_figure(figure, out)


def _panel(figure: Figure, place: tuple[int, int, int], image: Float[np.ndarray, "y x"], name: str) -> None:
    axes = figure.add_subplot(*place)
    axes.imshow(image, cmap="gray")
    axes.set_title(name, fontsize=7)
    axes.set_axis_off()
