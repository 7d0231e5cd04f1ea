import dataclasses

import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology.behaviour import CellTable
from cellmotion_jax.report.cell_behaviour import COLUMNS, plot_behaviour, plot_time_courses


def table_of(tracks, frames, *, with_tips=True):
    """Larger cells are faster, but no cell is faster when it is larger."""
    rng = np.random.default_rng(0)
    track, frame = np.repeat(np.arange(1, tracks + 1), frames), np.tile(np.arange(frames), tracks)
    noise = rng.random((6, len(track)))
    tips = np.round(2 * noise[2]) if with_tips else np.full(len(track), np.nan)
    return CellTable(
        track=track,
        frame=frame,
        label=track,
        parent=np.zeros_like(track),
        y=noise[0],
        x=noise[1],
        area=1000 * track + np.arange(len(track)) % 7,
        perimeter=noise[3],
        elongation=1 + noise[3],
        solidity=1 - noise[4] / 3,
        protrusions=tips,
        longest_protrusion_from_centre_um=20 * tips,
        longest_protrusion_from_body_um=9 * tips,
        speed=np.where(frame == 0, np.nan, track + noise[5]),
        heading=noise[0],
        turning=np.where(frame < 2, np.nan, noise[1] - 0.5),
        persistence=noise[2],
        speed_unit="um/min",
    )


def test_differences_between_cells_are_told_from_those_within(drawn, tmp_path):
    table = table_of(3, 40)
    plot_behaviour(table, tmp_path / "behaviour.png", pixel_size_um=0.5)
    assert (tmp_path / "behaviour.png").stat().st_size > 10_000
    (figure,) = drawn
    assert len(figure.axes) == 10
    measures, caption = figure.axes[0].get_title(loc="left").splitlines()
    assert measures == "speed and area, n = 117"
    over_all, within = (float(part.split()[0]) for part in caption.split(", "))
    assert over_all > 0.8
    assert abs(within) < 0.3
    assert figure.get_suptitle() == "Cell behaviour: 3 tracks, 40 frames, 120 outlines"
    labels = [axes.get_xlabel() for axes in figure.axes[5:]]
    assert labels == ["area (µm²)", "elongation", "solidity", "protrusions", "longest protrusion (µm)"]
    medians = figure.axes[0].lines[0].get_xydata()
    assert (np.diff(medians[:, 0]) > 0).all()
    assert medians[:, 0].max() <= table.area.max() / 4


def test_time_courses_of_the_longest_tracks(drawn, tmp_path):
    table = table_of(COLUMNS + 2, 9, with_tips=False)
    keep = ~np.isin(table.track, (2, 5)) | (table.frame < 4)
    short = CellTable(
        **{
            field.name: getattr(table, field.name)[keep]
            for field in dataclasses.fields(table)
            if field.name != "speed_unit"
        },
        speed_unit="px/frame",
    )
    plot_time_courses(short, tmp_path / "time.png", frame_interval_s=1800.0)
    (figure,) = drawn
    assert [axes.get_title(loc="left") for axes in figure.axes[:COLUMNS]] == [
        f"track {track}" for track in (1, 3, 4, 6, 7, 8)
    ]
    assert figure.axes[0].get_ylabel() == "speed\n(px/frame)"
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xdata(), 0.5 * np.arange(9))
    assert figure.axes[-1].get_xlabel() == "time (h)"


def test_what_is_not_known_has_no_panel(drawn, tmp_path):
    plot_behaviour(table_of(1, 3, with_tips=False), tmp_path / "a.png")
    assert [axes.get_xlabel() for axes in drawn[0].axes[3:]] == ["area (px²)", "elongation", "solidity"]
    assert drawn[0].axes[0].get_title(loc="left") == "speed and area, n = 2\n? over all, ? within cells"
    plot_time_courses(table_of(1, 1, with_tips=False), tmp_path / "b.png")
    assert [axes.get_ylabel() for axes in drawn[1].axes] == ["area\n(px²)", "elongation", "solidity"]


def test_refusals(tmp_path):
    empty = table_of(0, 3)
    for plot in (plot_behaviour, plot_time_courses):
        with pytest.raises(ValueError, match="the table has no rows"):
            plot(empty, tmp_path / "a.png")
        with pytest.raises(InputError, match="does not end in a picture format"):
            plot(table_of(1, 3, with_tips=False), tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []
