"""Picture of the lineage trees of a movie."""

from __future__ import annotations

import pathlib

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.report.figures import BLUE, GREY, VERMILLION, label_axes, new_figure, save_figure
from cellmotion_jax.report.summary import counted

MOST_LINEAGES = 60
"""Lineages that are drawn; those with divisions come first."""


def plot_lineage(tracks: TrackTable, out: pathlib.Path, *, title: str) -> None:
    """Draws every track as a vertical line from its first to its last frame, and divisions as forks.

    Args:
        tracks: Tracks of a movie.
        out: The picture.
        title: Headline; the number of divisions is added.
    """
    parent = dict(zip(tracks.label.tolist(), tracks.parent.tolist()))
    span = {n: (b, e) for n, b, e in zip(tracks.label.tolist(), tracks.begin.tolist(), tracks.end.tolist())}
    children: dict[int, list[int]] = {}
    for label, mother in parent.items():
        children.setdefault(mother, []).append(label)
    roots = children.get(0, [])
    dividing = {mother for mother, born in children.items() if mother and len(born) > 1}
    roots.sort(key=lambda root: (-_divisions_below(root, children), span[root][0]))
    drawn = roots[:MOST_LINEAGES]
    place: dict[int, float] = {}
    following = 0.0
    for root in drawn:
        following = _place(root, children, place, following) + 0.5
    left_out = f" The {MOST_LINEAGES} of {len(roots)} lineages with most divisions."
    figure = new_figure(
        max(9.0, min(16.0, 0.12 * following + 2)),
        5.5,
        title=f"{title}: {counted(len(dividing), 'division')}, {counted(len(tracks), 'track')}",
        hint="One vertical line per track, from its first to its last frame; a fork is a division, a dotted "
        "line a track that goes on\nunder another id. Bad: many short lines, forks whose branches end soon."
        + (left_out if len(roots) > MOST_LINEAGES else ""),
    )
    axes = figure.subplots()
    label_axes(axes, x="lineages", y="frame")
    axes.add_collection(
        LineCollection(
            [[(x, span[track][0]), (x, span[track][1] + 1)] for track, x in place.items()], colors=GREY
        )
    )
    forks = [(mother, child) for mother in place for child in children.get(mother, []) if child in place]
    for split, colour, style in ((True, VERMILLION, "-"), (False, BLUE, ":")):
        lines = [
            [(place[mother], span[mother][1] + 1), (place[child], span[child][0])]
            for mother, child in forks
            if (mother in dividing) == split
        ]
        axes.add_collection(LineCollection(lines, colors=colour, linestyles=style, linewidths=1.4))
    split = [mother for mother in place if mother in dividing]
    axes.plot([place[m] for m in split], [span[m][1] + 1 for m in split], "o", color=VERMILLION, markersize=3)
    axes.set_xlim(-1, max(following, 1))
    axes.set_ylim(int(np.max(tracks.end, initial=0)) + 1.5, -0.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xticks([])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    save_figure(figure, out)


def _divisions_below(root: int, children: dict[int, list[int]]) -> int:
    stack, found = [root], 0
    while stack:
        born = children.get(stack.pop(), [])
        found += len(born) > 1
        stack += born
    return found


def _place(root: int, children: dict[int, list[int]], place: dict[int, float], following: float) -> float:
    """Gives leaves the next places, and every mother the middle of its daughters; returns what is next."""
    order, stack = [], [root]
    while stack:
        track = stack.pop()
        order.append(track)
        stack += reversed(children.get(track, []))
    for track in order:
        if not children.get(track):
            place[track] = following
            following += 1
    for track in reversed(order):
        born = children.get(track)
        if born:
            place[track] = float(np.mean([place[child] for child in born]))
    return following
