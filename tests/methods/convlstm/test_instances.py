"""Components, holes, sizes and splitting of foreground, against drawings and scikit-image."""

import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import strategies
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.convlstm.instances import InstanceSettings, find_instances

ALL = InstanceSettings(smallest_area=1, largest_hole=0)


def drawn(*rows):
    """'#' is foreground for certain, '+' at the threshold, '.' background."""
    return np.array([[{"#": 1.0, "+": 0.5, ".": 0.0}[pixel] for pixel in row] for row in rows])


def numbered(*rows):
    return np.array([[int(pixel.replace(".", "0")) for pixel in row] for row in rows], np.int32)


def discs(*centres, radius=12, shape=(60, 80)):
    y, x = np.indices(shape)
    inside = [(y - row) ** 2 + (x - column) ** 2 <= radius**2 for row, column in centres]
    return np.logical_or.reduce(inside).astype(float)


def test_cells_share_sides_and_are_numbered_by_their_first_pixels():
    image = drawn(
        "..#..#",
        "..#.#.",
        "+#....",
        "##...#",
    )
    expected = numbered(
        "..1..2",
        "..1.3.",
        ".4....",
        "44...5",
    )
    found = find_instances(image, settings=ALL)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@hypothesis.given(
    hypothesis.extra.numpy.arrays(
        bool, hypothesis.extra.numpy.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
    ),
    strategies.integers(1, 4),
)
def test_without_holes_and_splitting_it_is_the_labelling_of_scikit_image(mask, smallest):
    found = find_instances(
        mask.astype(np.float32), settings=InstanceSettings(smallest_area=smallest, largest_hole=0)
    )
    components = label(mask, connectivity=1)
    large = np.bincount(components.ravel()) >= smallest
    np.testing.assert_array_equal(found, label(large[components] & mask, connectivity=1))


@hypothesis.given(
    hypothesis.extra.numpy.arrays(bool, (15, 15)),
    strategies.integers(0, 6),
    strategies.sampled_from([None, 0.5, 2.0]),
)
def test_filling_only_adds_and_splitting_only_parts(mask, largest_hole, depth):
    settings = InstanceSettings(smallest_area=1, largest_hole=largest_hole, split_depth=depth)
    found = find_instances(mask.astype(float), settings=settings)
    assert (found[mask] > 0).all()
    holes = label(~mask, connectivity=1)
    filled = (found > 0) & ~mask
    sizes = np.bincount(holes.ravel(), minlength=2)
    assert (sizes[holes[filled]] <= largest_hole).all()
    assert not filled[0].any()
    assert not filled[:, -1].any()
    for number in range(1, found.max() + 1):
        assert label(found == number, connectivity=1).max() == 1


def test_small_holes_are_filled_and_count_as_area():
    image = drawn(
        "###.....",
        "#.#.####",
        "###.#..#",
        "....####",
    )
    settings = InstanceSettings(smallest_area=9, largest_hole=1)
    found = find_instances(image, settings=settings)
    assert (found[1, 1], found[2, 5], found[2, 4]) == (1, 0, 2)
    assert find_instances(image, settings=InstanceSettings(smallest_area=10, largest_hole=2))[2, 5] == 1


def test_a_bay_at_the_border_is_no_hole():
    image = drawn("#.#", "#.#", "###")
    assert find_instances(image, settings=InstanceSettings(smallest_area=1, largest_hole=50))[0, 1] == 0


def test_touching_discs_are_parted_and_one_disc_is_not():
    touching = discs((30, 25), (30, 47))
    whole = find_instances(touching)
    parted = find_instances(touching, settings=InstanceSettings(split_depth=2.0))
    assert whole.max() == 1
    assert parted.max() == 2
    np.testing.assert_array_equal(parted > 0, whole > 0)
    assert parted[30, 25] == 1
    assert parted[30, 47] == 2
    areas = np.bincount(parted.ravel())[1:]
    assert abs(areas[0] - areas[1]) < 0.05 * areas.sum()
    assert find_instances(discs((30, 40)), settings=InstanceSettings(split_depth=0.5)).max() == 1


