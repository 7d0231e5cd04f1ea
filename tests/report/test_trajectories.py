"""Trajectories are drawn at their points, dashed where the track was lost, with a dot at their end."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from cellmotion_jax.report.trajectories import _colors, plot_trajectories

IMAGE = np.random.default_rng(0).random((40, 60))
NAN = np.nan


@pytest.fixture
def scene():
    """Four frames: a track to the right, one that is lost and found, one with a gap, one never there."""
    y, x = np.full((4, 4), NAN), np.full((4, 4), NAN)
    y[:, 0], x[:, 0] = 5, (10, 11, 12, 13)
    y[:, 1], x[:, 1] = (20, 21, 22, 23), 30
    y[:, 2], x[:, 2] = (35, NAN, 35, 36), (50, NAN, 52, 53)
    lost = np.zeros((4, 4), bool)
    lost[2, 1] = lost[3, 2] = True
    return np.stack([y, x], axis=-1), lost


def lines(figure):
    """Ways as lists of (y, x): the solid ones and the dashed ones."""
    collections = [it for it in figure.axes[0].collections if isinstance(it, LineCollection)]
    return [[segment[:, ::-1].tolist() for segment in it.get_segments()] for it in collections]


def test_a_step_is_dashed_if_it_leads_into_a_frame_that_is_lost(tmp_path, drawn, scene):
    plot_trajectories(IMAGE, *scene, tmp_path / "a.png")
    solid, dashed = lines(drawn[0])
    assert solid == [
        [[5, 10], [5, 11], [5, 12], [5, 13]],
        [[20, 30], [21, 30]],
        [[22, 30], [23, 30]],
    ]
    assert dashed == [[[21, 30], [22, 30]], [[35, 52], [36, 53]]]
    assert drawn[0].get_suptitle() == "Trajectories: 3 tracks"
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()][1] == "lost: 18.2%"


def test_a_dot_at_the_end_is_open_where_the_track_is_lost(tmp_path, drawn, scene):
    plot_trajectories(IMAGE, *scene, tmp_path / "a.png", ids=np.array([7, 8, 9, 10]))
    axes = drawn[0].axes[0]
    (dots,) = (it for it in axes.collections if not isinstance(it, LineCollection))
    assert dots.get_offsets().tolist() == [[13, 5], [30, 23], [53, 36]]
    assert dots.get_facecolors()[:, 3].tolist() == [1, 1, 0]
    assert [text.get_text() for text in axes.texts] == ["7", "8", "9"]


def test_only_the_last_steps(tmp_path, drawn, scene):
    plot_trajectories(IMAGE, *scene, tmp_path / "a.png", tail=1)
    solid, dashed = lines(drawn[0])
    assert solid == [[[5, 12], [5, 13]], [[22, 30], [23, 30]]]
    assert dashed == [[[35, 52], [36, 53]]]


@pytest.mark.parametrize("frames", [1, 3])
def test_one_frame_and_no_tracks(tmp_path, drawn, frames):
    plot_trajectories(IMAGE, np.zeros((frames, 0, 2)), np.zeros((frames, 0), bool), tmp_path / "a.png")
    assert lines(drawn[0]) == [[], []]
    plot_trajectories(IMAGE, np.ones((1, 3, 2)), np.zeros((1, 3), bool), tmp_path / "b.png")
    assert drawn[1].get_suptitle() == "Trajectories: 3 tracks"


def test_daughters_are_joined_to_their_mothers_and_a_legend_says_so(tmp_path, drawn):
    points = np.full((4, 3, 2), NAN)
    points[:2, 0], points[2:, 1], points[2:, 2] = (10, 20), (5, 25), (15, 25)
    plot_trajectories(IMAGE, points, None, tmp_path / "a.png", mothers=np.array([-1, 0, 0]))
    assert lines(drawn[0])[2] == [[[10, 20], [5, 25]], [[10, 20], [15, 25]]]
    assert "born or continued" in [text.get_text() for text in drawn[0].legends[0].get_texts()]
    plot_trajectories(IMAGE, points, None, tmp_path / "b.png", mothers=np.full(3, -1))
    assert "born or continued" not in [text.get_text() for text in drawn[1].legends[0].get_texts()]


def test_neighbouring_ids_have_colours_that_can_be_told_apart():
    colors = _colors(100)[:, :3]
    for apart in range(1, 9):
        assert np.abs(colors[apart:] - colors[:-apart]).max(axis=1).min() > 0.1


def test_lost_of_other_tracks_is_refused(tmp_path, scene):
    points, lost = scene
    with pytest.raises(ValueError, match=r"points of shape \(4, 4, 2\), lost of \(4, 3\) are not about"):
        plot_trajectories(IMAGE, points, lost[:, :3], tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"and ids of \(1,\) are not about the same tracks"):
        plot_trajectories(IMAGE, points, lost, tmp_path / "a.png", ids=np.array([1]))
