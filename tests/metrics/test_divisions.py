"""Divisions counted on small lineages; a track is drawn as its label in every frame."""

import types

import numpy as np
import pytest

from cellmotion_jax.metrics import FrameMatches, division_counts


def table(*rows):
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    return types.SimpleNamespace(**dict(zip(("label", "begin", "end", "parent"), columns)))


def matches(frames, partner):
    """Every frame's labels of the reference with the labels of the result that they match."""
    return [
        FrameMatches(
            np.array(sorted(there)),
            np.array(sorted(set(partner[t].values()))),
            np.array([partner[t].get(label, 0) for label in sorted(there)]),
            np.ones(len(there)),
        )
        for t, there in enumerate(frames)
    ]


# 1 1 1 -> 2 2, 3 3
MOTHER = table((1, 0, 2, 0), (2, 3, 4, 1), (3, 3, 4, 1))
FRAMES = [{1}, {1}, {1}, {2, 3}, {2, 3}]
SAME = [{1: 1}, {1: 1}, {1: 1}, {2: 2, 3: 3}, {2: 2, 3: 3}]


def numbers(counts):
    return tuple(int(number) for number in counts)


def test_a_perfect_result_has_every_division():
    assert numbers(division_counts(matches(FRAMES, SAME), MOTHER, MOTHER)) == (1, 0, 0)


def test_a_result_without_divisions_misses_them():
    alone = table((1, 0, 2, 0), (2, 3, 4, 0), (3, 3, 4, 0))
    assert numbers(division_counts(matches(FRAMES, SAME), MOTHER, alone)) == (0, 0, 1)


@pytest.mark.parametrize(("tolerance", "right"), [(0, (0, 1, 1)), (1, (1, 0, 0)), (2, (1, 0, 0))])
def test_a_division_one_frame_late_is_right_with_a_tolerance_of_one(tolerance, right):
    # In frame 3 the mother is still seen in place of daughter 2; daughter 3 is not found.
    late = table((1, 0, 3, 0), (2, 4, 4, 1), (3, 4, 4, 1))
    partner = [{1: 1}, {1: 1}, {1: 1}, {2: 1}, {2: 2, 3: 3}]
    assert numbers(division_counts(matches(FRAMES, partner), MOTHER, late, tolerance=tolerance)) == right


@pytest.mark.parametrize(("tolerance", "right"), [(0, (0, 1, 1)), (1, (1, 0, 0))])
def test_a_division_one_frame_early_is_right_with_a_tolerance_of_one(tolerance, right):
    early = table((1, 0, 1, 0), (2, 2, 4, 1), (3, 2, 4, 1))
    partner = [{1: 1}, {1: 1}, {1: 2}, {2: 2, 3: 3}, {2: 2, 3: 3}]
    assert numbers(division_counts(matches(FRAMES, partner), MOTHER, early, tolerance=tolerance)) == right


def test_daughters_of_another_mother_are_a_false_division_and_a_missed_one():
    frames = [{1, 9}, {2, 3, 9}]
    true, found = (
        table((1, 0, 0, 0), (2, 1, 1, 1), (3, 1, 1, 1), (9, 0, 1, 0)),
        table((1, 0, 0, 0), (9, 0, 0, 0), (2, 1, 1, 9), (3, 1, 1, 9), (4, 1, 1, 0)),
    )
    partner = [{1: 1, 9: 9}, {2: 2, 3: 3, 9: 4}]
    assert numbers(division_counts(matches(frames, partner), true, found, tolerance=5)) == (0, 1, 1)


def test_an_only_child_is_no_division():
    chain = table((1, 0, 1, 0), (2, 2, 4, 1))
    frames = [{1}, {1}, {2}, {2}, {2}]
    partner = [{label: label for label in there} for there in frames]
    assert numbers(division_counts(matches(frames, partner), chain, chain)) == (0, 0, 0)


def test_divisions_beyond_the_frames_do_not_count():
    assert numbers(division_counts(matches(FRAMES[:3], SAME[:3]), MOTHER, MOTHER)) == (0, 0, 0)
    shifted = table((1, 10, 12, 0), (2, 13, 14, 1), (3, 13, 14, 1))
    found = division_counts(matches(FRAMES, SAME), shifted, shifted, first_frame=10)
    assert numbers(found) == (1, 0, 0)


def test_one_division_of_the_result_is_counted_once():
    # Two true divisions of one cell and its daughter, the result has only the second.
    true = table((1, 0, 0, 0), (2, 1, 1, 1), (3, 1, 2, 1), (4, 2, 2, 2), (5, 2, 2, 2))
    found = table((1, 0, 0, 0), (3, 1, 2, 0), (2, 1, 1, 0), (4, 2, 2, 2), (5, 2, 2, 2))
    frames = [{1}, {2, 3}, {3, 4, 5}]
    partner = [{label: label for label in there} for there in frames]
    assert numbers(division_counts(matches(frames, partner), true, found, tolerance=1)) == (1, 0, 1)


def test_a_negative_tolerance_is_refused():
    with pytest.raises(ValueError, match="tolerance must be at least 0, got -1"):
        division_counts([], MOTHER, MOTHER, tolerance=-1)
