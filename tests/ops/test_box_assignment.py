"""Assignment equals the rule, candidate by candidate; samples hold what they may and are full."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.ops.box_assignment import assign_boxes, sample_balanced
from tests.strategies import arrays, masks

BOXES, CANDIDATES = 4, 7
# Few values, so that ties are frequent, both thresholds among them.
few_values = [float(np.float32(value)) for value in (0, 0.1, 0.3, 0.5, 0.7, 1)]
few_overlaps = arrays((BOXES, CANDIDATES), st.sampled_from(few_values))


@functools.cache
def compiled(low_quality):
    return jax.jit(
        functools.partial(assign_boxes, positive_from=0.7, negative_below=0.3, low_quality=low_quality)
    )


def by_the_rule(overlaps, where, low_quality):
    """Index of positives, and which candidates are positive and negative."""
    boxes, index, positive, negative = np.flatnonzero(where), [], [], []
    for column in overlaps.T:
        most = max((column[box] for box in boxes), default=0)
        index.append(next((box for box in boxes if column[box] == most), None))
        best = any(column[box] == overlaps[box].max() and column[box] > 0 for box in boxes)
        positive.append(len(boxes) > 0 and (most >= np.float32(0.7) or (low_quality and best)))
        negative.append(most < np.float32(0.3) and not positive[-1])
    return index, positive, negative


@pytest.mark.parametrize("low_quality", [False, True])
@given(overlaps=few_overlaps, where=masks(BOXES))
def test_assignment_equals_the_rule(low_quality, overlaps, where):
    found = compiled(low_quality)(overlaps, where=where)
    index, positive, negative = by_the_rule(overlaps, where, low_quality)
    assert found.positive.tolist() == positive
    assert found.negative.tolist() == negative
    assert found.index[found.positive].tolist() == [box for box, chosen in zip(index, positive) if chosen]
    assert not np.any(found.positive & found.negative)


@given(overlaps=few_overlaps, where=masks(BOXES))
def test_with_low_quality_no_box_that_overlaps_a_candidate_goes_without(overlaps, where):
    found = compiled(True)(overlaps, where=where)
    best = (overlaps == overlaps.max(axis=1, keepdims=True)) & (overlaps > 0) & where[:, None]
    assert np.all(found.positive[best.any(axis=0)])


@pytest.mark.parametrize("low_quality", [False, True])
def test_rows_of_boxes_that_do_not_exist_are_ignored(low_quality):
    overlaps = np.random.default_rng(0).uniform(size=(BOXES, CANDIDATES)).astype(np.float32)
    where = np.array([False, True, True, False])
    right = compiled(low_quality)(overlaps, where=where)
    for garbage in (np.nan, np.inf, 1.0, 0.0):
        overlaps[~where] = garbage
        found = compiled(low_quality)(overlaps, where=where)
        jax.tree.map(np.testing.assert_array_equal, found, right)
    alone = assign_boxes(
        overlaps[where], positive_from=0.7, negative_below=0.3, low_quality=low_quality, where=[True, True]
    )
    np.testing.assert_array_equal(right.index, alone.index + 1)


@pytest.mark.parametrize("low_quality", [False, True])
def test_without_boxes_all_candidates_are_negative(low_quality):
    no_rows = compiled(low_quality)(np.zeros((0, CANDIDATES), np.float32), where=np.zeros(0, bool))
    none_exist = compiled(low_quality)(np.ones((BOXES, CANDIDATES), np.float32), where=np.zeros(BOXES, bool))
    for found in (no_rows, none_exist):
        assert found.negative.all()
        assert not found.positive.any()
        assert not found.index.any()
    from_zero = assign_boxes(
        np.ones((BOXES, CANDIDATES)), positive_from=0.0, negative_below=0.0, where=np.zeros(BOXES, bool)
    )
    assert from_zero.negative.all()
    assert not from_zero.positive.any()


def test_without_candidates_there_is_nothing_to_assign():
    found = compiled(True)(np.zeros((BOXES, 0), np.float32), where=np.ones(BOXES, bool))
    assert [values.shape for values in found] == [(0,)] * 3


def test_a_mask_of_other_boxes_is_refused():
    with pytest.raises(ValueError, match=r"where has \(3,\), overlaps has \(4, 2\)"):
        assign_boxes(np.zeros((4, 2)), positive_from=0.7, negative_below=0.3, where=[True] * 3)


@functools.cache
def sampled(count, positives):
    return jax.jit(functools.partial(sample_balanced, count=count, positives=positives))


kinds = hnp.arrays(np.int32, (CANDIDATES,), elements=st.integers(0, 2))
# Of any size, and often equal.
any_priorities = arrays((CANDIDATES,), st.sampled_from([-1e9, 0, 0.25, 0.5, 0.75, 1, 1e9]))


@pytest.mark.parametrize(("count", "positives"), [(1, 1), (4, 2), (4, 0), (4, 6), (CANDIDATES, 3), (12, 5)])
@given(priorities=any_priorities, kind=kinds)
def test_a_sample_holds_the_positives_and_then_the_negatives_of_highest_priority(
    count, positives, priorities, kind
):
    sample = sampled(count, positives)(priorities, kind == 2, kind == 1)
    ranked = np.argsort(-priorities, kind="stable")
    of_kind = [[i for i in ranked if kind[i] == wanted] for wanted in (2, 1)]
    chosen = of_kind[0][: min(positives, count)]
    expected = (chosen + of_kind[1])[:count]
    assert sample.index.shape == sample.positive.shape == sample.taken.shape == (count,)
    assert sample.index[: len(expected)].tolist() == expected
    np.testing.assert_array_equal(sample.taken, np.arange(count) < len(expected))
    np.testing.assert_array_equal(sample.positive, np.arange(count) < len(chosen))
    # Slots that are not taken hold indices that can be read all the same.
    assert np.all((sample.index >= 0) & (sample.index < CANDIDATES))


def test_nothing_positive_nothing_negative_and_nothing_at_all():
    none, every = np.zeros(CANDIDATES, bool), np.ones(CANDIDATES, bool)
    priorities = np.linspace(0, 1, CANDIDATES)
    take = sampled(4, 2)
    only_negatives = take(priorities, none, every)
    assert only_negatives.taken.tolist() == [True] * 4
    assert not only_negatives.positive.any()
    only_positives = take(priorities, every, none)
    assert only_positives.taken.tolist() == [True, True, False, False]
    assert only_positives.index[:2].tolist() == [6, 5]
    assert not take(priorities, none, none).taken.any()
    no_candidates = sample_balanced([], [], [], count=3, positives=1)
    assert no_candidates.taken.tolist() == [False] * 3


def test_a_candidate_that_is_both_is_taken_once_as_a_positive():
    both = np.ones(CANDIDATES, bool)
    sample = sampled(12, 5)(np.linspace(0, 1, CANDIDATES), both, both)
    assert sample.taken.sum() == sample.positive.sum() == 5
    assert sample.index[:5].tolist() == [6, 5, 4, 3, 2]


def test_random_priorities_take_every_candidate_as_often():
    priorities = np.random.default_rng(0).uniform(size=(2000, CANDIDATES)).astype(np.float32)
    positive = np.arange(CANDIDATES) < 4
    sample = jax.jit(jax.vmap(sampled(4, 2), (0, None, None)))(priorities, positive, ~positive)
    assert sample.taken.all()
    taken = np.bincount(np.ravel(sample.index), minlength=CANDIDATES) / 2000
    np.testing.assert_allclose(taken, [2 / 4] * 4 + [2 / 3] * 3, atol=0.05)


def test_masks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"positive has \(3,\), negative has \(3, 1\)"):
        sample_balanced([0.0] * 3, [True] * 3, jnp.ones((3, 1), bool), count=2, positives=1)
