"""What is taken for label images, and what is refused as a micrograph."""

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.label_images import open_labels
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.errors import InputError

SHAPE = (160, 200)
RNG = np.random.default_rng(0)
ROWS, COLUMNS = np.indices(SHAPE)


def cells(side, *, gap=2):
    """Squares of a side, each with a label of its own."""
    rows, columns = ROWS // (side + gap), COLUMNS // (side + gap)
    inside = (ROWS % (side + gap) < side) & (COLUMNS % (side + gap) < side)
    return np.where(inside, 1 + rows * 200 + columns, 0)


def micrograph(noise, *, floor=100.0, top=2000.0):
    centres = RNG.uniform(0, 160, (20, 2))
    image = np.full(SHAPE, float(floor))
    for y, x in centres:
        image += top * np.exp(-((ROWS - y) ** 2 + (COLUMNS - x) ** 2) / 50)
    return np.clip(image + RNG.normal(0, noise, SHAPE), 0, None)


LABELS = {
    "cells": cells(12),
    "cells that touch": cells(12, gap=0),
    "cells of two pixels": np.where(cells(2) > 0, cells(2), 0),
    "single pixels as markers": cells(1, gap=2),
    "no cell": np.zeros(SHAPE, int),
    "one cell is all of the image": np.ones(SHAPE, int),
    "cells in some pieces": np.where((ROWS + COLUMNS) % 7 > 0, cells(30), 0),
    "with a few stray pixels": np.where(RNG.random(SHAPE) < 0.002, 7, cells(12)),
    "all cells have one label": (cells(12) > 0).astype(int),
    "labels of 32 bits": np.where(cells(12) > 0, 2**32 - 1 - cells(12), 0),
}
IMAGES = {
    "16 bits": micrograph(40),
    "8 bits": micrograph(4, floor=20, top=150),
    "8 bits of little noise": micrograph(1, floor=10, top=200),
    "black background": micrograph(10, floor=-8),
    "bright": micrograph(400, floor=20000, top=20000),
    "every pixel is a label of its own": 1 + ROWS * 200 + COLUMNS,
}


def stack(tmp_path, image, dtype=np.uint32):
    path = tmp_path / "labels.tif"
    tifffile.imwrite(path, np.stack([image.astype(dtype)] * 2), photometric="minisblack")
    return path


@pytest.mark.parametrize("kind", LABELS)
def test_odd_label_images_are_label_images(tmp_path, kind):
    labels = open_labels(stack(tmp_path, LABELS[kind]))
    np.testing.assert_array_equal(labels[1], LABELS[kind])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_whole_numbers_that_are_stored_as_floats_are_labels(tmp_path, dtype):
    labels = open_labels(stack(tmp_path, LABELS["cells"], dtype))
    assert labels.dtype.kind == labels[1].dtype.kind == "i"
    np.testing.assert_array_equal(labels[1], LABELS["cells"])


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e30])
def test_other_floats_are_no_labels(tmp_path, value):
    with pytest.raises(InputError, match=r"labels.tif page 0 holds .* \(float32\); labels are whole numbers"):
        open_labels(stack(tmp_path, np.where(LABELS["cells"] == 1, value, LABELS["cells"]), np.float32))


@pytest.mark.parametrize("kind", IMAGES)
def test_micrographs_are_no_label_images(tmp_path, kind):
    with pytest.raises(
        InputError, match=r"labels\.tif page 0 is no label image: its pixels have \d+ values in"
    ):
        open_labels(stack(tmp_path, IMAGES[kind]))


def test_a_blank_first_frame_does_not_hide_a_micrograph(tmp_path):
    path = tmp_path / "labels.tif"
    tifffile.imwrite(
        path, np.stack([0 * IMAGES["16 bits"], IMAGES["16 bits"]]).astype(np.uint16), photometric=1
    )
    with pytest.raises(InputError, match="page 1 is no label image"):
        open_labels(path)


@pytest.mark.parametrize("axes", ["TYX", "ZYX"])
def test_slices_are_the_frames_of_a_movie_of_as_many(tmp_path, axes):
    movie, masks = tmp_path / "movie.tif", tmp_path / "masks.tif"
    tifffile.imwrite(movie, np.zeros((2, *SHAPE), np.uint8), photometric="minisblack")
    images = np.stack([LABELS["cells"], LABELS["no cell"]]).astype(np.uint16)
    tifffile.imwrite(masks, images, imagej=True, metadata={"axes": axes})
    np.testing.assert_array_equal(np.stack([*open_labels(masks, open_movie(movie))]), images)
    tifffile.imwrite(movie, np.zeros((5, *SHAPE), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match=r"is a 3-D stack|holds 2 label images") as caught:
        open_labels(masks, open_movie(movie))
    assert "--" not in str(caught.value)


@pytest.mark.parametrize("frames", [3, 5])
def test_one_image_per_frame(tmp_path, frames):
    movie = tmp_path / "movie.tif"
    tifffile.imwrite(movie, np.zeros((frames, *SHAPE), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match=f"holds 2 label images of 160 x 200 pixels, but .* {frames} frames"):
        open_labels(stack(tmp_path, LABELS["cells"]), open_movie(movie))
