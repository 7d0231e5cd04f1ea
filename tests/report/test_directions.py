"""Arrows point where the angles say, with y up; petals stand where the errors are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from cellmotion_jax.ops.angles import signed_difference
from cellmotion_jax.report.directions import (
    PREDICTION_COLOR,
    TARGET_COLOR,
    best_typical_worst,
    plot_arrows,
    plot_rose,
    signed_errors,
)


def painted_direction(figure, axes, color):
    """Direction from the middle of a crop to what is painted in a colour, as a person sees the picture."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    box = axes.get_window_extent()
    height = pixels.shape[0]
    crop = pixels[round(height - box.y1) : round(height - box.y0), round(box.x0) : round(box.x1)]
    rows, columns = np.nonzero(np.abs(crop - to_rgb(color)).max(axis=-1) < 0.02)
    dy, dx = rows.mean() - (crop.shape[0] - 1) / 2, columns.mean() - (crop.shape[1] - 1) / 2
    return math.atan2(-dy, dx)


@pytest.mark.parametrize("angle", [0.0, 1.0, math.pi / 2, 2.5, 4.0, 5.5])
def test_arrows_point_counter_clockwise_from_right_with_y_up(tmp_path, drawn, angle):
    images = np.zeros((1, 32, 32), np.float32)
    away = angle + 2.0
    plot_arrows(images, np.array([angle]), np.array([away]), None, tmp_path / "arrows.png")
    (axes,) = drawn[0].axes
    for color, expected in ((PREDICTION_COLOR, angle), (TARGET_COLOR, away)):
        measured = painted_direction(drawn[0], axes, color)
        assert abs(signed_difference(measured, expected)) < math.radians(3)


def test_the_image_is_shown_with_its_first_row_on_top(tmp_path, drawn):
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 0] = 1.0
    plot_arrows(image, np.zeros(1), np.zeros(1), None, tmp_path / "arrows.png")
    (axes,) = drawn[0].axes
    assert axes.images[0].origin == "upper"
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_captions_tell_error_and_confidence_in_rows_from_best_to_worst(tmp_path, drawn):
    errors = np.array([-170.0, 5, 40, 90, -20, 10])
    target = np.full(6, 0.3)
    confidence = np.arange(6.0)
    plot_arrows(
        np.zeros((6, 8, 8), np.float32),
        target + np.radians(errors),
        target,
        confidence,
        tmp_path / "arrows.png",
        confidence_label="kappa",
    )
    captions = [axes.get_title() for axes in drawn[0].axes]
    assert captions == [f"off by {abs(errors[cell]):.0f}°\nkappa {cell}" for cell in (1, 5, 4, 2, 3, 0)]
    names = [axes.get_ylabel() for axes in drawn[0].axes]
    assert names == ["best", "", "typical", "", "worst", ""]


@pytest.mark.parametrize(("cells", "shown"), [(1, 1), (2, 2), (3, 3), (5, 3), (8, 6), (20, 12)])
def test_no_cell_is_shown_twice(tmp_path, drawn, cells, shown):
    errors = np.linspace(0, np.pi - 0.01, cells)
    images = np.zeros((cells, 4, 4), np.float32)
    plot_arrows(images, errors, np.zeros(cells), None, tmp_path / "arrows.png", columns=4)
    captions = [axes.get_title() for axes in drawn[0].axes]
    assert len(captions) == len(set(captions)) == shown


def test_differing_numbers_of_images_and_angles_are_refused(tmp_path):
    images = np.zeros((3, 4, 4), np.float32)
    with pytest.raises(ValueError, match=r"images has \(3,\).*predicted has \(2,\)"):
        plot_arrows(images, np.zeros(2), np.zeros(2), None, tmp_path / "arrows.png")
    with pytest.raises(ValueError, match="no cell"):
        plot_arrows(images[:0], np.zeros(0), np.zeros(0), None, tmp_path / "arrows.png")


@given(
    predicted=st.lists(st.floats(-20, 20), min_size=1, max_size=5),
    turn=st.floats(-20, 20),
)
def test_signed_errors_equal_the_traced_ones(predicted, turn):
    predicted = np.array(predicted)
    ours = signed_errors(predicted, predicted - turn)
    assert (np.abs(ours) <= np.pi).all()
    chord = np.abs(np.exp(1j * ours) - np.exp(1j * turn))
    np.testing.assert_allclose(chord, 0, atol=1e-9)


def test_a_rose_has_petals_where_the_errors_are_and_their_area_counts(tmp_path, drawn):
    errors = np.radians(np.array([10.0, 12, 14, -50, 175, 355]))
    plot_rose(errors, tmp_path / "rose.png", bins=8)
    (axes,) = drawn[0].axes
    assert axes.get_theta_offset() == pytest.approx(math.pi / 2)
    assert axes.get_theta_direction() == 1
    share = {
        round(math.degrees(bar.get_x() + bar.get_width() / 2), 1): bar.get_height() ** 2
        for bar in axes.patches
    }
    expected = dict.fromkeys([-157.5, -112.5, -67.5, -22.5, 22.5, 67.5, 112.5, 157.5], 0.0)
    expected |= {22.5: 3 / 6, -22.5: 1 / 6, -67.5: 1 / 6, 157.5: 1 / 6}
    assert share == pytest.approx(expected)
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == ["0° to 45°: 67%", "45° to 90°: 17%", "90° to 180°: 17%"]
    assert f"E_deg {np.mean([10, 12, 14, 50, 175, 5]):.1f}°, median 13.0°" in drawn[0].get_suptitle()


def test_images_are_told_from_cells_and_circles_have_their_share(tmp_path, drawn):
    errors = np.radians(np.array([10.0, 12, 14, -50, 175, 355]))
    plot_rose(errors, tmp_path / "rose.png", bins=8, of="6 images of 2 cells")
    plot_rose(errors, tmp_path / "rose.png", bins=8)
    assert "\n6 images of 2 cells\n" in drawn[0].get_suptitle()
    assert "\n6 images\n" in drawn[1].get_suptitle()
    (axes,) = drawn[0].axes
    marked = {text.get_text(): radius for text, radius in zip(axes.get_yticklabels(), axes.get_yticks())}
    assert marked["10%"] == pytest.approx(math.sqrt(0.1))
    assert len(marked) >= 3


def test_the_headline_of_a_choice_is_about_all(tmp_path, drawn):
    errors = np.linspace(0, 3, 100)
    rows = best_typical_worst(errors, 2)
    assert {name: row.tolist() for name, row in rows.items()} == {
        "best": [0, 1],
        "typical": [49, 50],
        "worst": [98, 99],
    }
    chosen = np.concatenate([*rows.values()])
    images = np.zeros((6, 4, 4), np.float32)
    out = tmp_path / "arrows.png"
    plot_arrows(images, errors[chosen], np.zeros(6), None, out, of="all", all_errors=errors, columns=2)
    assert drawn[0].get_suptitle().endswith(f"\nall, E_deg {np.degrees(errors.mean()):.1f}°")
    names = [axes.get_title() for axes in drawn[0].axes]
    assert names == [f"off by {np.degrees(errors[number]):.0f}°" for number in chosen]


def test_the_dashed_circle_of_a_rose_is_the_uniform_guess(tmp_path, drawn):
    errors = np.linspace(-np.pi, np.pi, 3200, endpoint=False) + 1e-6
    plot_rose(errors, tmp_path / "rose.png", bins=32)
    (axes,) = drawn[0].axes
    (guess,) = axes.lines
    np.testing.assert_allclose(guess.get_ydata(), np.sqrt(1 / 32))
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], np.sqrt(1 / 32))
