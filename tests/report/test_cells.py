"""Detections are drawn at their positions, with markers for found, false and missed, and counted."""

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics import PointMatches, one_to_one_matches
from cellmotion_jax.report.cells import FALSE, FOUND, MISSED, PREDICTION_COLOR, plot_cells, plot_overview

NONE = np.zeros((0, 2))


@pytest.fixture
def scene():
    """Three cells, of which the first two are found, and a detection beside them."""
    labels = np.zeros((60, 90), int)
    labels[5:25, 5:25], labels[5:25, 40:60], labels[40:52, 70:85] = 1, 2, 9
    markers = np.array([[14.5, 14.5], [14.5, 49.5], [45.5, 77.0]])
    points = np.array([[50.0, 20.0], [15.0, 50.0], [14.0, 14.0]])
    return labels, markers, points, one_to_one_matches(points, markers, radius=5.0)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def near(picture, color):
    """How many pixels of a picture have a colour."""
    return np.count_nonzero(np.abs(picture[..., :3] - to_rgb(color)).max(-1) < 0.02)


def test_every_fate_has_its_places_colour_and_shape(tmp_path, drawn, scene):
    labels, markers, points, matches = scene
    plot_cells(100 * (labels > 0), [], points, matches, markers, tmp_path / "cells.png")
    found, false, missed = drawn[0].axes[-1].lines
    assert list(zip(found.get_ydata(), found.get_xdata())) == [(15, 50), (14, 14)]
    assert list(zip(false.get_ydata(), false.get_xdata())) == [(50, 20)]
    assert list(zip(missed.get_ydata(), missed.get_xdata())) == [(45.5, 77)]
    assert len({line.get_marker() for line in (found, false, missed)}) == 3
    picture = matplotlib.image.imread(tmp_path / "cells.png")
    assert all(near(picture, style.color) > 20 for style in (FOUND, FALSE, MISSED))
    assert near(picture, PREDICTION_COLOR) == 0


def test_counts_and_scores_can_be_read(tmp_path, drawn, scene):
    labels, markers, points, matches = scene
    out = tmp_path / "cells.png"
    plot_cells(labels, [], points, matches, markers, out, labels=labels, reference=labels, title="t017.tif")
    (figure,) = drawn
    assert legend(figure) == ["found: 2", "false: 1", "missed: 1", "predicted outline", "true outline"]
    assert figure.get_suptitle() == "t017.tif: F-score 0.667"
    hint = figure.legends[0].get_title().get_text()
    assert "F-score 0.667, precision 0.667, recall 0.667" in hint
    assert "Good:" in hint
    assert "Bad:" in hint


def test_outlines_are_orange_and_the_true_ones_blue_on_top(tmp_path, drawn, scene):
    labels, _, _, _ = scene
    matches = one_to_one_matches(NONE, NONE, radius=5.0)
    shifted = np.roll(labels, 3, axis=1)
    plot_cells(labels, [], NONE, matches, NONE, tmp_path / "a.png", labels=shifted, reference=labels)
    _, predicted, true = drawn[0].axes[-1].images
    predicted, true = predicted.get_array(), true.get_array()
    assert 0 < np.count_nonzero(true[..., 3]) < 0.6 * np.count_nonzero(predicted[..., 3])
    np.testing.assert_allclose(predicted[0, 0, :3] / 255, to_rgb(PREDICTION_COLOR), atol=1 / 255)
    picture = matplotlib.image.imread(tmp_path / "a.png")
    # Matplotlib 3.9 blends more of the edges of lines with what is under them than 3.10 does.
    assert near(picture, PREDICTION_COLOR) > 300
    assert near(picture, MISSED.color) > 300


def test_every_map_has_a_panel_and_a_colour_bar(tmp_path, drawn, scene):
    labels, markers, points, matches = scene
    maps = [
        ("inner distance", np.random.default_rng(0).random((60, 90)).astype(np.float32)),
        ("outer distance", np.full((20, 30), np.nan)),
        ("cell or not", np.zeros((15, 22), np.float32)),
    ]
    plot_cells(labels, maps, points, matches, markers, tmp_path / "cells.png")
    (figure,) = drawn
    *panels, large = figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == ["image", *(name for name, _ in maps)]
    assert all(len(axes.child_axes) == 1 for axes in panels[1:])
    assert [axes.images[0].get_clim() for axes in panels[1:]] == [(0, 1)] * 3
    widths = [axes.get_position().width for axes in panels]
    np.testing.assert_allclose(widths, widths[0], rtol=0.02)
    assert large.get_position().width > 3 * widths[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 300), (300, 2), (20, 30, 1), (40, 40, 3)])
