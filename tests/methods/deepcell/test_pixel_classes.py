"""Classes of pixels, and the tiles and patches that are cut of them."""

import numpy as np
import pytest
import tifffile
from hypothesis import given

from cellmotion_jax.data.annotated_image import annotated_image
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deepcell.pixel_classes import (
    ClassedImage,
    balanced_crops,
    class_shares,
    classed_images,
    pixel_classes,
    tile_crops,
)
from cellmotion_jax.models.feature_net import BACKGROUND, BOUNDARY, INTERIOR
from tests.label_images import discs, label_images


@given(label_images())
def test_boundaries_lie_inside_of_nuclei_and_part_those_that_touch(labels):
    classes = pixel_classes(labels, width=1.5)
    np.testing.assert_array_equal(classes == BACKGROUND, labels == 0)
    sides = np.s_[1:], np.s_[:-1]
    for one, other in (sides, sides[::-1]):
        for axis in (0, 1):
            here, there = (np.moveaxis(labels, axis, 0)[side] for side in (one, other))
            beside = np.moveaxis(classes, axis, 0)[one]
            assert np.all(beside[(here > 0) & (here != there)] == BOUNDARY)


def test_what_is_left_inside_is_interior_down_to_the_width():
    labels = discs((41, 41), (20, 20, 12))
    for width in (1.0, 3.0):
        interior = pixel_classes(labels, width=width) == INTERIOR
        assert abs(np.sqrt(interior.sum() / np.pi) - (12.5 - width)) < 0.6


def images(rng, number=2, field=5):
    labels = discs((30, 26), (9, 9, 6), (20, 17, 7))
    margin = field // 2
    classes = np.pad(pixel_classes(labels, width=1.0), margin)
    known = np.pad(np.ones(labels.shape, bool), margin)
    # The number of a pixel says where it was.
    numbers = np.arange(classes.size, dtype=np.float16).reshape(classes.shape)
    return [ClassedImage(numbers, classes, known) for _ in range(number)]


def test_tiles_answer_for_every_pixel_of_the_images():
    classed = images(np.random.default_rng(0))
    crops = tile_crops(classed, tile=8, step=8, field=5)
    seen = [np.zeros(image.classes.shape, bool) for image in classed]
    for index, (number, top, left) in enumerate(crops.places):
        sample = crops[index]
        assert sample["image"].shape == (12, 12, 1)
        assert sample["target"].shape == sample["annotated"].shape == (12, 12)
        assert sample["image"][0, 0, 0] == classed[number].contrast[top, left]
        seen[number][top + 2 : top + 10, left + 2 : left + 10] = True
    for covered, image in zip(seen, classed):
        np.testing.assert_array_equal(covered, image.annotated)


def test_tiles_without_anything_known_are_left_out():
    (image,) = images(np.random.default_rng(0), number=1)
    image.annotated[:] = False
    image.annotated[3, 3] = True
    assert len(tile_crops([image], tile=8, step=8, field=5)) == 1
    image.annotated[3, 3] = False
    with pytest.raises(InputError, match="Nothing is annotated in 1 images"):
        tile_crops([image], tile=8, step=8, field=5)


def test_images_smaller_than_a_tile_are_one_tile():
    crops = tile_crops(images(np.random.default_rng(0)), tile=100, step=50, field=5)
    assert crops[0]["image"].shape == (30, 30, 1)


def test_balanced_patches_show_as_many_pixels_of_each_class_each_in_the_middle():
    classed = images(np.random.default_rng(0))
    crops = balanced_crops(classed, most=40, field=5, seed=1)
    middle = [crops[index]["target"][2, 2] for index in range(len(crops))]
    assert np.bincount(middle).tolist() == [40, 40, 40]
    assert crops[0]["image"].shape == (5, 5, 1)
    rarest = min(int(np.sum(image.annotated & (image.classes == BOUNDARY))) for image in classed)
    assert len(balanced_crops(classed, most=10**6, field=5, seed=1)) == 3 * 2 * rarest


def test_shares_are_of_what_is_annotated():
    (image,) = images(np.random.default_rng(0), number=1)
    shares = class_shares([image])
    assert shares.sum() == pytest.approx(1)
    assert shares[BACKGROUND] == pytest.approx(np.mean(image.classes[2:-2, 2:-2] == BACKGROUND))
    image.annotated[image.classes == BOUNDARY] = False
    with pytest.raises(InputError, match="No pixel of the 1 training images is boundary"):
        class_shares([image])


def test_images_are_read_downsampled_and_mirrored(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 99, (20, 24)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", pixels)
    tifffile.imwrite(tmp_path / "mask.tif", discs((20, 24), (10, 10, 6)).astype(np.uint8))
    image = annotated_image("one", tmp_path / "image.tif", tmp_path / "mask.tif")
    (classed,) = classed_images(
        [image], downsample=2, width=1.0, field=5, contrast=lambda it: it[::2, ::2].astype(np.float32)
    )
    np.testing.assert_array_equal(classed.contrast, np.pad(pixels[::2, ::2], 2, mode="symmetric"))
    assert classed.classes.shape == classed.annotated.shape == (14, 16)
    assert classed.annotated.sum() == 10 * 12
    tifffile.imwrite(tmp_path / "image.tif", np.repeat(pixels[..., None], 3, -1), photometric="rgb")
    coloured = annotated_image("one", tmp_path / "image.tif", tmp_path / "mask.tif")
    with pytest.raises(InputError, match="has 3 channels"):
        classed_images([coloured], downsample=2, width=1.0, field=5, contrast=lambda it: it)
