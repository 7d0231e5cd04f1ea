"""Masks over boxes become one label image, in which every pixel belongs to the most probable cell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.inference.mask_pasting import label_image

SIDE = 28


def masks(*values, side=SIDE):
    return np.stack([np.full((side, side), value, np.float32) for value in values])


def paste(given, boxes, shape=(30, 40), **options):
    return label_image(given, np.array(boxes, np.float32).reshape(-1, 4), shape=shape, **options)


def area(labels):
    return np.bincount(labels.ravel())[1:].tolist()


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 10), st.integers(1, 20))
def test_a_full_mask_covers_the_pixels_of_its_box(top, left, height, width):
    found = paste(masks(1.0), [[top, left, top + height, left + width]])
    expected = np.zeros((30, 40), int)
    expected[top : top + height, left : left + width] = 1
    np.testing.assert_array_equal(found.labels, expected)
    assert found.kept.tolist() == [0]


@pytest.mark.parametrize(
    ("box", "rows"),
    [
        ((2.4, 5, 6.4, 9), (2, 6)),  # The middles of rows 2 to 5 lie within.
        ((2.6, 5, 6.6, 9), (3, 7)),
        ((3.2, 5, 3.9, 9), (3, 4)),
        ((3.6, 5, 4.3, 9), None),  # No middle lies within.
    ],
)
def test_a_pixel_belongs_to_a_box_if_its_middle_lies_within(box, rows):
    found = paste(masks(1.0), [box])
    expected = np.zeros((30, 40), int)
    if rows:
        expected[slice(*rows), 5:9] = 1
    np.testing.assert_array_equal(found.labels, expected)
    assert len(found.kept) == (rows is not None)


def test_boxes_that_touch_share_no_pixel():
    found = paste(masks(1.0, 1.0, 1.0), [[2, 2, 8, 8], [2, 8, 8, 14], [8, 2, 14, 8]])
    assert area(found.labels) == [36] * 3
    assert found.kept.tolist() == [0, 1, 2]


def test_of_a_large_mask_only_the_corners_are_rounded():
    """Towards 0 beyond its outer points: half a point of the mask is longer than half a pixel."""
    found = paste(masks(1.0), [[0, 0, 280, 280]], shape=(300, 300)).labels
    assert found[6:274, 6:274].all()
    assert found[0, 6:274].all()
    assert found[6:274, 279].all()
    assert not found[0, 0]
    assert not found[280:].any()


def test_masks_are_interpolated_between_their_points():
    ramp = np.broadcast_to((np.arange(SIDE, dtype=np.float32) + 0.5)[None] / SIDE, (1, SIDE, SIDE))
    for threshold in (0.25, 0.5, 0.75):
        found = paste(ramp, [[0, 0, 20, 20]], threshold=threshold).labels
        # Where the middle of a column, as a share of the box, is above the threshold.
        np.testing.assert_array_equal(found[10, :20], (np.arange(20) + 0.5) / 20 > threshold)


@pytest.mark.parametrize("side", [7, 14, 28])
def test_a_disc_on_a_grid_of_any_side_is_a_disc(side):
    fine = np.indices((8 * side, 8 * side)) + 0.5 - 4 * side
    disc = (np.hypot(*fine) < 3 * side).astype(np.float32)
    disc = disc.reshape(side, 8, side, 8).mean(axis=(1, 3))[None]
    found = paste(disc, [[4, 6, 24, 26]])
    assert area(found.labels)[0] == pytest.approx(np.pi * 7.5**2, rel=0.06)
    np.testing.assert_array_equal(found.labels[4:24, 6:26], found.labels[4:24, 6:26].T)


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((-5, -3, 6, 8), (0, 6, 0, 8)),
        ((25, 35, 33, 60), (25, 30, 35, 40)),
        ((-9, 4, 60, 8), (0, 30, 4, 8)),
    ],
)
def test_of_a_box_beyond_the_image_the_part_within_is_shown(box, window):
    found = paste(masks(1.0, side=100), [box])
    expected = np.zeros((30, 40), int)
    expected[slice(*window[:2]), slice(*window[2:])] = 1
    np.testing.assert_array_equal(found.labels, expected)


@pytest.mark.parametrize(
    "box",
    [
        *((-9, 4, -1, 9), (31, 4, 40, 9), (3, 41, 9, 50), (3, 3, 3, 9), (5, 5, 3, 9)),
        *((2.5, 2.5, 2.5, 9), (np.nan, 0, 9, 9), (0, 0, np.nan, 9)),
    ],
)
def test_a_box_without_pixels_is_left_out(box):
    found = paste(masks(1.0, 1.0), [box, [2, 2, 6, 6]])
    assert found.kept.tolist() == [1]
    assert area(found.labels) == [16]


def test_a_contested_pixel_goes_to_the_higher_probability():
    boxes = [[0, 0, 10, 10], [0, 6, 10, 20]]
    for first, second, areas in ((0.9, 0.6, [100, 100]), (0.6, 0.9, [60, 140])):
        found = paste(masks(first, second), boxes)
        assert area(found.labels) == areas
        assert found.kept.tolist() == [0, 1]


def test_of_equal_probabilities_the_first_wins():
    assert area(paste(masks(0.75, 0.75, side=4), [[0, 0, 4, 4], [0, 3, 4, 7]]).labels) == [16, 12]


def test_a_cell_that_others_cover_is_the_same_once_more():
    boxes = [[0, 0, 10, 10], [1, 1, 10, 11], [0, 8, 10, 14]]
    found = paste(masks(0.7, 0.9, 0.8), boxes)
    # Of the second 81 of 90 pixels are covered, of the third 20 of 60.
    assert found.kept.tolist() == [0, 2]
    assert area(found.labels) == [80, 60]
    every = paste(masks(0.7, 0.9, 0.8), boxes, most_covered=1.0)
    assert every.kept.tolist() == [0, 1, 2]
    none = paste(masks(0.7, 0.9, 0.8), boxes, most_covered=0.0)
    assert none.kept.tolist() == [0]


def test_a_cell_that_loses_its_pixels_to_others_is_left_out_and_numbers_have_no_gap():
    boxes = [[0, 0, 4, 4], [0, 0, 8, 8], [0, 20, 4, 24]]
    found = paste(masks(0.6, 0.9, 0.9), boxes)
    assert found.kept.tolist() == [1, 2]
    assert area(found.labels) == [64, 16]
    assert found.labels.dtype == np.int32


def test_small_cells_are_left_out():
    boxes = [[0, 0, 3, 3], [10, 10, 14, 14], [20, 20, 22, 22]]
    found = paste(masks(1.0, 1.0, 1.0), boxes, smallest_area=9)
    assert found.kept.tolist() == [0, 1]
    assert area(found.labels) == [9, 16]
    # Also those of which too little is left.
    found = paste(masks(0.6, 0.9), [[0, 0, 5, 5], [0, 3, 5, 9]], smallest_area=16)
    assert found.kept.tolist() == [1]


def test_empty_masks_and_no_masks_give_an_empty_image():
    for found in (paste(masks(0.0, 0.5), [[0, 0, 9, 9]] * 2), paste(masks(1.0)[:0], [])):
        assert not found.labels.any()
        assert found.labels.shape == (30, 40)
        assert found.kept.tolist() == []


@given(st.integers(0, 2**16))
def test_every_label_belongs_to_a_cell_that_is_kept(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-4, 12, (8, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.2, 12, (8, 2))], axis=1)
    given = rng.random((8, 4, 4)).astype(np.float32)
    found = paste(given, boxes, shape=(15, 17), most_covered=0.6)
    numbers = np.unique(found.labels[found.labels > 0])
    np.testing.assert_array_equal(numbers, np.arange(1, len(found.kept) + 1))
    assert (np.diff(found.kept) > 0).all()
    for number, cell in enumerate(found.kept, start=1):
        rows, columns = np.nonzero(found.labels == number)
        y0, x0, y1, x1 = boxes[cell]
        assert ((rows + 0.5 > y0) & (rows + 0.5 < y1)).all()
        assert ((columns + 0.5 > x0) & (columns + 0.5 < x1)).all()
