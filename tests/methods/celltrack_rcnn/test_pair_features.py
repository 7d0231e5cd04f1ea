"""Features of pairs and triples of cells, and the regressions on them."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.methods.celltrack_rcnn.pair_features import (
    DIVISION_FEATURES,
    DIVISION_REACH,
    LINK_FEATURES,
    MOST_DISTANCE,
    MOST_LOGIT,
    NO_DIVISIONS,
    NO_LINKS,
    Examples,
    LogisticModel,
    Measured,
    PairMeasures,
    division_features,
    fit_logistic,
    link_features,
    near_triples,
    relative_distances,
)

DISC = np.pi * 25
"""Area of a cell of diameter 10."""


def measures(seed=0, earlier=4, later=5, *, span=30.0):
    rng = np.random.default_rng(seed)

    def cells(count):
        return Measured(rng.uniform(0, span, (count, 2)), rng.uniform(40, 160, count))

    before, after = cells(earlier), cells(later)
    least = np.minimum(before.area[:, None], after.area[None])
    visual, spatial = rng.normal(0, 6, (2, earlier, later))
    alike = rng.normal(0, 6, (later, later))
    shared = rng.uniform(0, 1, (earlier, later)) * least
    return PairMeasures(visual, spatial, shared, (alike + alike.T) / 2, before, after)


def test_features_of_a_link_are_those_that_their_names_say():
    pairs = PairMeasures(
        visual=np.array([[2.0, -30.0]]),
        spatial=np.array([[-4.0, 0.0]]),
        shared=np.array([[DISC / 2, 0.0]]),
        alike=np.zeros((2, 2)),
        earlier=Measured(np.array([[10.0, 10.0]]), np.array([DISC])),
        later=Measured(np.array([[13.0, 14.0], [90.0, 90.0]]), np.array([DISC, 4 * DISC])),
    )
    first, second = link_features(pairs)[0]
    assert dict(zip(LINK_FEATURES, first)) == pytest.approx(
        {"visual": 0.5, "spatial": -1.0, "overlap": 1 / 3, "distance": 0.5, "area_ratio": 0.0}
    )
    assert dict(zip(LINK_FEATURES, second)) == pytest.approx(
        {
            "visual": -MOST_LOGIT / 4,
            "spatial": 0.0,
            "overlap": 0.0,
            "distance": MOST_DISTANCE,
            "area_ratio": np.log(4),
        }
    )


def test_features_of_a_division_are_those_that_their_names_say():
    pairs = PairMeasures(
        visual=np.array([[-1.0, 2.0]]),
        spatial=np.array([[4.0, -2.0]]),
        shared=np.array([[DISC / 4, DISC / 2]]),
        alike=np.array([[0.0, 6.0], [6.0, 0.0]]),
        earlier=Measured(np.array([[20.0, 20.0]]), np.array([2 * DISC])),
        later=Measured(np.array([[20.0, 14.0], [20.0, 30.0]]), np.array([DISC, DISC / 2])),
    )
    triples = near_triples(pairs)
    assert triples.tolist() == [[0, 0, 1]]
    (found,) = division_features(pairs, triples)
    diameter = 10 * np.sqrt(2)
    assert dict(zip(DIVISION_FEATURES, found)) == pytest.approx(
        {
            "visual_first": 0.5,
            "visual_second": -0.25,
            "spatial": 0.5,
            "overlap": 0.5,
            "alike": 1.5,
            "midpoint": 2 / diameter,
            "sisters": 16 / diameter,
            "sister_ratio": np.log(2),
            "sum_ratio": np.log(4 / 3),
        }
    )


@given(st.integers(0, 2**16))
def test_a_division_is_the_same_if_the_daughters_change_places(seed):
    pairs = measures(seed)
    triples = near_triples(pairs)
    np.testing.assert_allclose(
        division_features(pairs, triples), division_features(pairs, triples[:, [0, 2, 1]]), atol=1e-12
    )


@given(st.integers(0, 2**16), st.integers(0, 5), st.integers(0, 5))
def test_features_are_finite_and_of_about_unit_size(seed, earlier, later):
    pairs = measures(seed, earlier, later, span=300.0)
    links, triples = link_features(pairs), near_triples(pairs)
    divisions = division_features(pairs, triples)
    assert links.shape == (earlier, later, len(LINK_FEATURES))
    assert divisions.shape == (len(triples), len(DIVISION_FEATURES))
    for features in (links, divisions):
        assert np.isfinite(features).all()
        assert np.abs(features).max(initial=0) <= 2 * MOST_DISTANCE


@given(st.integers(0, 2**16), st.floats(10, 100))
def test_triples_are_all_pairs_of_cells_within_reach(seed, span):
    pairs = measures(seed, span=span)
    near = relative_distances(pairs) < DIVISION_REACH
    expected = [
        (mother, first, second)
        for mother in range(4)
        for first in range(5)
        for second in range(first + 1, 5)
        if near[mother, first] and near[mother, second]
    ]
    assert [tuple(triple) for triple in near_triples(pairs)] == expected


def test_features_are_the_same_at_any_scale():
    pairs = measures(span=20.0)
    large = pairs._replace(
        shared=pairs.shared * 9,
        earlier=Measured(pairs.earlier.centre * 3, pairs.earlier.area * 9),
        later=Measured(pairs.later.centre * 3, pairs.later.area * 9),
    )
    np.testing.assert_allclose(link_features(large), link_features(pairs))
    triples = near_triples(pairs)
    assert len(triples) > 5
    np.testing.assert_allclose(division_features(large, triples), division_features(pairs, triples))


def test_a_known_model_is_recovered_from_its_own_examples():
    rng = np.random.default_rng(0)
    truth = LogisticModel(weights=(2.0, -1.0, 0.0), bias=-0.5)
    parts = []
    for count in (20_000, 7_000):
        features = rng.normal(size=(count, 3))
        chance = scipy.special.expit(truth.log_odds(features))
        parts.append(Examples(features, rng.random(count) < chance))
    found = fit_logistic(parts)
    np.testing.assert_allclose(found.weights, truth.weights, atol=0.06)
    assert found.bias == pytest.approx(truth.bias, abs=0.05)


def test_a_feature_that_tells_all_apart_has_a_finite_weight():
    features = np.linspace(-2, 2, 100)[:, None]
    found = fit_logistic([Examples(features, features[:, 0] > 0)])
    assert 5 < found.weights[0] < 1000
    odds = found.log_odds(features)
    np.testing.assert_array_equal(odds > 0, features[:, 0] > 0)


@pytest.mark.parametrize("true", [True, False])
def test_where_all_examples_are_of_one_kind_the_model_says_so(true):
    features = np.random.default_rng(0).normal(size=(300, 4))
    found = fit_logistic([Examples(features, np.full(300, true))])
    odds = found.log_odds(features)
    assert (odds > 5).all() if true else (odds < -5).all()
    assert np.isfinite(found.weights).all()


def test_without_examples_nothing_is_held_for_true():
    """No two cells of the training lie within reach of a third, say: then none is a daughter."""
    none = Examples(np.zeros((0, 9)), np.zeros(0, bool))
    found = fit_logistic([none, none])
    assert found.weights == (0.0,) * 9
    assert found.bias < -12  # Less probable than two births and an end


def test_before_the_fit_all_pairs_have_the_probability_one_half():
    pairs = measures()
    assert not NO_LINKS.log_odds(link_features(pairs)).any()
    assert not NO_DIVISIONS.log_odds(division_features(pairs, near_triples(pairs))).any()
