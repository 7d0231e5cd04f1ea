"""Lineage trees: a line per track, a fork per division, a dotted line to a track under another id."""

import numpy as np
import pytest

from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.report.lineage import MOST_LINEAGES, plot_lineage

ROWS = [
    *((1, 0, 5, 0), (2, 6, 9, 1), (3, 6, 20, 1), (4, 10, 20, 2), (5, 10, 15, 2)),  # Two divisions
    *((6, 12, 20, 0), (7, 2, 8, 0), (8, 11, 20, 7)),  # A track by itself, and one with a gap
]


def table(rows):
    return TrackTable(*np.array(rows, int).reshape(-1, 4).T)


def parts(figure):
    """Vertical lines, forks, dotted lines, and the places of divisions."""
    (axes,) = figure.axes
    lines, forks, dotted = (collection.get_segments() for collection in axes.collections)
    (dots,) = axes.lines
    return lines, forks, dotted, list(zip(*dots.get_data()))


def test_tracks_are_lines_from_their_first_to_their_last_frame(tmp_path, drawn):
    plot_lineage(table(ROWS), tmp_path / "lineage.png", title="Found")
    assert (tmp_path / "lineage.png").stat().st_size > 10_000
    assert drawn[0].get_suptitle() == "Found: 2 divisions, 8 tracks"
    lines, forks, dotted, dots = parts(drawn[0])
    spans = sorted((int(line[0, 1]), int(line[1, 1])) for line in lines)
    assert spans == sorted((begin, end + 1) for _, begin, end, _ in ROWS)
    # No two tracks that live at the same time have one place.
    places = {(int(line[0, 1]), int(line[1, 1])): line[0, 0] for line in lines}
    assert all(line[0, 0] == line[1, 0] for line in lines)
    assert len({places[span] for span in ((6, 21), (10, 21), (10, 16), (12, 21))}) == 4
    # A mother is in the middle of her daughters.
    assert places[0, 6] == np.mean([places[6, 10], places[6, 21]])
    assert places[6, 10] == np.mean([places[10, 21], places[10, 16]])
    assert sorted(dots) == sorted([(places[0, 6], 6), (places[6, 10], 10)])
    assert len(forks) == 4
    assert {tuple(fork[0]) for fork in forks} == set(dots)
    ((start, end),) = dotted
    assert (start[1], end[1]) == (9, 11)
    assert start[0] == end[0] == places[2, 9]


@pytest.mark.parametrize("rows", [[], [(4, 3, 3, 0)]])
def test_no_track_and_one_track(tmp_path, drawn, rows):
    plot_lineage(table(rows), tmp_path / "lineage.png", title="Found")
    lines, *others = parts(drawn[0])
    assert [line[:, 1].tolist() for line in lines] == [[3, 4]] * len(rows)
    assert others == [[], [], []]
    assert drawn[0].get_suptitle() == f"Found: 0 divisions, {len(rows)} track{'s' * (not rows)}"


def test_of_many_lineages_those_with_most_divisions_are_drawn(tmp_path, drawn):
    rows = [(label, label % 7, 9, 0) for label in range(1, MOST_LINEAGES + 20)]
    last = rows[-1][0]
    rows += [(200, 10, 12, last), (201, 10, 12, last), (202, 13, 14, 200), (203, 13, 14, 200)]
    plot_lineage(table(rows), tmp_path / "lineage.png", title="Found")
    lines, forks, _, dots = parts(drawn[0])
    assert len(lines) == MOST_LINEAGES + 4
    assert len(forks) == 4
    assert len(dots) == 2
    hint = drawn[0].get_supxlabel()
    assert f"The {MOST_LINEAGES} of {MOST_LINEAGES + 19} lineages with most divisions." in hint


def test_a_division_into_three_and_one_of_many_generations(tmp_path, drawn):
    rows = [(1, 0, 0, 0), *((label, 1, 2, 1) for label in (2, 3, 4))]
    # A chain longer than the stack of Python is deep.
    rows += [(label, label, label, label - 1 if label > 10 else 0) for label in range(10, 2000)]
    plot_lineage(table(rows), tmp_path / "lineage.png", title="Found")
    _, forks, dotted, dots = parts(drawn[0])
    assert (len(forks), len(dotted), len(dots)) == (3, 1989, 1)
