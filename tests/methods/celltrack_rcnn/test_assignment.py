"""Joint assignment of links and divisions: the cheapest of all that are possible."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.assignment import AssignmentCosts, assign
from cellmotion_jax.methods.celltrack_rcnn.pair_features import (
    DIVISION_FEATURES,
    LINK_FEATURES,
    LogisticModel,
    Measured,
    PairMeasures,
    division_features,
    link_features,
    near_triples,
)

BY_LOOKS = LogisticModel(weights=(4.0, 0.0, 0.0, 0.0, 0.0))
"""The probability of a link is the visual score."""
NEVER = LogisticModel(weights=(0.0,) * 9, bias=-50.0)
BY_SISTERS = LogisticModel(weights=(0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0))
"""The probability of a division is the score that the daughters look alike."""
COSTS = AssignmentCosts()


def joint(pairs, link, division, *, costs, waiting=()):
    """The assignment with the same costs of births and ends everywhere."""
    ends = np.full(sum(len(part.visual) for part in (pairs, *waiting)), costs.end)
    births = np.full(pairs.visual.shape[1], costs.birth)
    return assign(pairs, link, division, births=births, ends=ends, costs=costs, waiting=waiting)


def measures(visual, *, alike=None, spread=1.0, seed=0):
    """Cells of about one size, all of them within reach of one another."""
    rng = np.random.default_rng(seed)
    visual = np.asarray(visual, float)
    earlier, later = visual.shape
    alike = np.full((later, later), -20.0) if alike is None else np.asarray(alike, float)

    def cells(count):
        return Measured(rng.normal(50, spread, (count, 2)), rng.uniform(60, 90, count))

    return PairMeasures(
        visual, np.zeros_like(visual), np.zeros_like(visual), alike, cells(earlier), cells(later)
    )


def random_measures(rng, earlier, later):
    visual = rng.normal(0, 4, (earlier, later))
    alike = rng.normal(0, 5, (later, later))
    return measures(visual, alike=(alike + alike.T) / 2, seed=int(rng.integers(2**16)))


def cost_of(source, pairs, costs):
    """Cost of links, divisions, births and ends; infinite if a cell has three successors."""
    total = 0.0
    odds = BY_LOOKS.log_odds(link_features(pairs))
    for cell in range(len(pairs.visual)):
        children = np.flatnonzero(source == cell)
        if not len(children):
            total += costs.end
        elif len(children) == 1:
            total += _cost(odds[cell, children[0]])
        elif len(children) == 2:
            (division,) = BY_SISTERS.log_odds(division_features(pairs, np.array([[cell, *children]])))
            total += _cost(division, denied=max(division, *odds[cell, children])) + costs.division
        else:
            return np.inf
    return total + costs.birth * np.count_nonzero(source < 0)


def _cost(odds, denied=None):
    """-log p, less what it would have cost to deny what is surest of that which the event stands for."""
    denied = odds if denied is None else denied
    return -scipy.special.log_expit(odds) + scipy.special.log_expit(-denied)


def test_without_divisions_it_is_the_linear_assignment_of_scipy():
    rng = np.random.default_rng(0)
    for earlier, later in ((5, 5), (4, 7), (6, 3)):
        pairs = random_measures(rng, earlier, later)
        found = joint(pairs, BY_LOOKS, NEVER, costs=COSTS)
        # The usual square: links, ends, births, and nothing.
        square = np.full((earlier + later, earlier + later), np.inf)
        square[:earlier, :later] = -pairs.visual.clip(-8, 8)
        np.fill_diagonal(square[:earlier, later:], COSTS.end)
        np.fill_diagonal(square[earlier:, :later], COSTS.birth)
        square[earlier:, later:] = 0
        rows, columns = scipy.optimize.linear_sum_assignment(square)
        expected = np.full(later, -1)
        linked = (rows < earlier) & (columns < later)
        expected[columns[linked]] = rows[linked]
        np.testing.assert_array_equal(found.source, expected)


def test_probabilities_are_those_of_the_links():
    pairs = measures([[3.0, -5.0, -20.0], [-3.0, 4.0, -1.0]], spread=1.0)
    found = joint(pairs, BY_LOOKS, NEVER, costs=dataclasses.replace(COSTS, birth=0.5, end=0.5))
    assert found.source.tolist() == [0, 1, -1]
    expected = scipy.special.expit([3.0, 4.0, 1.0])  # 1 minus expit(-1)
    np.testing.assert_allclose(found.probability, expected)


def test_doubtful_links_that_save_a_birth_do_not_displace_sure_ones():
    """Three cells stay; one more comes and one goes: each could have taken the place of the next."""
    doubtful = -1.0
    visual = np.full((4, 4), -8.0)
    for cell in range(3):
        visual[cell, cell], visual[cell, cell + 1] = 5.0, doubtful
    visual[3, 0] = doubtful
    found = joint(measures(visual), BY_LOOKS, NEVER, costs=COSTS)
    assert found.source.tolist() == [0, 1, 2, -1]


def test_births_and_ends_cost_what_is_said_of_each_cell():
    pairs = measures([[-3.0, -20.0], [-20.0, -3.0]])
    found = assign(
        pairs, BY_LOOKS, NEVER, births=np.array([1.0, 3.0]), ends=np.array([1.0, 1.0]), costs=COSTS
    )
    assert found.source.tolist() == [-1, 1]
    found = assign(
        pairs, BY_LOOKS, NEVER, births=np.array([1.0, 1.0]), ends=np.array([3.0, 1.0]), costs=COSTS
    )
    assert found.source.tolist() == [0, -1]


def test_a_probable_division_is_drawn_and_an_improbable_one_is_not():
    visual = [[1.0, 1.0], [-6.0, -6.0]]
    for odds, source in ((4.0, [0, 0]), (-20.0, [0, -1])):
        pairs = measures(visual, alike=np.full((2, 2), odds))
        found = joint(pairs, BY_LOOKS, BY_SISTERS, costs=COSTS)
        linked = found.source == 0
        assert linked.sum() == source.count(0)
        expected = odds if odds > 0 else 1.0
        np.testing.assert_allclose(found.probability[linked], scipy.special.expit(expected))


def test_a_mother_that_goes_on_does_not_divide_and_a_daughter_has_one_mother():
    """Both earlier cells would like to divide into all pairs of later ones."""
    alike = np.array([[0, 3, 2.5], [3, 0, 2.9], [2.5, 2.9, 0]])
    pairs = measures(np.full((2, 3), 2.0), alike=alike)
    found = joint(pairs, BY_LOOKS, BY_SISTERS, costs=COSTS)
    # One divides into the pair that is most alike, the other goes on as the third.
    assert found.source[0] == found.source[1] != found.source[2]
    assert found.source[2] >= 0


def test_divisions_cost_more_if_they_should():
    pairs = measures([[-1.0, -1.0]], alike=np.full((2, 2), 2.0))
    free = joint(pairs, BY_LOOKS, BY_SISTERS, costs=COSTS)
    dear = joint(pairs, BY_LOOKS, BY_SISTERS, costs=dataclasses.replace(COSTS, division=20.0))
    assert free.source.tolist() == [0, 0]
    assert sorted(dear.source.tolist()) == [-1, 0]


def test_a_division_is_not_drawn_beyond_its_reach():
    pairs = measures([[-6.0, -6.0]], alike=np.full((2, 2), 8.0))
    far = pairs._replace(later=pairs.later._replace(centre=pairs.later.centre + 40))
    assert joint(pairs, BY_LOOKS, BY_SISTERS, costs=COSTS).source.tolist() == [0, 0]
    assert len(near_triples(far)) == 0
    assert (joint(far, BY_LOOKS, BY_SISTERS, costs=COSTS).source == 0).sum() == 1


def test_a_track_that_ended_goes_on_across_a_gap_where_that_is_cheaper_than_a_birth():
    pairs = measures([[5.0, -9.0]])
    two, three = measures([[-9.0, -9.0], [-9.0, 4.0]]), measures([[-9.0, 3.0]])
    found = joint(pairs, BY_LOOKS, NEVER, costs=COSTS, waiting=[two, three])
    assert (found.source.tolist(), found.steps.tolist()) == ([0, 1], [1, 2])
    np.testing.assert_allclose(found.probability, scipy.special.expit([5.0, 4.0]))
    dear = dataclasses.replace(COSTS, gap=12.0)
    found = joint(pairs, BY_LOOKS, NEVER, costs=dear, waiting=[two, three])
    assert (found.source.tolist(), found.steps.tolist()) == ([0, -1], [1, 1])


def test_a_cell_that_was_one_with_its_neighbour_is_not_its_daughter():
    """Two that part look like daughters, until it is known that one of them was there before."""
    pairs = measures([[1.0, 1.0]], alike=np.full((2, 2), 0.5))
    assert joint(pairs, BY_LOOKS, BY_SISTERS, costs=COSTS).source.tolist() == [0, 0]
    found = joint(pairs, BY_LOOKS, BY_SISTERS, costs=COSTS, waiting=[measures([[-3.0, 5.0]])])
    assert (found.source.tolist(), found.steps.tolist()) == ([0, 0], [1, 2])


def test_after_an_empty_frame_tracks_go_on():
    none, before = measures(np.zeros((0, 2))), measures([[4.0, -4.0], [-4.0, 4.0]])
    found = joint(none, BY_LOOKS, NEVER, costs=COSTS, waiting=[before])
    assert (found.source.tolist(), found.steps.tolist()) == ([0, 1], [2, 2])


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.sampled_from([0.0, 1.0, 3.5]))
def test_no_other_assignment_across_gaps_is_cheaper(seed, gap):
    """Cells that ended are cells whose end has been paid: it costs nothing, and a link saves it."""
    costs = AssignmentCosts(birth=2.0, end=1.5, gap=gap)
    rng = np.random.default_rng(seed)
    parts = [random_measures(rng, 2, 3), random_measures(rng, 1, 3), random_measures(rng, 1, 3)]
    found = joint(parts[0], BY_LOOKS, NEVER, costs=costs, waiting=parts[1:])
    assert ((found.steps >= 1) & (found.steps <= 3)).all()
    link = -np.concatenate([BY_LOOKS.log_odds(link_features(part)) for part in parts])
    extra = np.array([0.0, 0.0, gap - costs.end, gap - costs.end])
    ends = np.array([costs.end, costs.end, 0.0, 0.0])

    def cost(source):
        linked = source[source >= 0]
        if len(set(linked)) < len(linked):
            return np.inf
        total = ends.sum() - ends[linked].sum() + costs.birth * np.count_nonzero(source < 0)
        return total + (link + extra[:, None])[linked, np.flatnonzero(source >= 0)].sum()

    best = min(cost(np.array(source)) for source in itertools.product(range(-1, 4), repeat=3))
    first = np.array([0, 0, 2, 3])[found.steps]
    source = np.where(found.source >= 0, first + found.source, -1)
    assert cost(source) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(("earlier", "later"), [(0, 3), (3, 0), (0, 0)])
def test_without_cells_in_one_frame_there_are_no_links(earlier, later):
    found = joint(measures(np.zeros((earlier, later))), BY_LOOKS, BY_SISTERS, costs=COSTS)
    assert found.source.tolist() == [-1] * later
    assert found.probability.tolist() == [1.0] * later


@pytest.mark.parametrize("costs", [AssignmentCosts(birth=0.0, end=0.0), AssignmentCosts(birth=0.1, end=0.1)])
def test_where_births_and_ends_cost_nothing_there_are_no_links(costs):
    """Unless they are more probable than not."""
    found = joint(measures(np.full((2, 2), -0.2)), BY_LOOKS, NEVER, costs=costs)
    assert found.source.tolist() == [-1, -1]
    np.testing.assert_allclose(found.probability, scipy.special.expit(0.2))


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.integers(1, 3), st.integers(1, 4), st.sampled_from([0.5, 2.0, 3.5]))
def test_no_other_assignment_is_cheaper(seed, earlier, later, cost):
    """Against all of them, one after another."""
    costs = AssignmentCosts(birth=cost, end=cost, division=0.3)
    pairs = random_measures(np.random.default_rng(seed), earlier, later)
    assert len(near_triples(pairs)) == earlier * later * (later - 1) // 2
    found = joint(pairs, BY_LOOKS, BY_SISTERS, costs=costs)
    assert np.bincount(found.source[found.source >= 0], minlength=1).max() <= 2
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    best = min(
        cost_of(np.array(source), pairs, costs)
        for source in itertools.product(range(-1, earlier), repeat=later)
    )
    assert cost_of(found.source, pairs, costs) == pytest.approx(best, abs=1e-6)


def test_many_cells_have_one_source_and_two_children_at_most():
    rng = np.random.default_rng(5)
    pairs = random_measures(rng, 40, 55)
    pairs = pairs._replace(
        earlier=Measured(rng.uniform(0, 90, (40, 2)), pairs.earlier.area),
        later=Measured(rng.uniform(0, 90, (55, 2)), pairs.later.area),
    )
    found = joint(pairs, BY_LOOKS, BY_SISTERS, costs=COSTS)
    children = np.bincount(found.source[found.source >= 0], minlength=40)
    assert children.max() == 2
    assert np.count_nonzero(children == 1) > 5


def test_models_of_other_features_are_refused_by_numpy():
    with pytest.raises(InputError, match="birth is -1"):
        AssignmentCosts(birth=-1.0)
    assert len(BY_LOOKS.weights) == len(LINK_FEATURES)
    assert len(BY_SISTERS.weights) == len(DIVISION_FEATURES)
