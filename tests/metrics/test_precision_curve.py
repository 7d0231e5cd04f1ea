"""Curves and reports compared with counting by hand, with masked and missing values."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax.metrics.precision_curve import (
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    centre_errors,
    lost_curve,
    lost_report,
    precision_curve,
    success_curve,
)
from tests.strategies import masks

SHAPE = (3, 4)
# Halves make many errors equal to a threshold.
ERRORS = hnp.arrays(
    np.float32, SHAPE, elements=st.one_of(st.integers(0, 110).map(lambda n: n / 2), st.just(float("inf")))
)
OVERLAPS = hnp.arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.95, 1.0]))
CONFIDENCE = hnp.arrays(
    np.float32, SHAPE, elements=st.sampled_from([-1.0, 0.0, 2.0, 5.0, 9.0, float("nan"), float("inf")])
)
LEVELS = (-2.0, 0.0, 2.0, 4.0, 9.0, 20.0)


compiled_precision, compiled_success = jax.jit(precision_curve), jax.jit(success_curve)
compiled_report = jax.jit(lost_report)
compiled_lost = jax.jit(lost_curve, static_argnames="thresholds")


def share(part, whole):
    return part / whole if whole else 0.0


def test_distances_are_euclidean_and_infinite_where_a_point_is_missing():
    predictions = np.array([[0, 0], [3, 4], [np.nan, 1], [1, 1]], np.float32)
    targets = np.array([[0, 0], [0, 0], [0, 0], [1, np.nan]], np.float32)
    assert centre_errors(predictions, targets).tolist() == [0, 5, np.inf, np.inf]
    gradient = jax.grad(lambda points: centre_errors(points, targets)[:2].sum())(predictions)
    assert_allclose(gradient, [[0, 0], [0.6, 0.8], [0, 0], [0, 0]], rtol=1e-6)
    with pytest.raises(ValueError, match=r"predictions has \(4, 2\), targets has \(2,\)"):
        centre_errors(predictions, targets[0])


@given(ERRORS, masks(*SHAPE))
def test_precision_is_the_share_at_or_below_each_threshold(errors, where):
    curve = compiled_precision(errors, where)
    counted = errors[where]
    expected = [share((counted <= t).sum(), counted.size) for t in PRECISION_THRESHOLDS]
    assert_array_equal(curve.thresholds, np.arange(51))
    assert_allclose(curve.precision, expected, rtol=1e-6)
    assert_allclose(curve.at_20, expected[20], rtol=1e-6)
    assert_allclose(curve.area, np.mean(expected), rtol=1e-6)
    assert (np.diff(curve.precision) >= 0).all()


@given(OVERLAPS, masks(*SHAPE))
def test_success_is_the_share_above_each_threshold(overlaps, where):
    curve = compiled_success(overlaps, where)
    counted = overlaps[where]
    expected = [share((counted > np.float32(t)).sum(), counted.size) for t in SUCCESS_THRESHOLDS]
    assert_allclose(curve.success, expected, rtol=1e-6)
    assert_allclose(curve.area, np.mean(expected), rtol=1e-6)
    assert curve.success[-1] == 0


@given(ERRORS, CONFIDENCE, masks(*SHAPE))
def test_the_flag_is_judged_where_the_track_has_a_position(errors, confidence, where):
    curve = compiled_lost(errors, confidence, where, thresholds=LEVELS, distance=10.0)
    placed, away = where & np.isfinite(errors), where & np.isfinite(errors) & (errors > 10)
    for i, level in enumerate(LEVELS):
        flagged = confidence < level
        found = curve.reported[i], curve.precision[i], curve.recall[i]
        expected = (
            share((where & (flagged | ~placed)).sum(), where.sum()),
            share((flagged & away).sum(), (flagged & placed).sum()),
            share((flagged & away).sum(), away.sum()),
        )
        assert_allclose(found, expected, rtol=1e-6)
        report = compiled_report(errors, flagged, where, distance=10.0)
        assert_allclose((report.reported, report.precision, report.recall), expected, rtol=1e-6)
    assert_allclose(curve.away, share((where & (errors > 10)).sum(), where.sum()), rtol=1e-6)
    assert_allclose(curve.unplaced, share((where & ~placed).sum(), where.sum()), rtol=1e-6)


def test_what_is_masked_reaches_nothing():
    errors = np.array([1.0, 30.0, np.nan, np.inf], np.float32)
    where = np.array([True, True, False, False])
    for all_of, part in zip(
        [precision_curve(errors, where), lost_curve(errors, errors, where, thresholds=[5.0])],
        [precision_curve(errors[:2]), lost_curve(errors[:2], errors[:2], thresholds=[5.0])],
    ):
        jax.tree.map(assert_array_equal, all_of, part)


def test_nothing_gives_zero_and_not_nan():
    none = np.zeros((0, 3), np.float32)
    for result in (
        precision_curve(none),
        success_curve(none),
        lost_curve(none, none, thresholds=[1.0]),
        lost_report(none, none > 0),
    ):
        for name, values in result._asdict().items():
            if name != "thresholds":
                assert not np.asarray(values).any()


def test_a_track_that_ends_at_once_misses_everything_and_misleads_nobody():
    errors, never = np.full(5, np.inf, np.float32), np.zeros(5, bool)
    assert precision_curve(errors).area == 0
    report = lost_report(errors, never)
    assert (report.reported, report.away, report.precision, report.recall) == (1, 1, 0, 0)


def test_shapes_that_do_not_fit_and_no_threshold_are_refused():
    errors = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"errors has \(2, 3\), where has \(3,\)"):
        precision_curve(errors, np.ones(3, bool))
    with pytest.raises(ValueError, match=r"flagged has \(3,\)"):
        lost_report(errors, np.ones(3, bool))
    with pytest.raises(ValueError, match="thresholds must hold at least one number"):
        success_curve(errors, thresholds=())
