"""Curves have the given values, and the legend lists them, the best first."""

import numpy as np
import pytest

from cellmotion_jax.metrics.precision_curve import (
    LostReport,
    PrecisionCurve,
    SuccessCurve,
    lost_curve,
    precision_curve,
    success_curve,
)
from cellmotion_jax.report.tracking_scores import plot_lost, plot_precision, plot_success


@pytest.fixture(scope="module")
def curves() -> dict[str, PrecisionCurve]:
    errors = np.arange(60, dtype=np.float32)
    return {"worse": precision_curve(errors), "better": precision_curve(errors / 2)}


@pytest.fixture(scope="module")
def success() -> dict[str, SuccessCurve]:
    overlaps = np.linspace(0, 1, 21, dtype=np.float32)
    return {"worse": success_curve(overlaps**2), "better": success_curve(overlaps)}


@pytest.fixture(scope="module")
def lost() -> LostReport:
    errors = np.array([1.0, 50.0, 50.0, np.inf], np.float32)
    return lost_curve(errors, np.array([9.0, 3.0, 7.0, 0.0], np.float32), thresholds=(0.0, 5.0, 10.0))


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def styles(axes):
    """Colour and dash by the name at the end of each label."""
    named = {line.get_label().split("  ")[-1].split(" ")[0]: line for line in axes.lines}
    return {name: (line.get_color(), line.get_linestyle()) for name, line in named.items()}


def test_the_best_precision_at_20_px_comes_first(tmp_path, drawn, curves):
    plot_precision(curves, tmp_path / "a.png")
    (axes,) = drawn[0].axes
    assert [label.split(" (")[0] for label in legend(axes)] == ["0.683  better", "0.350  worse"]
    assert drawn[0].get_suptitle().endswith("0.683 within 20 px")
    better = next(line for line in axes.lines if "better" in line.get_label())
    np.testing.assert_array_equal(better.get_ydata(), curves["better"].precision)
    np.testing.assert_array_equal(better.get_xdata(), np.arange(51))


def test_a_name_has_the_same_style_in_both_pictures(tmp_path, drawn, curves, success):
    plot_precision(curves, tmp_path / "a.png")
    plot_success({**success, "best": success["better"]}, tmp_path / "b.png")
    first, second = (styles(figure.axes[0]) for figure in drawn)
    assert first["worse"] == second["worse"]
    assert first["better"] == second["better"]
    assert [label[7:] for label in legend(drawn[1].axes[0])] == ["better", "best", "worse"]
    assert len({second[name] for name in ("worse", "better", "best")}) == 3


def test_many_curves_are_all_different(tmp_path, drawn, curves):
    plot_precision({f"c{number}": curves["worse"] for number in range(20)}, tmp_path / "a.png")
    looks = styles(drawn[0].axes[0])
    assert len({looks[f"c{number}"] for number in range(20)}) == 20


def test_precision_and_recall_of_lost(tmp_path, drawn, lost):
    plot_lost([0.0, 5.0, 10.0], lost, tmp_path / "a.png", chosen=4.0)
    (axes,) = drawn[0].axes
    precision, recall, reported, away, chosen = axes.lines
    np.testing.assert_allclose(precision.get_ydata(), [np.nan, 1, 2 / 3])
    np.testing.assert_allclose(recall.get_ydata(), [0, 0.5, 1])
    np.testing.assert_allclose(reported.get_ydata(), [0.25, 0.5, 1])
    assert list(away.get_ydata()) == [0.75, 0.75]
    assert list(chosen.get_xdata()) == [4, 4]
    assert "lost below PSR 4: precision 1.00, recall 0.50" in drawn[0].get_suptitle()


def test_nothing_to_draw_is_refused(tmp_path, lost):
    with pytest.raises(ValueError, match="no curve to draw"):
        plot_precision({}, tmp_path / "a.png")
    with pytest.raises(ValueError, match="no curve to draw"):
        plot_success({}, tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"report has shape \(3,\), but there are 2 thresholds"):
        plot_lost([1.0, 2.0], lost, tmp_path / "a.png", chosen=1.0)