@hypothesis.given(hypothesis.extra.numpy.arrays(bool, (9, 17)), strategies.sampled_from([0.3, 0.5, 1.0]))
def test_cells_are_parted_as_by_all_extended_maxima(small, depth):
    """Against the reconstruction of every cell, none of which is passed over."""
    mask = np.kron(small, np.ones((2, 2)))
    whole = find_instances(mask, settings=ALL)
    settings = InstanceSettings(smallest_area=1, largest_hole=0, split_depth=depth)
    found = find_instances(mask, settings=settings)
    for number in range(1, whole.max() + 1):
        cell = whole == number
        if cell.all():
            continue
        distance = ndimage.distance_transform_edt(cell)
        tops = local_maxima(reconstruction(distance - depth, distance)) & cell
        parts = label(tops, connectivity=2).max()
        assert len(np.unique(found[cell])) == max(1, parts)


def test_a_neck_shallower_than_the_depth_is_left():
    touching = discs((30, 30), (30, 42))
    assert find_instances(touching, settings=InstanceSettings(split_depth=4.0)).max() == 1
    assert find_instances(touching, settings=InstanceSettings(split_depth=0.5)).max() == 2


def test_equal_tops_joined_above_the_cut_are_one_cell():
    sausage = np.zeros((30, 60))
    sausage[8:23, 5:55] = 1
    sausage[8, 28:32] = sausage[22, 28:32] = 0
    assert find_instances(sausage, settings=InstanceSettings(split_depth=2.0)).max() == 1


def test_the_border_of_the_frame_is_no_outline():
    cut = discs((0, 40), radius=14)
    assert find_instances(cut, settings=InstanceSettings(split_depth=0.5)).max() == 1
    cross = np.zeros((41, 41))
    cross[15:26] = cross[:, 15:26] = 1
    assert find_instances(cross, settings=InstanceSettings(split_depth=3.0)).max() <= 5


@pytest.mark.parametrize("depth", [None, 1.0])
def test_extreme_frames(depth):
    settings = InstanceSettings(smallest_area=1, split_depth=depth)
    assert find_instances(np.zeros((8, 9)), settings=settings).max() == 0
    assert (find_instances(np.ones((8, 9)), settings=settings) == 1).all()
    assert find_instances(np.ones((1, 1)), settings=settings).tolist() == [[1]]
    point = np.zeros((8, 9))
    point[3, 4] = 1
    assert find_instances(point, settings=settings).sum() == 1
    assert find_instances(point).sum() == 0
    frame = np.ones((12, 13))
    frame[4:8, 4:9] = 0
    found = find_instances(
        frame, settings=InstanceSettings(smallest_area=1, largest_hole=0, split_depth=depth)
    )
    assert (found == frame).all() or depth is not None
    assert ((found > 0) == (frame > 0)).all()


def test_what_is_no_probability_image_is_refused():
    broken = np.zeros((4, 4))
    broken[1, 2] = np.nan
    with pytest.raises(InputError, match="foreground holds NaN"):
        find_instances(broken)
    with pytest.raises(ValueError, match=r"foreground must be an image \[y, x\], got shape \(2, 3, 4\)"):
        find_instances(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"got shape \(0, 4\)"):
        find_instances(np.zeros((0, 4)))
    for wrong in (
        {"threshold": 1.0},
        {"threshold": float("nan")},
        {"smallest_area": 0},
        {"largest_hole": -1},
        {"split_depth": -1.0},
    ):
        with pytest.raises(InputError, match=f"InstanceSettings.{next(iter(wrong))} is"):
            InstanceSettings(**wrong)


def test_no_depth_and_a_depth_of_0_split_nothing():
    touching = discs((30, 40))
    none = find_instances(touching, settings=InstanceSettings())
    assert (find_instances(touching, settings=InstanceSettings(split_depth=0.0)) == none).all()
