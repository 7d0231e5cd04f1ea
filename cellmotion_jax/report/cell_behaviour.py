"""Pictures of the relation between shape, protrusions and motion of cells."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from cellmotion_jax.morphology.behaviour import CellTable
from cellmotion_jax.report.figures import BLUE, GREY, label_axes, legend_below, new_figure, save_figure
from cellmotion_jax.report.summary import counted

COLUMNS = 6
"""Number of tracks whose time courses are drawn."""
FEWEST = 10
"""Smallest number of frames of a cell, or of rows of a bin, for statistics of it."""


class _Measure(NamedTuple):
    """A measure that is drawn along an axis."""

    name: str
    unit: str
    values: Float[np.ndarray, " row"]
    is_count: bool = False

    @property
    def label(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


def plot_behaviour(
    table: CellTable, out: pathlib.Path, *, pixel_size_um: float | None = None, title: str = "Cell behaviour"
) -> None:
    """Draws speed and turning against area, elongation, solidity, number and length of protrusions.

    Every dot is an outline, a cell in a frame; the line joins the medians of bins of about equally many dots,
    the band holds the middle half. Above each panel stand the measures, the number n of outlines in which
    both are known, Spearman's rank correlation over all of them, and the median over the tracks of their own
    ("within cells"): the first also contains differences between cells, which alone can make it different
    from zero; the second shows whether the motion of a cell changes with its shape. Cells of fewer than ten
    frames are left out of the second. Turning is the absolute angle. The length of a protrusion is that from
    the body. The axes end where 99 % of the values do, lest a few wild ones squeeze all others.

    Args:
        table: Result of `cell_table`.
        out: The picture.
        pixel_size_um: Side of a pixel, for areas in square micrometres; None leaves them in pixels.
        title: Headline; the numbers of cells and frames are added.

    Raises:
        ValueError: If the table is empty.
        InputError: If the suffix of ``out`` is no picture format.
    """
    shapes = _known(_shapes(table, pixel_size_um))
    moves = [
        _speed(table),
        _Measure("turning", "degrees", np.degrees(np.abs(table.turning))),
    ]
    counts = (
        (len(np.unique(table.track)), "track"),
        (len(np.unique(table.frame)), "frame"),
        (len(table), "outline"),
    )
    figure = new_figure(
        2.9 * len(shapes) + 0.6,
        6.8,
        title=f"{title}: {', '.join(map(counted, *zip(*counts)))}",
    )
    grid = figure.subplots(len(moves), len(shapes), sharex="col", sharey="row", squeeze=False)
    for row, move in enumerate(moves):
        for column, shape in enumerate(shapes):
            axes = grid[row, column]
            label_axes(
                axes,
                title=_caption(shape, move, table.track),
                x=shape.label if row == len(moves) - 1 else "",
                y=move.label if column == 0 else "",
            )
            _draw_relation(axes, shape, move)
        grid[row, 0].set_ylim(0, _highest(move.values))
    for column, shape in enumerate(shapes):
        grid[0, column].set_xlim(*_range(shape))
    handles = [
        Line2D(
            [], [], linestyle="", marker="o", markersize=3, color=GREY, label="an outline: a cell in a frame"
        ),
        Line2D([], [], color=BLUE, marker="o", markersize=4, label="median of a bin"),
        Patch(color=BLUE, alpha=0.2, label="middle half of a bin"),
    ]
    legend_below(
        figure,
        handles,
        hint="Above the panels: n outlines, and rank correlations. One that is there over all outlines but\n"
        "not within cells is a difference between cells, of which there are as many as tracks; good\n"
        "evidence shows in both. The outermost 1 % of the values lie outside of the axes.",
    )
    save_figure(figure, out)


def plot_time_courses(
    table: CellTable,
    out: pathlib.Path,
    *,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    title: str = "Time courses",
) -> None:
    """Draws how speed, shape and protrusions of the six longest tracks change, a column for each.

    Grey is the middle half of all cells of the frame.

    Args:
        table: Result of `cell_table`.
        out: The picture.
        pixel_size_um: Side of a pixel, for areas in square micrometres; None leaves them in pixels.
        frame_interval_s: Seconds from frame to frame, for a time axis in hours; None numbers the frames.
        title: Headline; the number of tracks is added.

    Raises:
        ValueError: If the table is empty.
        InputError: If the suffix of ``out`` is no picture format.
    """
    measures = _known([_speed(table), *_shapes(table, pixel_size_um)])
    names, lengths = np.unique(table.track, return_counts=True)
    tracks = np.sort(names[np.argsort(-lengths, kind="stable")[:COLUMNS]])
    time = table.frame * (1.0 if frame_interval_s is None else frame_interval_s / 3600)
    figure = new_figure(
        max(1.75 * len(tracks), 6.0) + 0.8,
        1.3 * len(measures) + 1.4,
        title=f"{title}: {counted(len(names), 'track')}"
        + (f", the {len(tracks)} longest of them (all are in cells.csv)" if len(tracks) < len(names) else ""),
    )
    grid = figure.subplots(len(measures), len(tracks), sharex=True, sharey="row", squeeze=False)
    for row, measure in enumerate(measures):
        band = _middle_half(time, measure.values)
        for column, track in enumerate(tracks):
            axes = grid[row, column]
            label_axes(
                axes,
                title=f"track {track}" if row == 0 else "",
                x=("frame" if frame_interval_s is None else "time (h)") if row == len(measures) - 1 else "",
                y=measure.label.replace(" (", "\n(") if column == 0 else "",
            )
            axes.fill_between(*band, color=GREY, alpha=0.25, linewidth=0)
            rows = table.track == track
            (line,) = axes.plot(time[rows], measure.values[rows], color=BLUE, linewidth=1.2)
            if measure.is_count:
                line.set_drawstyle("steps-mid")
                axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
            else:
                # So that a value without neighbours is seen.
                line.set(marker=".", markersize=2.5)
    figure.align_ylabels()
    handles = [
        Line2D([], [], color=BLUE, label="the track"),
        Patch(color=GREY, alpha=0.25, label="middle half of all cells of the frame"),
    ]
    legend_below(
        figure,
        handles,
        hint="Protrusions are measured from the outline of the body to the tip.\n"
        "Spikes of several measures in the same single frame are errors of the outline, not behaviour.",
    )
    save_figure(figure, out)


def _shapes(table: CellTable, pixel_size_um: float | None) -> list[_Measure]:
    """The measures of shape that the table has."""
    if not len(table):
        raise ValueError("the table has no rows; there is nothing to draw")
    area = ("px²", 1.0) if pixel_size_um is None else ("µm²", pixel_size_um**2)
    # Without a protrusion there is no longest one.
    longest = np.where(table.protrusions > 0, table.longest_protrusion_from_body_um, np.nan)
    shapes = [
        _Measure("area", area[0], table.area * area[1]),
        _Measure("elongation", "", table.elongation),
        _Measure("solidity", "", table.solidity),
        _Measure("protrusions", "", table.protrusions, is_count=True),
        _Measure("longest protrusion", "µm", longest),
    ]
    return _known(shapes)


def _speed(table: CellTable) -> _Measure:
    return _Measure("speed", table.speed_unit.replace("um", "µm"), table.speed)


def _known(measures: list[_Measure]) -> list[_Measure]:
    """Measures that have at least one value."""
    return [measure for measure in measures if np.isfinite(measure.values).any()]


def _draw_relation(axes: Axes, shape: _Measure, move: _Measure) -> None:
    """Dots, and medians with the middle half."""
    both = np.isfinite(shape.values) & np.isfinite(move.values)
    x, y = shape.values[both], move.values[both]
    if not len(x):
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color=GREY)
        return
    size = np.clip(1500 / len(x), 1.0, 9.0)
    axes.scatter(x, y, s=size, color=GREY, alpha=0.35, linewidths=0, rasterized=True)
    bins = [part for part in _bins(x, is_count=shape.is_count) if part.sum() >= FEWEST]
    if bins:
        middle = [np.median(x[part]) for part in bins]
        low, median, high = np.array([np.percentile(y[part], [25, 50, 75]) for part in bins]).T
        axes.fill_between(middle, low, high, color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(middle, median, color=BLUE, marker="o", markersize=4, linewidth=1.8)
    if shape.is_count:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _bins(x: Float[np.ndarray, " dot"], *, is_count: bool) -> list[Bool[np.ndarray, " dot"]]:
    """One bin per whole number, or up to seven of equally many dots."""
    if is_count:
        return [x == value for value in np.unique(x)]
    count = int(np.clip(len(x) // (2 * FEWEST), 1, 7))
    edges = np.unique(np.quantile(x, np.linspace(0, 1, count + 1)))
    place: Int[np.ndarray, " dot"] = np.clip(
        np.searchsorted(edges, x, side="right") - 1, 0, max(len(edges) - 2, 0)
    )
    return [place == number for number in range(max(len(edges) - 1, 1))]


def _highest(values: Float[np.ndarray, " dot"]) -> float:
    """Upper limit of an axis: a little above all but 0.5 % of the known values, larger than 0."""
    known = values[np.isfinite(values)]
    return 1.05 * float(np.percentile(known, 99.5)) or 1.0 if len(known) else 1.0


def _range(measure: _Measure) -> tuple[float, float]:
    """Limits of an axis: 99 % of the known values with a small margin."""
    low, high = np.nanpercentile(measure.values, [0.5, 99.5])
    margin = 0.3 if measure.is_count else 0.05 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def _caption(shape: _Measure, move: _Measure, track: Int[np.ndarray, " row"]) -> str:
    """Measures, number of rows, their rank correlation, and the median of those of single tracks."""
    x, y = shape.values, move.values
    both = np.isfinite(x) & np.isfinite(y)
    x, y, track = x[both], y[both], track[both]
    # Rows are ordered by track.
    ends = np.flatnonzero(np.diff(track)) + 1
    own = np.array([_spearman(*rows) for rows in zip(np.split(x, ends), np.split(y, ends))])
    within = float(np.median(own[np.isfinite(own)])) if np.isfinite(own).any() else np.nan
    return (
        f"{move.name} and {shape.name}, n = {len(x):,}\n"
        f"{_signed(_spearman(x, y))} over all, {_signed(within)} within cells"
    )


def _spearman(x: Float[np.ndarray, " row"], y: Float[np.ndarray, " row"]) -> float:
    """Rank correlation; NaN for too few rows or where one side is constant."""
    if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(scipy.stats.rankdata(x), scipy.stats.rankdata(y))[0, 1])


def _signed(value: float) -> str:
    return "?" if np.isnan(value) else f"{value:+.2f}"


def _middle_half(
    time: Float[np.ndarray, " row"], values: Float[np.ndarray, " row"]
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """Every time that has values, and their quartiles."""
    is_known = np.isfinite(values)
    times, place = np.unique(time[is_known], return_inverse=True)
    known = values[is_known]
    low, high = np.array([np.percentile(known[place == at], [25, 75]) for at in range(len(times))]).T
    return times, low, high
