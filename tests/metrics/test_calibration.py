import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics import (
    LARGEST_KAPPA,
    arc_half_width,
    coverage_table,
    error_by_confidence,
    fit_concentration,
)
from tests.strategies import angle_arrays

KAPPAS = np.array([0, 1e-6, 0.1, 1, 5, 20, 49, 51, 1e3, 1e4, 1e6])


@pytest.mark.parametrize("coverage", [0.01, 0.5, 0.8, 0.95, 0.999])
def test_arcs_hold_what_they_should_by_adaptive_quadrature(coverage):
    """scipy's own quantile is no oracle here: above kappa = 50 it is a normal approximation."""
    for kappa, half_width in zip(KAPPAS, arc_half_width(KAPPAS, coverage)):

        def density(angle, kappa=kappa):
            return math.exp(-2 * kappa * math.sin(angle / 2) ** 2)

        inside, _ = scipy.integrate.quad(density, 0, half_width, epsabs=0, epsrel=1e-11)
        tail = min(math.pi, half_width + 10 / math.sqrt(max(kappa, 1)))
        outside, _ = scipy.integrate.quad(density, half_width, tail, epsabs=0, epsrel=1e-11)
        assert_allclose(inside / (inside + outside), coverage, rtol=1e-9)


def test_arcs_in_the_limits():
    assert_allclose(arc_half_width(0.0, np.linspace(0, 1, 5)), np.linspace(0, math.pi, 5))
    assert_array_equal(arc_half_width(KAPPAS, 0.0), 0)
    assert_array_equal(arc_half_width(KAPPAS, 1.0), math.pi)
    normal = scipy.stats.norm.ppf(0.975) / np.sqrt([1e6, 1e9])
    assert_allclose(arc_half_width(np.array([1e6, 1e9]), 0.95), normal, rtol=1e-6)


def test_arcs_shrink_with_kappa_and_grow_with_coverage():
    grid = arc_half_width(KAPPAS[1:, None], np.array([0.1, 0.5, 0.9, 0.99, 1 - 1e-9]))
    assert (np.diff(grid, axis=0) < 0).all()
    assert (np.diff(grid, axis=1) > 0).all()


@pytest.mark.parametrize(("kappa", "coverage"), [(-1.0, 0.5), (math.nan, 0.5), (math.inf, 0.5)])
def test_arcs_of_impossible_concentrations_are_refused(kappa, coverage):
    with pytest.raises(InputError, match="kappa must be finite and not negative"):
        arc_half_width(kappa, coverage)


@pytest.mark.parametrize("coverage", [-0.1, 50.0, math.nan])
def test_arcs_of_impossible_coverage_are_refused(coverage):
    with pytest.raises(InputError, match="coverage must be a share between 0 and 1"):
        arc_half_width(1.0, coverage)


@pytest.mark.parametrize("kappa", [0.5, 5.0, 1e3, 1e5])
def test_fitted_concentration_is_the_maximum_of_the_likelihood(kappa):
    errors = np.random.default_rng(0).vonmises(0, kappa, 400)
    fitted = fit_concentration(errors)
    assert_allclose(fitted, scipy.stats.vonmises.fit(errors, floc=0, fscale=1)[0], rtol=1e-5)
    assert_allclose(fitted, kappa, rtol=0.25)


def test_fitted_concentration_in_the_limits():
    assert fit_concentration(np.array([math.pi, 3.0, -2.5])) == 0
    assert fit_concentration(np.zeros(3)) == LARGEST_KAPPA
    assert fit_concentration(np.array([1e-5, -1e-5])) == LARGEST_KAPPA


@given(angle_arrays(6))
def test_fitted_concentration_takes_errors_of_any_sign_and_turn(errors):
    fitted = fit_concentration(errors)
    assert 0 <= fitted <= LARGEST_KAPPA
    assert fit_concentration(np.abs(errors)) == fitted
    assert_allclose(fit_concentration(errors.astype(float) + 2 * math.pi), fitted, rtol=1e-6, atol=1e-6)


def test_a_calibrated_prediction_covers_what_it_promises():
    rng = np.random.default_rng(0)
    kappa = rng.gamma(2, 5, 4000)
    table = coverage_table(rng.vonmises(0, kappa), kappa)
    assert_array_equal(table.level, [0.5, 0.8, 0.95])
    assert (np.abs(table.covered - table.level) < 3 * table.standard_error).all()
    assert (table.standard_error < 0.01).all()
    assert_allclose(table.half_width_deg[1], np.degrees(arc_half_width(kappa, 0.8)).mean())


def test_boasting_and_modesty_show_in_the_coverage():
    errors = np.random.default_rng(0).vonmises(0, 5, 1000)
    assert (coverage_table(errors, 50.0).covered < coverage_table(errors, 5.0).covered - 0.1).all()
    assert (coverage_table(errors, 0.5).covered > coverage_table(errors, 5.0).covered).all()


def test_coverage_wants_one_kappa_or_one_per_error():
    with pytest.raises(InputError, match=r"one number or one per error: \(2,\) for \(3,\)"):
        coverage_table(np.zeros(3), np.ones(2))


def test_error_by_confidence_sorts_into_even_bins():
    confidence = np.random.default_rng(0).permutation(25).astype(float)
    curve = error_by_confidence(-np.radians(50 - confidence), confidence, bins=4)
    assert_array_equal(curve.cells, [7, 6, 6, 6])
    assert_allclose(curve.confidence, [3, 9.5, 15.5, 21.5])
    assert_allclose(curve.error_deg, 50 - curve.confidence)


def test_one_bin_holds_the_mean_error_on_the_circle():
    curve = error_by_confidence(np.radians([350.0, -20.0]), np.array([np.inf, 1.0]), bins=1)
    assert_allclose(curve.error_deg, [15])


@pytest.mark.parametrize("bins", [0, 4])
def test_more_bins_than_cells_are_refused(bins):
    with pytest.raises(InputError, match=rf"between 1 and the number of errors, 3; got {bins}"):
        error_by_confidence(np.zeros(3), np.zeros(3), bins=bins)


@pytest.mark.parametrize("confidence", [np.zeros(2), np.array([1, 2, np.nan])])
def test_confidences_have_to_fit_the_errors(confidence):
    with pytest.raises(InputError, match="one number, not NaN, per error"):
        error_by_confidence(np.zeros(3), confidence)


@pytest.mark.parametrize("errors", [np.zeros(0), np.array([0.1, np.nan]), np.array([np.inf])])
def test_errors_that_cannot_be_averaged_are_refused(errors):
    for function in (fit_concentration, lambda e: coverage_table(e, 1.0)):
        with pytest.raises(InputError, match="at least one angle and only finite ones"):
            function(errors)
