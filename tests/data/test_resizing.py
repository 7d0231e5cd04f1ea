"""Frames and label images at another scale, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.data.resizing import resize_image, resize_labels, resized_shape
from tests.label_images import label_images


@pytest.mark.parametrize("channels", [(), (3,)])
def test_an_image_keeps_its_unit_and_its_channels(channels):
    image = np.random.default_rng(0).integers(0, 60_000, (20, 30, *channels)).astype(np.uint16)
    for size in ((10, 15), (40, 60), (7, 61)):
        resized = resize_image(image, size)
        assert resized.dtype == np.float32
        assert resized.shape == (*size, *channels)
        np.testing.assert_allclose(resized.mean(), image.mean(), rtol=0.1)
    np.testing.assert_array_equal(resize_image(image, (20, 30)), image)


@given(label_images(), st.integers(1, 4), st.integers(1, 4))
def test_labels_that_are_enlarged_and_shrunk_are_as_before(labels, down, across):
    size = labels.shape[0] * down, labels.shape[1] * across
    large = resize_labels(labels, size)
    assert large.dtype == labels.dtype
    np.testing.assert_array_equal(large, np.kron(labels, np.ones((down, across), int)))
    np.testing.assert_array_equal(resize_labels(large, labels.shape), labels)


@given(label_images(), st.floats(0.3, 3))
def test_labels_of_any_scale_are_those_at_the_pixel_centres(labels, scale):
    size = resized_shape(labels.shape, scale=scale)
    found = resize_labels(labels, size)
    assert found.shape == size
    for row, column in np.ndindex(*size):
        y = int((row + 0.5) * labels.shape[0] / size[0])
        x = int((column + 0.5) * labels.shape[1] / size[1])
        assert found[row, column] == labels[y, x]


@given(label_images(), st.floats(1, 3))
def test_no_label_is_lost_when_a_label_image_is_enlarged(labels, scale):
    size = resized_shape(labels.shape, scale=scale)
    np.testing.assert_array_equal(np.unique(resize_labels(labels, size)), np.unique(labels))
