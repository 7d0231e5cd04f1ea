import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.relabel import relabel
from tests.label_images import discs, label_images

COORDINATES = st.one_of(st.integers(-2, 9).map(lambda n: n / 1.0), st.just(float("nan")))
POINTS = st.integers(0, 5).flatmap(lambda n: hnp.arrays(np.float64, (n, 2), elements=COORDINATES))


@given(label_images(), POINTS, st.sampled_from([0.0, 1.5, 4.0]), st.booleans())
def test_segments_keep_their_pixels_and_tracks_share_none(labels, points, reach, keep):
    ids = 10 * np.arange(1, len(points) + 1)
    found = relabel(labels, points, ids, reach=reach, first_new=100 if keep else None)
    pairs = {(old, new) for old, new in zip(labels.ravel().tolist(), found.labels.ravel().tolist()) if old}
    renamed = [new for _, new in pairs if new]
    assert len({old for old, _ in pairs}) == len(pairs)
    assert len(set(renamed)) == len(renamed)
    assert not found.labels[labels == 0].any()
    assert {new for new in renamed if new < 100} == set(ids[found.seated].tolist())
    assert sorted(new for new in renamed if new >= 100) == found.new.tolist()
    assert all(new for _, new in pairs) or not keep


@given(label_images(), POINTS)
def test_every_segment_with_a_point_in_it_has_a_track(labels, points):
    ids = np.arange(1, len(points) + 1)
    found = relabel(labels, points, ids)
    for (y, x), label in zip(np.nan_to_num(points, nan=-1).astype(int), ids):
        if 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1] and labels[y, x]:
            seat = found.labels[y, x]
            assert seat
            centroid = np.argwhere(labels == labels[y, x]).mean(0)
            far = np.linalg.norm(points - centroid, axis=1)
            assert far[seat - 1] <= far[label - 1] + 1e-9


def test_two_on_one_segment_do_not_push_each_other_away():
    labels = discs((20, 40), (10, 10, 5), (10, 24, 5))
    points = np.array([[10.0, 11.0], [10.0, 7.0]])
    found = relabel(labels, points, np.array([1, 2]), reach=12.0, first_new=9)
    assert found.labels[10, 10] == 1
    # The other is far from the second segment, but the nearest that is left.
    assert found.labels[10, 24] == 2
    found = relabel(labels, points, np.array([1, 2]), reach=11.0, first_new=9)
    assert (found.labels[10, 24], found.seated.tolist(), found.new.tolist()) == (9, [0], [9])


def test_left_over_tracks_and_segments_make_the_most_pairs():
    labels = np.array([[1, 0, 0, 0, 0, 0, 2]])
    points = np.array([[0.0, 3.0], [0.0, 2.0]])
    found = relabel(labels, points, np.array([5, 6]), reach=3.0)
    assert found.labels.tolist() == [[6, 0, 0, 0, 0, 0, 5]]


def test_what_does_not_fit_is_refused():
    labels, points = np.ones((4, 4), int), np.zeros((2, 2))
    with pytest.raises(ValueError, match=re.escape("points has shape (2, 2), but ids has (1,)")):
        relabel(labels, points, np.array([1]))
    for ids in ([1, 1], [0, 1]):
        with pytest.raises(InputError, match="ids must be at least 1, and each is there once"):
            relabel(labels, points, np.array(ids))
    with pytest.raises(InputError, match="first_new is 4; it must be above all ids, the largest being 4"):
        relabel(labels, points, np.array([1, 4]), first_new=4)
    with pytest.raises(InputError, match="reach must not be negative"):
        relabel(labels, points, np.array([1, 4]), reach=-1.0)
