import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from cellmotion_jax.metrics.identity_switches import identity_switches
from tests.strategies import masks

FRAMES, TRACKS, CELLS = 5, 3, 4
compiled = jax.jit(identity_switches)
COORDINATES = st.one_of(st.integers(0, 9).map(float), st.just(float("nan")))


def by_hand(tracks, cells, where, radius):
    switches, seats = np.zeros(tracks.shape[1], int), np.full(tracks.shape[:2], -1)
    for track in range(tracks.shape[1]):
        last = -1
        for frame in range(len(tracks)):
            far = np.linalg.norm(tracks[frame, track] - cells[frame], axis=-1)
            if not where[frame, track] or not (far <= radius).any():
                continue
            seat = int(np.nanargmin(far))
            switches[track] += last not in (-1, seat)
            seats[frame, track] = last = seat
    return switches, seats


@given(
    hnp.arrays(np.float32, (FRAMES, TRACKS, 2), elements=COORDINATES),
    hnp.arrays(np.float32, (FRAMES, CELLS, 2), elements=COORDINATES),
    masks(FRAMES, TRACKS),
    st.sampled_from([0.0, 2.0, 5.0]),
)
def test_the_nearest_cell_is_followed_frame_by_frame(tracks, cells, where, radius):
    found = compiled(tracks, cells, where, radius=radius)
    switches, seats = by_hand(tracks, cells, where, radius)
    assert_array_equal(found.switches, switches)
    assert_array_equal(found.cells, seats)


def test_there_and_back_are_two_and_a_pause_between_does_not_hide_them():
    cells = np.tile(np.array([[0, 0], [0, 20]], np.float32), (5, 1, 1))
    track = np.array([[0, 1], [0, 10], [np.nan, np.nan], [0, 19], [0, 2]], np.float32)[:, None]
    found = identity_switches(track, cells, radius=5.0)
    assert found.switches.tolist() == [2]
    assert found.cells[:, 0].tolist() == [0, -1, -1, 1, 0]


@pytest.mark.parametrize(("tracks", "cells"), [(2, 0), (0, 2), (0, 0)])
def test_no_tracks_or_no_cells(tracks, cells):
    found = identity_switches(
        np.zeros((3, tracks, 2), np.float32), np.zeros((3, cells, 2), np.float32), radius=1.0
    )
    assert found.switches.tolist() == [0] * tracks
    assert_array_equal(found.cells, np.full((3, tracks), -1))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"same frames, got the shapes \(3, 1, 2\) and \(2, 1, 2\)"):
        identity_switches(np.zeros((3, 1, 2), np.float32), np.zeros((2, 1, 2), np.float32), radius=1.0)
    points = np.zeros((3, 1, 2), np.float32)
    with pytest.raises(ValueError, match=r"where has \(3,\)"):
        identity_switches(points, points, np.ones(3, bool), radius=1.0)
