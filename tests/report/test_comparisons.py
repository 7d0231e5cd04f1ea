"""The table picture holds the numbers it was given, beside those of the paper."""

import numpy as np
import pytest

from cellmotion_jax.methods.direction.objective import (
    AngleLoss,
    AngleObjective,
    CircleActivation,
    CircleLoss,
    CircleObjective,
)
from cellmotion_jax.report.comparisons import TABLE_3, Spread, plot_grid, plot_tta


def test_the_papers_table_is_keyed_by_the_labels_of_the_objectives():
    labels = [AngleObjective(loss=loss).label for loss in AngleLoss] + [
        CircleObjective(activation=activation, loss=loss).label
        for activation in CircleActivation
        for loss in CircleLoss
    ]
    assert TABLE_3.keys() == {"NIH3T3", "U373"}
    assert all(set(column) == set(labels) for column in TABLE_3.values())


def test_the_grid_writes_every_number_and_the_best_in_bold(tmp_path, drawn):
    results = {
        "by image": {"2N sigmoid dist": Spread(20.25, 1.5), "1N cyclic cosine": Spread(35.5, 4.0)},
        "by track": {"2N sigmoid dist": Spread(41.75, 6.25)},
    }
    plot_grid(results, tmp_path / "grid.png")
    axes, table = drawn[0].axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["2N sigmoid dist", "1N cyclic cosine"]
    texts = {text.get_text(): text for text in table.texts}
    assert {"20.25 ± 1.50", "35.50 ± 4.00", "41.75 ± 6.25", "22.92 ± 2.15", "33.79 ± 3.76"} <= texts.keys()
    assert texts["20.25 ± 1.50"].get_fontweight() == "bold"
    assert texts["35.50 ± 4.00"].get_fontweight() == "normal"
    assert "paper\nU373" in texts


def test_the_grid_without_the_paper_shows_only_results(tmp_path, drawn):
    plot_grid({"by movie": {"2N von Mises": Spread(12.0, 0.0)}}, tmp_path / "grid.png", paper={})
    assert [text.get_text() for text in drawn[0].axes[1].texts] == ["by movie", "12.00"]


def test_a_configuration_that_the_paper_lacks_is_shown_alone(tmp_path, drawn):
    plot_grid({"by movie": {"2N von Mises": Spread(12.0, 0.0)}}, tmp_path / "grid.png")
    assert [text.get_text() for text in drawn[0].axes[1].texts] == ["by movie", "12.00"]


def test_an_empty_grid_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no configuration"):
        plot_grid({}, tmp_path / "grid.png")


def test_augmentation_curves_show_mean_and_largest_error_estimate(tmp_path, drawn):
    versions = np.array([1, 2, 6])
    mean, std = np.array([20.0, 19.0, 18.0]), np.array([2.0, 1.0, 0.5])
    plot_tta(versions, mean, std, tmp_path / "tta.png")
    (axes,) = drawn[0].axes
    drawn_y = [list(line.get_ydata()) for line in axes.lines]
    assert [20.0, 19.0, 18.0] in drawn_y
    assert [26.0, 22.0, 19.5] in drawn_y
    assert "20.0° with 1, 18.0° with 6 versions (-2.0°)" in drawn[0].get_suptitle()


def test_a_single_fold_has_no_spread_in_the_picture_nor_in_its_caption(tmp_path, drawn):
    plot_tta(np.array([1, 2]), np.array([20.0, 19.0]), np.zeros(2), tmp_path / "tta.png")
    (axes,) = drawn[0].axes
    assert len(axes.lines) == 2
    assert "bars" not in drawn[0].get_supxlabel()


def test_several_fusions_are_drawn_under_their_names(tmp_path, drawn):
    both = np.array([[20.0, 18.0], [20.0, 17.0]])
    plot_tta(np.array([1, 2]), both, both / 10, tmp_path / "tta.png", fusions=("paper", "circular mean"))
    labels = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]
    assert labels == ["paper", "circular mean"]


def test_shapes_that_do_not_fit_are_refused(tmp_path):
    out, versions = tmp_path / "tta.png", np.array([1, 2])
    with pytest.raises(ValueError, match=r"versions has \(2,\).*mean has \(3,\)"):
        plot_tta(versions, np.zeros(3), np.zeros(3), out)
    with pytest.raises(ValueError, match="fusions names 1 rows, mean has 2"):
        plot_tta(versions, np.zeros((2, 2)), np.zeros((2, 2)), out)
