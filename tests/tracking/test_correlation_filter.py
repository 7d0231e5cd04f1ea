"""Properties that `LinearFilter` and `KernelFilter` share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.test_util import check_grads

from cellmotion_jax.ops.fourier import peak_shifts, signed_shifts
from cellmotion_jax.tracking import KernelFilter, LinearFilter
from cellmotion_jax.tracking.correlation_filter import window_spectra

FORMS = [LinearFilter(), KernelFilter()]
SHAPE = (12, 11)
NOWHERE = jnp.zeros((1, 2))
SHIFTS = np.array([(y, x) for y in range(SHAPE[0]) for x in range(SHAPE[1])])


@pytest.fixture(params=FORMS, ids=["linear", "kernel"])
def form(request):
    return request.param


def texture(*shape, smooth=0.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=shape)
    spread = (0, smooth, smooth, 0)
    filtered = scipy.ndimage.gaussian_filter(noise, spread, mode="wrap") if smooth else noise
    return (filtered / filtered.std()).astype(np.float32)


def spectra(windows):
    return jnp.fft.rfft2(jnp.moveaxis(jnp.asarray(windows), -1, 1))


@functools.partial(jax.jit, static_argnums=0)
def learned(form, windows, offsets):
    return form.init(windows, offsets)


@functools.partial(jax.jit, static_argnums=0)
def maps(form, state, windows):
    return jnp.fft.irfft2(form.respond(state, windows), s=windows.shape[1:3])


@functools.partial(jax.jit, static_argnums=0)
@functools.partial(jax.grad, argnums=(1, 2))
def slopes(form, first, second):
    return jnp.sum(jnp.square(maps(form, form.init(first, NOWHERE), second)))


@functools.partial(jax.jit, static_argnums=0)
def shifts_found(form, patch, offset, shifted):
    shape = patch.shape[1:3]
    state = form.learn(spectra(patch), offset, width=shape[1])
    response = jnp.fft.irfft2(form.match(state, spectra(shifted), width=shape[1]), s=shape)
    return response, *peak_shifts(response)


@pytest.mark.parametrize("smooth", [0.0, 1.5], ids=["white", "smooth"])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.4, -0.3)])
def test_every_circular_shift_is_found_exactly(form, smooth, offset):
    patch = texture(1, *SHAPE, 3, smooth=smooth)
    shifted = np.concatenate([np.roll(patch, shift, (1, 2)) for shift in SHIFTS])
    response, found, heights = shifts_found(form, patch, jnp.array([offset]), shifted)
    apart = (np.asarray(found) - SHIFTS - offset + np.array(SHAPE) / 2) % SHAPE - np.array(SHAPE) / 2
    np.testing.assert_allclose(apart, np.zeros_like(apart), atol=0.06)
    assert np.all((np.asarray(heights) > 0.6) & (np.asarray(heights) < 1.1))
    # All responses are shifts of one another.
    unshifted = np.stack([np.roll(one, -shift, (0, 1)) for one, shift in zip(response, SHIFTS)])
    np.testing.assert_allclose(unshifted, np.broadcast_to(unshifted[0], unshifted.shape), atol=2e-3)


def test_a_linear_filter_is_ridge_regression_over_all_shifts():
    shape = (5, 6)
    patch, other = (texture(*shape, 2, seed=seed).astype(float) for seed in (1, 2))
    shifts = [(y, x) for y in range(shape[0]) for x in range(shape[1])]
    rows, others = (np.stack([np.roll(image, s, (0, 1)).ravel() for s in shifts]) for image in (patch, other))
    squared = sum((signed_shifts(size)[np.array(shifts)[:, axis]]) ** 2 for axis, size in enumerate(shape))
    target = np.exp(-squared / 2 / 1.3**2)
    weights = np.linalg.solve(rows.T @ rows + 0.1 * 30 * np.eye(rows.shape[1]), rows.T @ target)
    expected = (others @ weights).reshape(shape)
    form = LinearFilter(regularization=0.1, sigma=1.3)
    arguments = (np.float32(images) for images in (patch[None], NOWHERE, other[None]))
    response = shifts_found(form, *arguments)[0][0]
    # What the regression answers to the window moved by s is the response at -s.
    mirrored = np.roll(expected[::-1, ::-1], (1, 1), (0, 1))
    np.testing.assert_allclose(response, mirrored, atol=1e-5)


@pytest.mark.parametrize("smooth", [0.0, 1.5], ids=["white", "smooth"])
def test_a_kernel_filter_is_that_of_henriques_in_float64(smooth):
    form = KernelFilter(bandwidth=0.6, regularization=1e-3, sigma=1.3)
    patch, other = (texture(1, 16, 16, 2, smooth=smooth, seed=seed)[0] for seed in (1, 2))
    other = 0.8 * np.roll(patch, (2, -3), (0, 1)) + 0.4 * other
    x, z = (np.fft.fft2(image.astype(float), axes=(0, 1)) for image in (patch, other))

    def kernel(a, b):
        cross = np.fft.ifft2((a.conj() * b).sum(-1)).real
        squared = [(np.abs(c) ** 2).sum() / 256 for c in (a, b)]
        return np.fft.fft2(np.exp(-np.maximum(sum(squared) - 2 * cross, 0) / (0.6**2 * patch.size)))

    y, x_shift = np.meshgrid(signed_shifts(16), signed_shifts(16), indexing="ij")
    target = np.fft.fft2(np.exp(-(y**2 + x_shift**2) / 2 / 1.3**2))
    expected = np.fft.ifft2(kernel(x, z) * target / (kernel(x, x) + 1e-3)).real
    response = shifts_found(form, patch[None], NOWHERE, other[None])[0][0]
    np.testing.assert_allclose(response, expected, atol=2e-3)


def test_a_blob_that_moves_in_the_tapered_window_is_found(form):
    y, x = np.mgrid[:24, :24].astype(np.float32)
    places = [(12, 12), (15, 12), (10, 14), (8, 9)]
    windows = np.stack([np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in places])[..., None]
    state = learned(form, windows[:1], NOWHERE)
    shifts, heights = peak_shifts(maps(form, state, windows))
    np.testing.assert_allclose(shifts, np.array(places) - 12, atol=0.5)
    assert heights[0] == pytest.approx(1, abs=0.1)
    assert np.all(np.diff(np.asarray(heights)[[0, 1, 3]]) < 0), "the taper takes from what moves outwards"


def test_cells_do_not_hear_each_other(form):
    windows, later = (jnp.asarray(texture(3, 8, 8, 2, seed=seed)) for seed in (0, 1))
    offsets = jnp.array([[0.0, 0.2], [0.5, -0.5], [-0.1, 0.0]])

    def one(window, offset, next_window):
        return maps(form, form.init(window[None], offset[None]), next_window[None])[0]

    together = maps(form, learned(form, windows, offsets), later)
    np.testing.assert_allclose(jax.vmap(one)(windows, offsets, later), together, atol=1e-5)


def test_windows_are_most_similar_to_themselves(form):
    windows = jnp.asarray(texture(3, 16, 16, 2))
    similarity = jax.jit(form.similarity)
    state = learned(form, windows, jnp.array([[0.0, 0.0], [0.5, -0.5], [1.0, 0.3]]))
    np.testing.assert_allclose(similarity(state, windows), np.ones(3), atol=0.05)
    np.testing.assert_allclose(similarity(state, 3 * windows + 1), similarity(state, windows), atol=1e-4)
    assert np.all(similarity(state, windows[::-1].at[1].set(0.0)) < 0.9)


def test_the_rate_of_an_update_goes_from_keeping_to_replacing(form):
    windows, later = (jnp.asarray(texture(4, 8, 8, 2, seed=seed)) for seed in (0, 1))
    later = later.at[0].set(jnp.nan)
    nowhere = jnp.zeros((4, 2))
    old, new = (learned(form, images, nowhere) for images in (windows, later))
    rates = jnp.array([0.0, 1.0, 0.25, 0.0])
    for before, after, mixed in zip(
        *map(jax.tree.leaves, (old, new, jax.jit(form.update)(old, later, nowhere, rates)))
    ):
        np.testing.assert_array_equal(mixed[jnp.array([0, 3])], before[jnp.array([0, 3])])
        np.testing.assert_allclose(mixed[1], after[1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mixed[2], 0.75 * before[2] + 0.25 * after[2], rtol=1e-4, atol=1e-5)


def test_filters_of_many_updates_still_find_their_cell(form):
    """The moving averages of the kernel form divide what is almost nothing at high frequencies."""
    blob = texture(1, 16, 16, 1, smooth=2.0)
    state = learned(form, blob, NOWHERE)
    update = jax.jit(form.update)
    for seed in range(1, 20):
        noisy = jnp.asarray(blob + 0.1 * texture(1, 16, 16, 1, seed=seed))
        state = update(state, noisy, NOWHERE, jnp.array([0.3]))
    shift, height = peak_shifts(maps(form, state, jnp.asarray(blob)))
    np.testing.assert_allclose(shift[0], [0, 0], atol=0.1)
    assert 0.5 < height[0] < 1.5


@pytest.mark.parametrize("level", [0.0, 3.7, 1e4])
def test_a_constant_window_has_no_response_and_no_gradient(form, level):
    constant, other = jnp.full((1, 9, 9, 2), level), jnp.asarray(texture(1, 9, 9, 2))
    known, blank = (learned(form, images, NOWHERE) for images in (other, constant))
    for state, window in [(blank, other), (blank, constant), (known, constant)]:
        assert np.all(np.isfinite(maps(form, state, window)))

    for pair in [(constant, other), (other, constant), (constant, constant)]:
        for slope in slopes(form, *pair):
            assert np.all(np.isfinite(slope))
    if isinstance(form, LinearFilter):
        np.testing.assert_array_equal(maps(form, known, constant), np.zeros((1, 9, 9)))
    np.testing.assert_array_equal(window_spectra(constant, normalize=True), np.zeros((1, 2, 9, 5)))


@pytest.mark.parametrize("factor", [1e-6, 50.0])
def test_normalised_windows_know_no_gain_and_no_offset(form, factor):
    windows, later = (jnp.asarray(texture(2, 8, 8, 2, seed=seed)) for seed in (0, 1))
    nowhere = jnp.zeros((2, 2))
    expected = maps(form, learned(form, windows, nowhere), later)
    changed = maps(form, learned(form, factor * windows, nowhere), factor * (later + 3.0))
    np.testing.assert_allclose(changed, expected, atol=1e-4)


def test_the_gradient_through_the_closed_form_is_the_numerical_one(form):
    windows, later = (jnp.asarray(texture(1, 6, 6, 2, seed=seed)) for seed in (0, 1))
    weights = jnp.asarray(texture(6, 6, seed=2))

    @jax.jit
    def score(first, second, offset):
        return jnp.sum(weights * maps(form, form.init(first, offset), second)[0])

    check_grads(
        score, (windows, later, NOWHERE + 0.2), order=1, modes=["rev"], atol=2e-2, rtol=2e-2, eps=1e-2
    )
