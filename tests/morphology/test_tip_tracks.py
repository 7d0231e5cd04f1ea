"""Tips keep their numbers while their cell moves, and new ones get new numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology import Protrusions, angle_to_migration, follow_tips, forget_tips


def _frame(cells):
    """A table from the centre of every cell by label and its tips relative to it (y, x)."""
    rows = [(label, *tip) for label, (_, tips) in cells.items() for tip in tips]
    label, dy, dx = np.array(rows, float).reshape(-1, 3).T
    names = np.array(list(cells), int)
    centres = np.array([centre for centre, _ in cells.values()], float).reshape(-1, 2)
    cell = np.searchsorted(names, label)
    length = np.hypot(dy, dx)
    return Protrusions(
        label=label.astype(int),
        y=centres[cell, 0] + dy,
        x=centres[cell, 1] + dx,
        length_px=length,
        length_um=length,
        from_body_um=length,
        orientation=np.zeros(len(label)),
        touching=np.zeros(len(label), bool),
        cell_label=names,
        cell_y=centres[:, 0],
        cell_x=centres[:, 1],
    )


def _follow(*frames, tracks=None, gate_um=15.0):
    memory, numbers = forget_tips(), []
    for index, frame in enumerate(frames):
        named = frame.cell_label if tracks is None else np.array(tracks[index])
        number, memory = follow_tips(frame, named, memory, pixel_size_um=1.0, gate_um=gate_um)
        numbers.append(number.tolist())
    return numbers


def test_tips_are_known_again_although_the_cell_and_the_rows_moved():
    first = _frame({1: ((50, 50), [(0, 30), (30, 0), (-30, 0)])})
    second = _frame({1: ((90, 90), [(-28, 4), (2, 33), (29, -3)])})
    assert _follow(first, second) == [[1, 2, 3], [3, 1, 2]]


def test_a_new_tip_gets_a_new_number_and_a_lost_one_keeps_its_own():
    pair = _frame({1: ((50, 50), [(0, 30), (30, 0)])})
    alone = _frame({1: ((50, 50), [(30, 0)])})
    assert _follow(pair, alone, pair) == [[1, 2], [2], [3, 2]]


def test_the_sum_of_all_distances_decides_not_the_nearest_pair():
    first = _frame({1: ((0, 0), [(0, 30), (0, 40)])})
    second = _frame({1: ((0, 0), [(0, 36), (0, 46)])})
    assert _follow(first, second) == [[1, 2], [1, 2]]


def test_beyond_the_gate_nothing_is_linked():
    first, second = (_frame({1: ((0, 0), [(0, 30 + move)])}) for move in (0, 15))
    assert _follow(first, second, gate_um=15.0) == [[1], [2]]
    assert _follow(first, second, gate_um=15.1) == [[1], [1]]


def test_numbers_belong_to_tracks_not_to_labels():
    first = _frame({1: ((0, 0), [(0, 30)]), 2: ((99, 99), [(30, 0), (0, 30)])})
    second = _frame({1: ((99, 99), [(30, 0), (0, 30)]), 2: ((0, 0), [(0, 30), (30, 0)])})
    assert _follow(first, second, tracks=[[8, 5], [5, 8]]) == [[1, 1, 2], [1, 2, 1, 2]]


def test_a_frame_without_tips_and_one_without_cells_pass():
    cell = _frame({1: ((50, 50), [(0, 30)])})
    assert _follow(cell, _frame({1: ((50, 50), [])}), _frame({}), cell) == [[1], [], [], [2]]


@given(st.permutations(range(5)))
def test_the_order_of_the_rows_does_not_matter(order):
    tips = [(0, 30), (30, 0), (0, -30), (-30, 0), (22, 22)]
    moved = [(y + 2, x - 3) for y, x in tips]
    numbers = _follow(_frame({1: ((0, 0), tips)}), _frame({1: ((7, 7), [moved[i] for i in order])}))
    assert numbers[1] == [i + 1 for i in order]


def test_bad_input_is_refused():
    frame = _frame({1: ((0, 0), [(0, 30)]), 2: ((9, 9), [])})
    with pytest.raises(InputError, match="pixel size is 0 um"):
        follow_tips(frame, np.array([1, 2]), forget_tips(), pixel_size_um=0.0)
    with pytest.raises(InputError, match="gate is -1 um"):
        follow_tips(frame, np.array([1, 2]), forget_tips(), pixel_size_um=1.0, gate_um=-1.0)
    for tracks in ([1], [3, 3]):
        with pytest.raises(ValueError, match="each of the 2 cells"):
            follow_tips(frame, np.array(tracks), forget_tips(), pixel_size_um=1.0)


def test_the_angle_to_the_migration_is_a_turn_to_the_left():
    orientation = np.array([0.1, 6.2, 3.0, 1.0])
    heading = np.array([6.2, 0.1, 0.0, np.nan])
    turn = angle_to_migration(orientation, heading)
    assert_allclose(turn[:3], [0.1 - 6.2 + 2 * np.pi, 6.1 - 2 * np.pi, 3.0], atol=1e-5)
    assert_array_equal(np.isnan(turn), [False, False, False, True])
    with pytest.raises(ValueError, match="shape"):
        angle_to_migration(orientation, heading[:2])
