"""DeepCell's normalisation against the computation of its authors in SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from cellmotion_jax import ops

CHEAP = {"xla_backend_optimization_level": 0}
local_contrast = jax.jit(ops.local_contrast, static_argnames=("window", "offset"), compiler_options=CHEAP)


@pytest.mark.parametrize(("shape", "window"), [((9, 8), 1), ((40, 55), 31), ((7, 90), 61)])
def test_as_the_authors_compute_it(shape, window):
    image = np.random.default_rng(0).gamma(2.0, 100.0, shape)
    relative = image / np.median(image)
    expected = relative - scipy.ndimage.uniform_filter(relative, window, mode="reflect")
    contrast = local_contrast(jnp.asarray(image, jnp.float32)[..., None], window=window)[..., 0]
    np.testing.assert_allclose(contrast, expected, atol=2e-5)


def test_float32_is_exact_enough_far_from_the_first_pixel():
    image = np.random.default_rng(0).integers(33_000, 37_000, (8, 3000)).astype(np.float64)
    relative = image / np.median(image)
    expected = relative - scipy.ndimage.uniform_filter(relative, 31, mode="reflect")
    contrast = local_contrast(jnp.asarray(image, jnp.float32)[..., None], window=31)[..., 0]
    np.testing.assert_allclose(contrast, expected, atol=1e-6)


def test_images_and_channels_are_apart_and_the_unit_does_not_matter():
    images = 1 + jax.random.uniform(jax.random.key(0), (2, 12, 13, 2))
    together = local_contrast(images, window=5)
    for i, c in np.ndindex(2, 2):
        alone = local_contrast(7 * images[i, ..., c : c + 1], window=5)
        np.testing.assert_allclose(together[i, ..., c : c + 1], alone, atol=1e-5)


def test_an_offset_is_taken_off_before_anything_else():
    image = 1 + jax.random.uniform(jax.random.key(0), (12, 13, 1))
    np.testing.assert_allclose(
        local_contrast(image + 64, window=5, offset=64.0), local_contrast(image, window=5), atol=1e-4
    )
    assert np.ptp(local_contrast(image + 64, window=5)) < 0.05 * np.ptp(local_contrast(image, window=5))


def test_an_image_in_the_dark_is_zero_with_finite_gradients():
    dark = jnp.zeros((6, 6, 1)).at[2, 2].set(9.0)
    np.testing.assert_array_equal(local_contrast(dark, window=3), 0)
    gradient = jax.jit(
        jax.grad(lambda image: ops.local_contrast(image, window=3)[2, 2, 0]), compiler_options=CHEAP
    )
    np.testing.assert_array_equal(gradient(dark), 0)


@pytest.mark.parametrize("window", [0, 4])
def test_a_window_without_a_middle_is_refused(window):
    with pytest.raises(ValueError, match=f"window must be odd and positive, got {window}"):
        ops.local_contrast(jnp.ones((6, 6, 1)), window=window)
