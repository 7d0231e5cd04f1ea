"""Calibration pictures show the tables of ``metrics.calibration``."""

import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.report.confidence import plot_calibration, plot_error_by_confidence


def labelled(axes, start):
    return next(line for line in axes.lines if line.get_label().startswith(start))


@pytest.fixture(scope="module")
def honest():
    rng = np.random.default_rng(0)
    kappa = rng.gamma(2, 2, 2000)
    return rng.vonmises(0, kappa), kappa


def test_coverage_of_honest_concentrations_follows_the_diagonal(tmp_path, drawn, honest):
    plot_calibration(*honest, tmp_path / "calibration.png")
    observed = labelled(drawn[0].axes[0], "observed")
    np.testing.assert_allclose(observed.get_ydata(), observed.get_xdata(), atol=0.04)
    texts = " ".join(text.get_text() for text in drawn[0].axes[0].texts)
    assert "50% arcs" in texts
    assert "95% arcs" in texts


@pytest.mark.parametrize(("factor", "below"), [(4.0, True), (0.25, False)])
def test_coverage_is_below_the_diagonal_for_a_network_too_sure_of_itself(
    tmp_path, drawn, honest, factor, below
):
    errors, kappa = honest
    plot_calibration(errors, factor * kappa, tmp_path / "calibration.png")
    observed = labelled(drawn[0].axes[0], "observed")
    middle = slice(5, 20)
    assert ((observed.get_ydata() < observed.get_xdata())[middle] == below).all()


def test_error_falls_with_an_honest_confidence(tmp_path, drawn, honest):
    plot_error_by_confidence(*honest, tmp_path / "error.png", confidence_label="kappa")
    (axes,) = drawn[0].axes
    means = axes.containers[0].lines[0].get_ydata()
    assert len(means) == 8
    assert means[0] > 2 * means[-1]
    assert "kappa" in axes.get_xlabel()


def test_the_confidence_of_the_right_panel_may_be_another(tmp_path, drawn, honest):
    errors, kappa = honest
    constant = np.full_like(kappa, 2.0)
    plot_calibration(errors, constant, tmp_path / "a.png", confidence=kappa, confidence_label="length")
    assert drawn[0].axes[1].get_xlabel() == "length, least sure first"
    assert len(drawn[0].axes[1].containers[0].lines[0].get_ydata()) == 8


def test_a_constant_confidence_is_said_to_be_constant(tmp_path, drawn, honest):
    errors, _ = honest
    plot_error_by_confidence(errors, np.ones_like(errors), tmp_path / "error.png")
    (axes,) = drawn[0].axes
    assert len(axes.containers[0].lines[0].get_ydata()) == 1
    assert "the same for all" in axes.get_xlabel()


@pytest.mark.parametrize("cells", [1, 7, 25])
def test_few_cells_can_be_drawn(tmp_path, cells):
    errors = np.linspace(-3, 3, cells)
    plot_calibration(errors, np.linspace(0, 5, cells), tmp_path / "calibration.png")
    assert (tmp_path / "calibration.png").stat().st_size > 0


def test_no_cell_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least one"):
        plot_calibration(np.zeros(0), np.zeros(0), tmp_path / "calibration.png")
