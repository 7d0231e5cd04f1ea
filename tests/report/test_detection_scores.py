"""Curves and bars have the given F-scores, those of the paper under its own names."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cellmotion_jax.report.detection_scores import (
    PART_COLORS,
    plot_models,
    plot_parameter_curve,
)

H = (0.1, 0.2, 0.3)


def test_curves_show_the_scores_of_every_part_and_the_chosen_h(tmp_path, drawn):
    scores = {"validation": [0.8, 0.95, 0.9], "test": [0.75, 0.93, 0.94]}
    plot_parameter_curve(H, scores, tmp_path / "h.png", chosen=0.1 + 0.1, parameter="h")
    (axes,) = drawn[0].axes
    validation, test, chosen = axes.lines
    assert list(validation.get_ydata()) == scores["validation"]
    assert list(test.get_ydata()) == scores["test"]
    assert list(chosen.get_xdata()) == [0.2, 0.2]
    assert [line.get_color() for line in (validation, test)] == [
        PART_COLORS["validation"],
        PART_COLORS["test"],
    ]
    assert "h = 0.2: validation 0.950, test 0.930" in drawn[0].get_suptitle()
    assert axes.get_ylim() == pytest.approx((0.69, 1.01))


def test_scores_that_are_missing_are_gaps(tmp_path, drawn):
    plot_parameter_curve(
        H, {"test": [np.nan] * 3, "other": [0.5, np.nan, 0.6]}, tmp_path / "h.png", chosen=0.2, parameter="h"
    )
    (axes,) = drawn[0].axes
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [0.5, np.nan, 0.6])
    plot_parameter_curve(H, {"test": [np.nan] * 3}, tmp_path / "h.png", chosen=0.2, parameter="h")
    assert drawn[1].axes[0].get_ylim() == pytest.approx((-0.01, 1.01))


def test_an_h_that_was_not_tried_cannot_be_chosen(tmp_path):
    with pytest.raises(ValueError, match=r"chosen is 0.25, but values are 0.1, 0.2, 0.3"):
        plot_parameter_curve(H, {"test": [0.5, 0.6, 0.7]}, tmp_path / "h.png", chosen=0.25, parameter="h")


def test_bars_show_every_score_and_the_best_in_bold(tmp_path, drawn):
    scores = {"dependent": [0.9, 0.8, np.nan], "independent": [0.5, 0.75, 0.25]}
    plot_models(["both", "inner", "outer"], scores, tmp_path / "models.png")
    (axes,) = drawn[0].axes
    bars = [[bar.get_width() for bar in container] for container in axes.containers]
    assert bars == [[0.9, 0.8, 0.0], [0.5, 0.75, 0.25]]
    weights = {text.get_text(): text.get_fontweight() for text in axes.texts}
    assert {text for text, weight in weights.items() if weight == "bold"} == {"0.900", "0.750"}
    assert "not tried" in weights
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["both", "inner", "outer"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["dependent", "independent"]
    colors = {to_hex(container[0].get_facecolor()) for container in axes.containers}
    assert len(colors) == 2


def test_bars_of_one_model_do_not_overlap(tmp_path, drawn):
    plot_models(["a", "b"], {"x": [0.1, 0.2], "y": [0.3, 0.4], "z": [0.5, 0.6]}, tmp_path / "models.png")
    spans = sorted(
        (bar.get_y(), bar.get_y() + bar.get_height())
        for container in drawn[0].axes[0].containers
        for bar in container
    )
    assert all(this[1] <= following[0] + 1e-9 for this, following in itertools.pairwise(spans))


def test_the_papers_table_is_drawn_beside_it_on_the_same_scale(tmp_path, drawn):
    paper = {"dependent": (0.9125, 0.874), "independent": (0.8635, 0.823)}
    plot_models(["both", "inner"], {"test": [0.9, 0.8]}, tmp_path / "models.png", paper=paper)
    here, published = drawn[0].axes
    assert here.get_xlim() == published.get_xlim()
    assert here.get_ylim() == published.get_ylim()
    assert len(here.containers) == 1
    drawn_scores = {bars.get_label(): tuple(bar.get_width() for bar in bars) for bars in published.containers}
    assert drawn_scores == paper


def test_lengths_that_do_not_fit_are_refused(tmp_path):
    out = tmp_path / "models.png"
    with pytest.raises(ValueError, match="test has 2 scores, but there are 3 values"):
        plot_parameter_curve(H, {"test": [0.1, 0.2]}, out, chosen=0.1, parameter="h")
    with pytest.raises(ValueError, match="there is no score"):
        plot_parameter_curve(H, {}, out, chosen=0.1, parameter="h")
    with pytest.raises(ValueError, match="dependent has 1 scores, but there are 2 names"):
        plot_models(["a", "b"], {"dependent": [0.5]}, out)
    with pytest.raises(ValueError, match="CAMA has 3 scores, but there are 2 names"):
        plot_models(["a", "b"], {"dependent": [0.5, 0.5]}, out, paper={"CAMA": [0.1, 0.2, 0.3]})
    with pytest.raises(ValueError, match="there is no score"):
        plot_models([], {}, out)
