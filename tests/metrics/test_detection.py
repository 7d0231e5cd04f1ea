import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics import one_to_one_matches, optimal_matches

BOTH = pytest.mark.parametrize("match", [one_to_one_matches, optimal_matches])
# A coarse grid gives many duplicates and many distances that equal the radius.
POINTS = st.integers(0, 5).flatmap(
    lambda n: hnp.arrays(np.float64, (n, 2), elements=st.integers(0, 12).map(float))
)
RADII = st.sampled_from([1.0, 3.0, 5.0, 100.0])


@given(POINTS, POINTS, RADII)
def test_one_to_one_is_the_rule_of_the_paper(detections, markers, radius):
    near = [[math.dist(d, m) < radius for m in markers] for d in detections]
    expected = [
        (i, j)
        for i, j in itertools.product(range(len(detections)), range(len(markers)))
        if near[i][j] and sum(near[i]) == 1 and sum(row[j] for row in near) == 1
    ]
    found = one_to_one_matches(detections, markers, radius=radius)
    assert list(zip(found.detection.tolist(), found.marker.tolist())) == expected


@given(POINTS, POINTS, RADII)
def test_optimal_pairs_are_the_most_and_of_these_the_shortest(detections, markers, radius):
    few, many = sorted([detections, markers], key=len)
    outcomes = []
    for order in itertools.permutations(range(len(many)), len(few)):
        distances = [math.dist(few[i], many[j]) for i, j in enumerate(order)]
        within = [distance for distance in distances if distance < radius]
        outcomes.append((-len(within), sum(within)))
    found = optimal_matches(detections, markers, radius=radius)
    lengths = np.linalg.norm(detections[found.detection] - markers[found.marker], axis=1)
    assert len(lengths) == -min(outcomes)[0]
    assert_allclose(lengths.sum(), min(outcomes)[1])
    assert (lengths < radius).all()


@BOTH
@given(detections=POINTS, markers=POINTS, radius=RADII)
def test_every_point_is_either_paired_or_left_over(match, detections, markers, radius):
    found = match(detections, markers, radius=radius)
    ours = np.concatenate([found.detection, found.false_detection])
    theirs = np.concatenate([found.marker, found.missed_marker])
    assert_array_equal(np.sort(ours), np.arange(len(detections)))
    assert_array_equal(np.sort(theirs), np.arange(len(markers)))
    assert (np.diff(found.detection) > 0).all()
    counts = found.counts
    assert counts.true_positives + counts.false_positives == len(detections)
    assert counts.true_positives + counts.false_negatives == len(markers)


@given(POINTS, POINTS, RADII)
def test_an_assignment_never_finds_fewer(detections, markers, radius):
    strict = one_to_one_matches(detections, markers, radius=radius).counts
    lenient = optimal_matches(detections, markers, radius=radius).counts
    assert lenient.f_score >= strict.f_score


@BOTH
@pytest.mark.parametrize(("detections", "markers", "f_score"), [(0, 0, 1.0), (0, 3, 0.0), (3, 0, 0.0)])
def test_nothing_detected_and_nothing_to_detect(match, detections, markers, f_score):
    grid = np.arange(6.0).reshape(3, 2) * 50
    assert match(grid[:detections], grid[:markers], radius=10.0).counts.f_score == f_score


def test_two_detections_on_one_marker():
    twice, marker = np.array([[10.0, 10.0], [10.0, 10.0]]), np.array([[11.0, 10.0]])
    strict = one_to_one_matches(twice, marker, radius=5.0)
    assert strict.false_detection.tolist() == [0, 1]
    assert strict.missed_marker.tolist() == [0]
    assert_allclose(optimal_matches(twice, marker, radius=5.0).counts, [1, 1, 0])


def test_crowding_fails_the_strict_rule_only():
    row = np.stack([np.zeros(5), np.arange(5) * 20.0], axis=1)
    assert one_to_one_matches(row + 1, row, radius=30.0).counts.f_score == 0
    assert one_to_one_matches(row + 1, row, radius=10.0).counts.f_score == 1
    crowded = optimal_matches(row + 1, row, radius=30.0)
    assert crowded.counts.f_score == 1
    assert_array_equal(crowded.detection, crowded.marker)


@BOTH
def test_a_distance_of_exactly_the_radius_is_no_match_and_pixels_may_be_whole_numbers(match):
    detection, marker = np.array([[3, 4]]), np.array([[0, 0]])
    assert not match(detection, marker, radius=5.0).detection.size
    assert match(detection, marker, radius=5.0001).detection.size


@BOTH
def test_bad_points_and_radii_are_refused(match):
    points = np.zeros((3, 2))
    with pytest.raises(
        ValueError, match=re.escape("markers must be points [n, 2] of (y, x), got shape (3,)")
    ):
        match(points, points[:, 0], radius=1.0)
    with pytest.raises(InputError, match="detections must be finite; point 2 is not"):
        match(np.array([[0, 0], [1, 1], [0, math.nan]]), points, radius=1.0)
    with pytest.raises(InputError, match="radius must be positive, got nan"):
        match(points, points, radius=math.nan)
