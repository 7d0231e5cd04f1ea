"""A frame of a window is moved with all that it holds: pixels, numbers, boxes and centres as one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.augmentation import (
    SMALLEST_AREA,
    WindowAugmentation,
    label_boxes,
    unchanged,
)
from cellmotion_jax.methods.celltrack_rcnn.pairs import UNKNOWN
from cellmotion_jax.ops.labels import tight_boxes
from tests.label_images import discs, label_images

SIDE, CROP, CELLS = 96, 64, 6
CIRCLES = ((48, 40, 9), (40, 60, 7), (62, 52, 6), (20, 24, 8), (80, 70, 8))
STILL = unchanged(WindowAugmentation(crop=CROP))
TURNS = dataclasses.replace(STILL, turns=True)
RESIZED = dataclasses.replace(TURNS, rotation=1.0, scale=0.3)


def window(side=SIDE, circles=CIRCLES):
    """Two frames; in the second every cell has moved down by 2 pixels. The images show the numbers."""
    frames = [[(y + 2 * frame, x, radius) for y, x, radius in circles] for frame in (0, 1)]
    number = np.stack([discs((side, side), *cells) for cells in frames])
    centre = np.zeros((2, CELLS, 2), np.float32)
    centre[:, : len(circles)] = np.array(frames)[:, :, :2] + 0.5
    present = np.arange(CELLS) < len(circles)
    return {
        "image": number.astype(np.float32),
        "number": number,
        "centre": centre,
        "present": np.stack([present, present]),
        "source": np.where(present, np.arange(1, CELLS + 1), 0).astype(np.int32),
    }


def batch(*windows):
    return {name: jnp.stack([it[name] for it in windows]) for name in windows[0]}


LIT = dataclasses.replace(STILL, contrast=0.3, brightness=0.2, bleaching=0.1, missed=0.3)
NOISY = dataclasses.replace(STILL, noise=0.1)
still, turned, resized, lit, noisy = (jax.jit(it.__call__) for it in (STILL, TURNS, RESIZED, LIT, NOISY))


def moved(program, *, seeds=range(20), windows=None):
    """Every pair of frames of some batches, as NumPy has it."""
    given = batch(*(windows or [window(), window()]))
    for seed in seeds:
        inputs = jax.tree.map(np.asarray, program(jax.random.key(seed), given)["image"])
        for index in range(len(inputs.pixels)):
            yield jax.tree.map(lambda leaf: leaf[index], inputs)  # noqa: B023


def inner(boxes):
    """Boxes that do not touch the edge of the image."""
    return (boxes[..., :2] > 0).all(-1) & (boxes[..., 2:] < CROP).all(-1)


def parts(side):
    """Where the parts of both frames begin if nothing is changed, on either side of the middle."""
    away = round((side - CROP) / 4)
    return (side - CROP) // 2 - away, (side - CROP) // 2 + away


def cut(frames):
    """The parts of both frames."""
    starts = parts(frames.shape[-1])
    return np.stack([it[at : at + CROP, at : at + CROP] for it, at in zip(frames, starts)])


@pytest.mark.parametrize("side", [CROP, 71, SIDE])
def test_without_changes_parts_are_cut_out_to_the_bit(side):
    whole = window(side)
    inputs, _ = moved(still, seeds=[0], windows=[whole, whole])
    np.testing.assert_array_equal(inputs.pixels, cut(whole["image"]))
    np.testing.assert_array_equal(inputs.centres, whole["centre"] - np.array(parts(side))[:, None, None])
    np.testing.assert_array_equal(inputs.present, whole["present"])
    np.testing.assert_array_equal(inputs.source, whole["source"])
    for number, truth, boxes, where in zip(inputs.number, cut(whole["number"]), inputs.boxes, inputs.where):
        left = np.bincount(truth.ravel(), minlength=CELLS + 1)[1:]
        rest = np.isin(truth, 1 + np.flatnonzero((left > 0) & (left < SMALLEST_AREA)))
        np.testing.assert_array_equal(number, np.where(rest, UNKNOWN, truth))
        np.testing.assert_array_equal(where, left >= SMALLEST_AREA)
        there = 1 + np.flatnonzero(left)
        np.testing.assert_array_equal(boxes[there - 1], tight_boxes(truth, there))


def test_all_eight_positions_of_a_square_occur_and_are_exact():
    seen, shifts = set(), []
    whole = window()
    places = np.concatenate([whole["centre"][0, :5], np.ones((5, 1))], axis=1)
    for inputs in moved(turned, seeds=range(40)):
        (*linear, shift), *_ = np.linalg.lstsq(places, inputs.centres[0, :5], rcond=None)
        turn = np.rint(linear).T
        np.testing.assert_allclose(turn, np.transpose(linear), atol=1e-4)
        np.testing.assert_allclose(np.abs(turn).sum(axis=0), 1)
        seen.add(tuple(turn.ravel()))
        shifts.append(shift)
        # From the middle of every pixel back to where it was.
        for frame in (0, 1):
            step = inputs.centres[frame, 0] - turn @ whole["centre"][frame, 0]
            pixels = np.indices((CROP, CROP)).reshape(2, -1) + 0.5
            y, x = np.floor(turn.T @ (pixels - step[:, None])).astype(int)
            np.testing.assert_array_equal(inputs.pixels[frame].ravel(), whole["image"][frame, y, x])
        np.testing.assert_array_equal(inputs.number == UNKNOWN, _small(inputs.pixels))
    assert len(seen) == 8
    assert np.std(shifts, axis=0).min() > 2


def _small(numbers):
    """Pixels of the cells of which a small rest is in the image."""
    rests = [np.isin(it, [n for n in range(1, 6) if 0 < (it == n).sum() < SMALLEST_AREA]) for it in numbers]
    return np.stack(rests)


def test_turns_and_shifts_move_pixels_numbers_boxes_and_centres_as_one():
    seen = 0
    for inputs in moved(turned):
        known = inputs.number != UNKNOWN
        np.testing.assert_array_equal(inputs.number[known], inputs.pixels[known])
        middles = (inputs.boxes[..., :2] + inputs.boxes[..., 2:]) / 2
        whole = inner(inputs.boxes) & inputs.where
        np.testing.assert_allclose(middles[whole], inputs.centres[whole], atol=1e-4)
        seen += whole.sum()
    assert seen > 100


def test_rotation_and_scale_move_them_within_a_pixel():
    scales = []
    diameters = 2 * np.array([radius for _, _, radius in CIRCLES] + [1]) + 1
    for inputs in moved(resized):
        whole = inner(inputs.boxes) & inputs.where
        middles = (inputs.boxes[..., :2] + inputs.boxes[..., 2:]) / 2
        np.testing.assert_allclose(middles[whole], inputs.centres[whole], atol=1.01)
        # Nearest and bilinear differ at edges alone.
        for frame in (0, 1):
            for cell in 1 + np.flatnonzero(whole[frame]):
                inside = inputs.number[frame] == cell
                assert np.mean(np.abs(inputs.pixels[frame][inside] - cell) < 1e-3) > 0.6
        sides = (inputs.boxes[..., 2:] - inputs.boxes[..., :2]).mean(axis=-1)
        scales += (sides / diameters)[whole].tolist()
    assert min(scales) < 0.85
    assert max(scales) > 1.15
    # Half of the windows are not resampled.
    assert 0.3 < np.mean(np.abs(np.array(scales) - 1) < 1e-6) < 0.7


def test_both_frames_are_turned_and_scaled_in_the_same_way():
    """One step leads from all cells of the first frame to those of the second, to the nearest pixel."""
    for inputs in moved(resized):
        step = (inputs.centres[1] - inputs.centres[0])[: len(CIRCLES)]
        np.testing.assert_allclose(step, np.broadcast_to(step[:1], step.shape), atol=1e-4)


def test_the_parts_of_both_frames_lie_in_different_places():
    """Or else cells could be told by where they are in the image; all places occur."""
    steps = np.array(
        [inputs.centres[1, 0] - inputs.centres[0, 0] for inputs in moved(turned, seeds=range(40))]
    )
    reach = SIDE - CROP + 2
    assert (np.abs(steps) <= reach).all()
    assert steps.std(axis=0).min() > reach / 4
    # The cells themselves move by 2 pixels.
    assert np.median(np.linalg.norm(steps, axis=1)) > 8


def test_what_comes_from_beyond_the_window_is_not_known():
    outside = []
    for inputs in moved(resized):
        unknown = (inputs.number == UNKNOWN) & (inputs.pixels == 0)
        outside.append(unknown[0].mean())
    assert max(outside) > 0.05
    assert min(outside) == 0


def test_small_rests_of_cells_are_not_known_and_have_no_box():
    # Of cell 1 a strip of 2 x 5 pixels is within the part, of cell 2 one of 3 x 5; 3 and 4 are small.
    part = np.zeros((CROP, CROP), np.int32)
    part[:2, 4:9], part[:3, 24:29] = 1, 2
    part[14:17, 14:18], part[24:25, 24:35] = 3, 4
    number = np.zeros((2, SIDE, SIDE), np.int32)
    for frame, at in zip(number, parts(SIDE)):
        frame[at : at + CROP, at : at + CROP] = part
        frame[at - 6 : at, at + 4 : at + 9], frame[at - 6 : at, at + 24 : at + 29] = 1, 2
    inputs, _ = moved(still, seeds=[0], windows=[window() | {"number": number}] * 2)
    for found, where in zip(inputs.number, inputs.where):
        np.testing.assert_array_equal(found, np.select([part == 1, part == 4], [UNKNOWN, UNKNOWN], part))
        assert where.tolist() == [False, True, True, False, False, False]


def test_what_is_not_known_stays_so_with_any_number_of_cells():
    whole = window(SIDE, CIRCLES[:1])
    whole["number"] = np.where(whole["number"] == 0, UNKNOWN, whole["number"])
    for inputs in moved(turned, windows=[whole, whole], seeds=range(3)):
        assert set(np.unique(inputs.number)) == {1, UNKNOWN}
        assert inputs.where.sum() == 2


def test_light_and_noise_change_images_alone_and_differ_between_frames_a_little():
    gains, shifts, fading = [], [], []
    truth = next(moved(still, seeds=[0]))
    for inputs in moved(lit):
        np.testing.assert_array_equal(inputs.number, truth.number)
        (first, shift), (second, other) = (
            np.polyfit(before.ravel(), after.ravel(), 1) for before, after in zip(truth.pixels, inputs.pixels)
        )
        assert shift == pytest.approx(other, abs=1e-4)
        gains.append(first)
        shifts.append(shift)
        fading.append(second / first)
    for values, most in ((np.log(gains), 0.3), (shifts, 0.2), (np.log(fading), 0.1)):
        assert np.abs(values).max() <= most + 1e-4
        assert np.std(values) > most / 4
    levels = [(inputs.pixels - truth.pixels).std() for inputs in moved(noisy)]
    assert max(levels) <= 0.105
    assert min(levels) < 0.03


def test_some_cells_are_missed_as_neighbours_and_for_nothing_else():
    shares = []
    for inputs, truth in zip(moved(lit), moved(still)):
        assert not (inputs.present & ~truth.present).any()
        np.testing.assert_array_equal(inputs.where, truth.where)
        shares.append(inputs.present[truth.present].mean())
    assert 0.6 < np.mean(shares) < 0.8


def test_every_window_of_a_batch_has_its_own_changes_and_samples():
    first, second = moved(noisy, seeds=[0])
    assert not np.array_equal(first.pixels, second.pixels)
    assert not np.array_equal(first.key, second.key)
    again, _ = moved(noisy, seeds=[0])
    jax.tree.map(np.testing.assert_array_equal, first, again)


boxes_of_7 = jax.jit(lambda labels: label_boxes(labels, count=7))


@given(label_images((6, 7), labels=(1, 2, 5, 7, 9, UNKNOWN)))
def test_boxes_of_labels_are_tight(labels):
    boxes, area = boxes_of_7(labels)
    counts = np.bincount(labels.ravel(), minlength=8)[1:8]
    np.testing.assert_array_equal(area, counts)
    there = 1 + np.flatnonzero(counts)
    np.testing.assert_array_equal(np.asarray(boxes)[there - 1], tight_boxes(labels, there))
    assert not np.asarray(boxes)[counts == 0].any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"crop": 0}, "crop is 0"), ({"missed": 1.5}, "missed is 1.5"), ({"noise": -1.0}, "noise")],
)
def test_numbers_out_of_range_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        WindowAugmentation(**changes)
