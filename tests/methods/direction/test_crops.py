import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.data.ctc import open_dataset
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.direction.crops import area_resize, direction_crops, direction_targets


@pytest.fixture
def sequence(dataset):
    (sequence,) = open_dataset(dataset)
    return sequence


def targets_of(sequence, **changes):
    options = {"threshold_um": 4.0, "pixel_size_um": 0.5, "crop_um": 4.5, **changes}
    return direction_targets(sequence, **options)


def test_directions_of_known_paths(sequence):
    targets = targets_of(sequence)
    found = {
        (track, frame): (ahead, round(angle / math.pi, 6), um)
        for track, frame, ahead, angle, um in zip(
            *(column.tolist() for column in (targets.track, targets.frame, targets.frames_ahead)),
            targets.angle.tolist(),
            targets.displacement_um.tolist(),
        )
    }
    # Cell 1 goes right by 6 px, so 3 um, a frame; cell 3 left by 5 px, so 2.5 um; cell 2 divides too early
    # and cell 4 stays. The last frames of a track see no more than the threshold.
    assert found == {
        (1, 0): (2, 0.0, 6.0),
        (1, 1): (2, 0.0, 6.0),
        (1, 2): (2, 0.0, 6.0),
        (1, 3): (2, 0.0, 6.0),
        (3, 3): (2, 1.0, 5.0),
    }
    assert targets.threshold_um.tolist() == [4.0] * 5
    assert targets.skipped_at_border == 0


def test_up_in_the_image_is_a_quarter_turn(sequence):
    targets = targets_of(sequence, threshold_um=2.0)
    np.testing.assert_allclose(targets.angle[targets.track == 2], math.pi / 2, rtol=1e-6)
    assert targets.frames_ahead[targets.track == 2].tolist() == [2]


def test_the_threshold_must_be_exceeded(sequence):
    assert targets_of(sequence, threshold_um=3.0).frames_ahead[0] == 2
    assert targets_of(sequence, threshold_um=2.999).frames_ahead[0] == 1


def test_order_is_by_frame_then_track(sequence):
    targets = targets_of(sequence, threshold_um=1.0)
    keys = [*zip(targets.frame.tolist(), targets.track.tolist())]
    assert keys == sorted(keys)
    assert len({*keys}) == len(keys)


def test_crops_that_leave_the_image_are_counted(sequence):
    whole = targets_of(sequence, threshold_um=1.0)
    targets = targets_of(sequence, threshold_um=1.0, crop_um=12.5)
    assert targets.side == 25
    assert np.all(targets.corner >= 0)
    assert np.all(targets.corner + 25 <= (48, 64))
    assert len(targets.frame) + targets.skipped_at_border == len(whole.frame)
    # Centred on column 12, 25 columns reach from 0 to 24: just inside.
    assert (0, 1) in zip(targets.frame.tolist(), targets.track.tolist())
    assert targets_of(sequence, threshold_um=1.0, crop_um=13.5).skipped_at_border > targets.skipped_at_border


def test_a_crop_is_the_image_around_the_cell(sequence, frames):
    targets = direction_targets(sequence, threshold_um=4.0, pixel_size_um=0.5, crop_um=4.5)
    images = np.stack([*direction_crops(sequence, targets, image_size=9)])
    assert images.shape == (5, 9, 9)
    for image, track, frame in zip(images, targets.track, targets.frame):
        y, x = (30, 12 + 6 * frame) if track == 1 else (12, 27)
        np.testing.assert_array_equal(image, frames[frame, y - 4 : y + 5, x - 4 : x + 5])


def test_a_threshold_that_leaves_no_sample_says_how_far_cells_went(sequence):
    sentence = (
        f"No cell of {sequence.movie.path} moves more than threshold_um = 500 um; the largest displacement "
        "is 15.00 um, so choose a smaller threshold."
    )
    with pytest.raises(InputError, match="^" + re.escape(sentence) + "$"):
        targets_of(sequence, threshold_um=500.0)


def test_a_crop_larger_than_the_frame(sequence):
    path = sequence.movie.path
    sentence = f"Every crop of 100 pixels (crop_um = 50) leaves the frames of {path}, which have 48 x 64;"
    with pytest.raises(InputError, match="^" + re.escape(sentence)):
        targets_of(sequence, crop_um=50.0)


@pytest.mark.parametrize("name", ["threshold_um", "pixel_size_um", "crop_um"])
@pytest.mark.parametrize("length", [0.0, -3.0, math.nan, math.inf])
def test_lengths_are_positive(sequence, name, length):
    with pytest.raises(InputError, match=rf"^{name} is {length}; it must be a number from"):
        targets_of(sequence, **{name: length})


def test_an_image_has_a_size(sequence):
    targets = direction_targets(sequence, threshold_um=4.0, pixel_size_um=0.5, crop_um=4.5)
    with pytest.raises(InputError, match=r"^image_size is 0; an image has at least one pixel\.$"):
        next(direction_crops(sequence, targets, image_size=0))


@given(
    image=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_area_resize_is_the_mean_over_the_covered_area(image, shape):
    # Every pixel repeated as often as there are new ones: then each new pixel covers whole copies only.
    fine = np.kron(image, np.ones(shape))
    expected = fine.reshape(shape[0], image.shape[0], shape[1], image.shape[1]).mean(axis=(1, 3))
    resized = area_resize(image, shape)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(resized.mean(), image.mean(), rtol=1e-5, atol=1e-4)


def test_area_resize_keeps_what_has_the_right_size():
    images = np.random.default_rng(0).integers(0, 2**16, (2, 3, 7, 8)).astype(np.uint16)
    np.testing.assert_array_equal(area_resize(images, (7, 8)), images)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("threshold_um", "samples", "skipped"),
    [(5.0, 521, 217), (18.0, 507, 182)],
)
def test_u373_has_as_many_samples_as_reported(real_data, threshold_um, samples, skipped):
    (sequence,) = open_dataset(real_data / "PhC-C2DH-U373")
    targets = direction_targets(sequence, threshold_um=threshold_um, pixel_size_um=0.65, crop_um=110.5)
    assert targets.side == 170
    assert (len(targets.frame), targets.skipped_at_border) == (samples, skipped)
    assert np.all(targets.displacement_um > threshold_um)
    assert np.all((targets.angle >= 0) & (targets.angle < 2 * math.pi))


@pytest.mark.real_data
def test_u373_agrees_with_walking_along_every_track(real_data):
    (sequence,) = open_dataset(real_data / "PhC-C2DH-U373")
    targets = direction_targets(sequence, threshold_um=18.0, pixel_size_um=0.65, crop_um=0.65)
    points = sequence.centroids()
    where = {(int(t), int(k)): (y, x) for t, k, y, x in zip(points.frame, points.label, points.y, points.x)}
    expected = {}
    for (frame, track), (y, x) in where.items():
        ahead = 1
        while (frame + ahead, track) in where and (frame, track) not in expected:
            dy, dx = where[frame + ahead, track][0] - y, where[frame + ahead, track][1] - x
            if 0.65 * math.hypot(dy, dx) > 18:
                expected[frame, track] = (ahead, math.atan2(-dy, dx) % (2 * math.pi))
            ahead += 1
    keys = [*zip(targets.frame.tolist(), targets.track.tolist())]
    assert keys == sorted(expected)
    assert targets.frames_ahead.tolist() == [expected[key][0] for key in keys]
    np.testing.assert_allclose(targets.angle, [expected[key][1] for key in keys], atol=1e-5)
