"""Pictures of probabilities of links, and of the cells that look most alike."""

import numpy as np
import pytest

from cellmotion_jax.report.figures import GREEN
from cellmotion_jax.report.links import Lookalikes, plot_link_probabilities, plot_lookalikes

RNG = np.random.default_rng(0)


def test_probabilities_that_are_right_lie_on_the_diagonal(tmp_path, drawn):
    probability = RNG.random(20_000)
    plot_link_probabilities(
        probability, RNG.random(20_000) < probability, tmp_path / "links.png", title="Links"
    )
    assert (tmp_path / "links.png").stat().st_size > 10_000
    title, _, error = drawn[0].get_suptitle().rpartition(" ")
    assert title == "Links: expected calibration error"
    assert float(error) < 0.02
    dots = drawn[0].axes[0].collections[0].get_offsets()
    assert len(dots) == 10
    np.testing.assert_allclose(dots[:, 0], dots[:, 1], atol=0.05)
    np.testing.assert_allclose(dots[:, 0], np.arange(0.05, 1, 0.1), atol=0.01)


def test_the_calibration_error_is_the_mean_distance_from_the_diagonal(tmp_path, drawn):
    probability = np.array([0.9, 0.9, 0.9, 0.9, 0.1, 1.0])
    true = np.array([True, False, False, True, False, True])
    plot_link_probabilities(probability, true, tmp_path / "links.png", title="Links")
    # Of the highest bin 3 of 5 are true, with probabilities of 0.92 in the mean; of the other none.
    assert drawn[0].get_suptitle() == f"Links: expected calibration error {(5 * 0.32 + 0.1) / 6:.3f}"
    legend = drawn[0].axes[1].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["linked in truth (3)", "not linked (3)"]
    counts = [[patch.get_height() for patch in bars] for bars in drawn[0].axes[1].containers]
    assert [sum(count) for count in counts] == [3, 3]


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("true", [True, False])
def test_no_pair_and_one_pair(tmp_path, drawn, count, true):
    plot_link_probabilities(np.full(count, 0.25), np.full(count, true), tmp_path / "links.png", title="Links")
    assert (tmp_path / "links.png").stat().st_size > 10_000
    error = abs(true - 0.25) * count
    assert drawn[0].get_suptitle().endswith(f"{error:.3f}")


def row(neighbours, right=None):
    images = RNG.normal(size=(neighbours + 1, 9, 9))
    return Lookalikes(images[0], list(images[1:]), np.linspace(0.9, 0.1, neighbours).tolist(), right)


@pytest.mark.parametrize(("rows", "neighbours"), [(1, 0), (1, 1), (6, 5)])
def test_cells_are_drawn_beside_those_most_alike(tmp_path, drawn, rows, neighbours):
    plot_lookalikes([row(neighbours) for _ in range(rows)], tmp_path / "cells.png", title="Alike")
    assert (tmp_path / "cells.png").stat().st_size > 5_000
    assert len(drawn[0].axes) == rows * (neighbours + 1)
    assert drawn[0].get_suptitle() == "Alike"


def test_the_right_one_has_a_green_frame_and_all_have_their_score(tmp_path, drawn):
    plot_lookalikes([row(3, right=1), row(3)], tmp_path / "cells.png", title="Alike")
    axes = drawn[0].axes
    green = [
        index for index, panel in enumerate(axes) if panel.spines["left"].get_edgecolor() == _rgba(GREEN)
    ]
    assert green == [2]
    assert [panel.get_title() for panel in axes[:4]] == ["", "0.90", "0.50", "0.10"]


def _rgba(colour):
    return (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1)
