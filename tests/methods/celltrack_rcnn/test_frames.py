"""Frames come to the scale of the network, and label images there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.data.resizing import resized_shape
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.frames import network_frame, padded
from cellmotion_jax.ops.intensity import compress

RNG = np.random.default_rng(0)


def test_at_scale_1_an_image_is_compressed_and_nothing_else():
    image = RNG.integers(0, 60_000, (9, 13)).astype(np.uint16)
    frame = network_frame(image, scale=1.0)
    assert frame.factor == (1.0, 1.0)
    assert frame.image.dtype == np.float32
    np.testing.assert_array_equal(frame.image, compress(image.astype(np.float32)[..., None])[..., 0])


@pytest.mark.parametrize("scale", [0.4, 1.7])
def test_the_factor_is_exact_where_sides_are_rounded(scale):
    image = RNG.random((33, 47))
    frame = network_frame(image, scale=scale)
    assert frame.image.shape == resized_shape(image.shape, scale=scale)
    assert frame.image.shape == (round(33 * scale), round(47 * scale))
    np.testing.assert_array_equal(np.multiply(frame.factor, image.shape), frame.image.shape)


def test_a_bright_blob_is_where_the_factor_says():
    y, x = np.mgrid[:60, :90]
    image = np.exp(-((y - 20) ** 2 + (x - 61) ** 2) / 50)
    for scale in (0.5, 1.5):
        frame = network_frame(image, scale=scale)
        rows, columns = np.indices(frame.image.shape)
        weight = np.maximum(frame.image - 0.5, 0)
        middle = [(weight * (grid + 0.5)).sum() / weight.sum() for grid in (rows, columns)]
        # Middles of pixels lie at halves: a point of a box, which has its pixels from 0 on.
        np.testing.assert_allclose(np.divide(middle, frame.factor), (20.5, 61.5), atol=0.2)


def test_a_frame_that_shrinks_is_smoothed():
    noise = RNG.normal(size=(120, 120))
    shrunk, same = (network_frame(noise, scale=scale).image for scale in (0.25, 1.0))
    assert shrunk.std() < 0.5 * same.std()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_a_constant_frame_of_any_type_is_0(dtype):
    for scale in (0.5, 1.0, 2.0):
        frame = network_frame(np.full((8, 8), 7).astype(dtype), scale=scale)
        assert frame.image.dtype == np.float32
        assert not frame.image.any()


def test_unit_and_offset_of_the_intensities_do_not_matter():
    image = RNG.random((20, 20))
    frame = network_frame(image, scale=0.7).image
    for changed in (3000 * image + 500, 1e-200 * image, 1e200 * image):
        np.testing.assert_allclose(network_frame(changed, scale=0.7).image, frame, atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(value):
    image = np.zeros((4, 4))
    image[1, 2] = value
    with pytest.raises(InputError, match=r"^it holds pixels that are NaN or infinite; give finite frames$"):
        network_frame(image, scale=1.0)


def test_one_pixel_is_a_frame():
    assert network_frame(np.ones((1, 1)), scale=0.1).image.shape == (1, 1)


@given(st.integers(1, 200), st.integers(1, 200))
def test_sides_are_padded_to_multiples_of_32_and_at_least_64(height, width):
    whole = padded(np.ones((height, width), np.float32))
    assert all(side % 32 == 0 and side >= 64 for side in whole.shape)
    assert all(side < max(65, given + 32) for side, given in zip(whole.shape, (height, width)))
    assert whole[:height, :width].all()
    assert whole.sum() == height * width


def test_a_frame_that_would_not_fit_into_the_memory_is_refused():
    with pytest.raises(InputError) as refused:
        network_frame(np.ones((100, 200)), scale=1000.0)
    message = str(refused.value)
    assert message.startswith(
        "a frame of 100 x 200 pixels, for the network 100000 x 200000, would take about"
    )
    assert message.endswith("; state the diameter of the cells in pixels of the movie.")
