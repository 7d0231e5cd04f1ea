import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.data.percentiles import normalize_percentiles


@given(st.floats(0.1, 50), st.floats(-1000, 1000))
def test_offset_and_gain_of_the_camera_do_not_matter(gain, offset):
    image = np.random.default_rng(0).normal(size=(20, 30))
    np.testing.assert_allclose(
        normalize_percentiles(gain * image + offset), normalize_percentiles(image), atol=2e-4
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_two_percentiles_become_minus_one_and_one(dtype):
    image = np.arange(250).reshape(10, 25).astype(dtype)
    seen = normalize_percentiles(image, lower=20.0, upper=60.0)
    assert np.percentile(seen, (20, 60)).tolist() == pytest.approx([-1, 1])
    assert seen.max() > 1


def test_a_few_pixels_on_a_constant_background_are_seen():
    image = np.full((100, 100), 7)
    image[3, 4:8] = 9
    seen = normalize_percentiles(image)
    assert (seen.min(), seen.max()) == (-1, 1)


def test_a_defect_of_the_camera_is_cut_off():
    image = np.tile(np.array([100, 101]), (100, 50))
    image[5, 5] = 65_535
    assert normalize_percentiles(image).max() == 1000


def test_an_image_without_contrast_is_zero():
    assert not normalize_percentiles(np.full((4, 4), 7)).any()
