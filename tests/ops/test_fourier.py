import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.fourier import (
    first_maximum,
    gaussian_target,
    gaussian_target_spectrum,
    hann_window,
    pad_spectrum,
    peak_shifts,
    refine_shifts,
    signed_shifts,
)
from tests.strategies import arrays, finite_floats

SHAPE = (7, 10)
SHIFT = st.tuples(st.floats(-2.875, 2.875, width=32), st.floats(-4.375, 4.375, width=32)).map(np.float32)

compiled_target = jax.jit(lambda centre: gaussian_target(centre[None], shape=SHAPE, sigma=1.2))
compiled_spectrum = jax.jit(lambda centre: gaussian_target_spectrum(centre[None], shape=SHAPE, sigma=1.2))
compiled_peaks, compiled_first = jax.jit(peak_shifts), jax.jit(first_maximum)


@pytest.mark.parametrize("shape", [(1, 1), (4, 5), (16, 9)])
def test_the_taper_is_that_of_scipy_at_half_steps(shape):
    sides = [scipy.signal.windows.hann(2 * size + 1)[1::2] for size in shape]
    np.testing.assert_allclose(hann_window(shape), np.outer(*sides), atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_signed_shifts_are_remainders_nearest_to_zero(size):
    shifts = signed_shifts(size)
    np.testing.assert_array_equal(shifts % size, np.arange(size))
    assert np.all(np.abs(shifts) <= size / 2)


@given(SHIFT)
def test_targets_are_gaussians_around_the_torus(centre):
    pixels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    apart = np.abs(pixels - centre) % SHAPE
    squared = (np.minimum(apart, np.array(SHAPE) - apart) ** 2).sum(-1)
    target = compiled_target(centre)[0]
    np.testing.assert_allclose(target, np.exp(-squared / 2 / 1.2**2), atol=1e-5)
    np.testing.assert_allclose(compiled_spectrum(centre)[0], np.fft.rfft2(target), atol=1e-4)


@given(SHIFT)
def test_the_peak_of_a_target_is_where_it_was_put(centre):
    shifts, heights = compiled_peaks(compiled_target(centre))
    np.testing.assert_allclose(shifts[0], centre, atol=0.1)
    # The border of a whole half turn apart: no shift is beyond half the size, but for the fraction.
    assert np.all(np.abs(shifts[0]) <= np.array(SHAPE) / 2 + 0.5)
    assert 0.8 < heights[0] <= 1


@given(arrays((3, *SHAPE), finite_floats(2).map(np.round)))
def test_the_first_maximum_is_that_of_numpy(maps):
    np.testing.assert_array_equal(compiled_first(maps), maps.reshape(3, -1).argmax(axis=1))
    assert np.all(np.isfinite(compiled_peaks(maps)[0]))


def test_constant_maps_peak_at_no_shift_and_nan_gives_an_index():
    shifts, heights = compiled_peaks(jnp.full((3, *SHAPE), 4.0))
    np.testing.assert_array_equal(shifts, np.zeros((3, 2)))
    np.testing.assert_array_equal(heights, [4.0] * 3)
    np.testing.assert_array_equal(compiled_first(jnp.full((3, *SHAPE), jnp.nan)), [0, 0, 0])


def test_a_parabola_is_refined_to_its_top():
    y, x = np.mgrid[:9, :9].astype(np.float32)
    tops = np.array([[3.3, 4.4], [2.0, 5.9]], np.float32)
    maps = np.stack([-((y - top[0]) ** 2) - 2 * (x - top[1]) ** 2 for top in tops])
    index = maps.reshape(2, -1).argmax(axis=1)
    refined = refine_shifts(jnp.asarray(maps), jnp.asarray(index))
    np.testing.assert_allclose(np.asarray(refined) % 9, tops, atol=1e-4)


def test_gradients_flow_through_fraction_and_height():
    def peak(centre):
        shifts, heights = peak_shifts(gaussian_target(centre[None], shape=SHAPE, sigma=1.2))
        return shifts[0], heights[0]

    slopes, height_slope = jax.jit(jax.jacobian(peak))(jnp.array([0.3, -1.2]))
    np.testing.assert_allclose(slopes, np.eye(2), atol=0.15)
    assert np.all(np.isfinite(height_slope))
    flat = jax.jit(jax.grad(lambda maps: sum(map(jnp.sum, peak_shifts(maps)))))(jnp.zeros((1, *SHAPE)))
    assert np.all(np.isfinite(flat))


@pytest.mark.parametrize(
    ("shape", "fine"),
    [
        ((6, 8), (12, 16)),
        ((5, 7), (10, 14)),
        ((6, 7), (9, 9)),
        ((5, 8), (6, 9)),
        ((6, 6), (6, 7)),
        ((4, 5), (4, 5)),
    ],
)
def test_padded_spectra_interpolate_like_scipy(shape, fine):
    coarse = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    padded = pad_spectrum(jnp.fft.rfft2(coarse), shape=shape, fine_shape=fine)
    expected = scipy.signal.resample(scipy.signal.resample(coarse, fine[0], axis=1), fine[1], axis=2)
    np.testing.assert_allclose(jnp.fft.irfft2(padded, s=fine), expected, atol=1e-5)


def test_a_whole_factor_passes_through_the_coarse_values():
    coarse = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    padded = pad_spectrum(jnp.fft.rfft2(coarse), shape=(6, 5), fine_shape=(24, 20))
    np.testing.assert_allclose(jnp.fft.irfft2(padded, s=(24, 20))[::4, ::4], coarse, atol=1e-5)


def test_a_finer_grid_cannot_be_smaller():
    with pytest.raises(ValueError, match=r"fine_shape \(4, 6\).*\(5, 6\)"):
        pad_spectrum(jnp.fft.rfft2(jnp.zeros((5, 6))), shape=(5, 6), fine_shape=(4, 6))