@pytest.mark.parametrize("detected", [False, True])
def test_no_image_is_too_odd(tmp_path, drawn, shape, detected):
    points, markers = (np.zeros((1, 2)), NONE) if detected else (NONE, np.zeros((1, 2)))
    labels = np.zeros(shape[:2], int)
    labels[0, 0] = detected
    matches = one_to_one_matches(points, markers, radius=5.0)
    out = tmp_path / "cells.png"
    plot_cells(
        np.zeros(shape, np.uint8),
        [("inner distance", np.zeros(shape[:2]))],
        points,
        matches,
        markers,
        out,
        labels=labels,
        reference=labels,
    )
    assert legend(drawn[0])[:3] == ["found: 0", f"false: {detected:d}", f"missed: {not detected:d}"]
    height, width, _ = matplotlib.image.imread(out).shape
    assert 500 < height < 2500
    assert 500 < width < 2500


def test_an_empty_image_left_empty_is_perfect(tmp_path, drawn):
    matches = one_to_one_matches(NONE, NONE, radius=5.0)
    plot_cells(np.zeros((8, 8)), [], NONE, matches, NONE, tmp_path / "cells.png")
    assert legend(drawn[0]) == ["found: 0", "false: 0", "missed: 0"]
    assert "F-score 1.000" in drawn[0].get_suptitle()


def test_matches_of_other_points_are_refused(tmp_path, scene):
    labels, markers, points, matches = scene
    out = tmp_path / "cells.png"
    with pytest.raises(ValueError, match="each of the 2 points once"):
        plot_cells(labels, [], points[:2], matches, markers, out)
    with pytest.raises(ValueError, match="each of the 4 markers once"):
        plot_cells(labels, [], points, matches, np.zeros((4, 2)), out)
    twice = PointMatches(np.array([0, 0]), np.array([0, 1]), np.array([1]), np.array([2]))
    with pytest.raises(ValueError, match="each of the 3 points once"):
        plot_cells(labels, [], points, twice, markers, out)


def test_labels_of_another_image_and_other_formats_are_refused(tmp_path, scene):
    labels, markers, points, matches = scene
    out = tmp_path / "cells.png"
    with pytest.raises(ValueError, match=r"label image has shape \(60, 80\), but its image has \(60, 90\)"):
        plot_cells(labels, [], points, matches, markers, out, labels=labels[:, :80])
    with pytest.raises(ValueError, match=r"label image has shape \(30, 90\)"):
        plot_cells(labels, [], points, matches, markers, out, labels=labels, reference=labels[:30])
    with pytest.raises(InputError, match="picture format"):
        plot_cells(labels, [], points, matches, markers, tmp_path / "cells.txt")
    assert not list(tmp_path.iterdir())


def test_the_overview_counts_the_cells_of_each_frame(tmp_path, drawn, scene):
    labels, markers, _, _ = scene
    frames = [
        ("t0", labels.astype(np.uint8), markers, labels),
        ("t1", np.zeros((60, 90, 3)), markers[:1], labels),
        ("t2", np.zeros((30, 40)), NONE, None),
    ]
    plot_overview(frames, tmp_path / "overview.png", title="movie.tif")
    (figure,) = drawn
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["t0: 3 detections", "t1: 1 detection, 3 outlined", "t2: 0 detections"]
    assert figure.get_suptitle() == "movie.tif: 4 detections in 3 frames"
    assert legend(figure) == ["centre of a detected cell", "predicted outline"]
    assert [len(axes.images) for axes in figure.axes] == [2, 2, 1]
    assert figure.axes[0].lines[0].get_xdata().tolist() == markers[:, 1].tolist()
    assert near(matplotlib.image.imread(tmp_path / "overview.png"), PREDICTION_COLOR) > 100


def test_the_overview_without_outlines_has_none_in_the_legend(tmp_path, drawn):
    plot_overview([("t0", np.zeros((9, 9), bool), NONE, None)], tmp_path / "overview.png")
    assert legend(drawn[0]) == ["centre of a detected cell"]
    assert drawn[0].get_suptitle() == "Detected cells: 0 detections"


def test_an_overview_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no frame"):
        plot_overview([], tmp_path / "overview.png")
    with pytest.raises(ValueError, match=r"label image has shape \(4, 4\), but its image has \(5, 5\)"):
        plot_overview([("t0", np.zeros((5, 5)), NONE, np.zeros((4, 4), int))], tmp_path / "overview.png")
