import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.morphology.motion import MotionSettings, cell_motion

NAN = math.nan


def one_track(points, **options):
    points = np.array(points, float)
    rows = np.arange(len(points))
    return cell_motion(np.ones_like(rows), rows, points, settings=MotionSettings(**options))


def test_a_square_walked_counter_clockwise():
    """Right, up, left, down: as a person sees the image, each corner is a quarter turn to the left."""
    motion = one_track([(9, 0), (9, 3), (6, 3), (6, 0), (9, 0)], persistence_frames=4)
    np.testing.assert_allclose(motion.speed, [NAN, 3, 3, 3, 3])
    np.testing.assert_allclose(motion.heading, np.pi * np.array([NAN, 0, 0.5, 1, 1.5]), rtol=1e-6)
    np.testing.assert_allclose(motion.turning, np.pi * np.array([NAN, NAN, 0.5, 0.5, 0.5]), rtol=1e-6)
    np.testing.assert_allclose(motion.persistence, [NAN, NAN, NAN, NAN, 0], atol=1e-12)


def test_a_straight_way_is_persistent_and_does_not_turn():
    motion = one_track([(2.0 * t, -1.0 * t) for t in range(12)], persistence_frames=8)
    np.testing.assert_allclose(motion.turning[2:], 0, atol=1e-6)
    np.testing.assert_allclose(motion.persistence, [NAN] * 8 + [1.0] * 4)
    np.testing.assert_allclose(motion.speed[1:], math.sqrt(5))


def test_a_cell_that_hardly_moves_has_a_speed_but_no_heading():
    motion = one_track([(0, 0), (0, 0), (0, 0.4), (0, 5)], shortest_step=0.5, persistence_frames=2)
    np.testing.assert_allclose(motion.speed, [NAN, 0, 0.4, 4.6])
    np.testing.assert_allclose(motion.heading, [NAN, NAN, NAN, 0])
    assert np.isnan(motion.turning).all()
    np.testing.assert_allclose(motion.persistence, [NAN, NAN, 1, 1])
    still = one_track([(3, 3)] * 3, shortest_step=0.0, persistence_frames=2)
    assert np.isnan(still.heading).all()
    assert np.isnan(still.persistence).all()


def test_wider_steps_even_out_jitter():
    jitter = [(0.3 * (-1) ** t, 2.0 * t) for t in range(9)]
    np.testing.assert_allclose(one_track(jitter, step_frames=2).speed[2:], 2.0)
    np.testing.assert_allclose(one_track(jitter, step_frames=2).turning[4:], 0, atol=1e-6)


def test_tracks_and_gaps_are_kept_apart():
    track = np.array([7, 7, 7, 9, 9])
    frame = np.array([0, 1, 3, 1, 2])
    points = np.array([(0, 0), (0, 1), (0, 2), (50, 50), (50, 53)], float)
    motion = cell_motion(track, frame, points)
    np.testing.assert_allclose(motion.speed, [NAN, 1, NAN, NAN, 3])
    assert np.isnan(motion.turning).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 5))
def test_neither_the_order_of_rows_nor_where_the_movie_is_cut_matters(seed, step, long):
    rng = np.random.default_rng(seed)
    track, frame = np.divmod(np.sort(rng.permutation(60)[:45]), 12)
    points = rng.normal(size=(45, 2)).cumsum(axis=0)
    settings = MotionSettings(step_frames=step, persistence_frames=long)
    motion = cell_motion(track, frame, points, settings=settings)
    order = rng.permutation(45)
    shuffled = cell_motion(track[order], frame[order], points[order] + 100, settings=settings)
    for whole, part in zip(motion, shuffled):
        np.testing.assert_allclose(part, whole[order], atol=2e-4)
    persistence = motion.persistence[~np.isnan(motion.persistence)]
    assert ((persistence >= 0) & (persistence <= 1)).all()
    turning = motion.turning[~np.isnan(motion.turning)]
    assert ((turning >= -np.pi) & (turning < np.pi)).all()


def test_no_rows_and_one_row():
    nothing = cell_motion(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)))
    assert [len(column) for column in nothing] == [0] * 4
    assert all(np.isnan(column).all() for column in one_track([(1, 1)]))


def test_bad_input_is_refused():
    rows = np.zeros(2, int)
    with pytest.raises(ValueError, match=r"track has shape \(2,\), frame \(2,\) and points \(3, 2\)"):
        cell_motion(rows, rows, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="a track has a frame twice"):
        cell_motion(rows, rows, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="step_frames is 0; it must be a whole number from 1"):
        MotionSettings(step_frames=0)
