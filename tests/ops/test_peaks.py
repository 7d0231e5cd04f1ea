"""Maxima equal their definitions on maps with ties, and differ from scikit-image where the docstrings say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import skimage.morphology
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.peaks import h_maxima, label_components, peak_centroids, regional_maxima
from tests.ops.test_reconstruction import NEIGHBOURS, by_definition
from tests.strategies import arrays, masks

few_levels = arrays((6, 7), st.integers(-2, 2).map(float))
any_levels = arrays((6, 7), st.one_of(st.integers(-2, 2).map(float), st.floats(-2, 2, width=32)))
both_connectivities = pytest.mark.parametrize("connectivity", [4, 8])


@functools.cache
def compiled(function, **options):
    return jax.jit(functools.partial(function, **options))


def plateaus(image, connectivity):
    """Every connected set of equal pixels, with its value, as a mask."""
    for value in np.unique(image):
        pieces, count = scipy.ndimage.label(image == value, NEIGHBOURS[connectivity])
        for piece in range(1, count + 1):
            yield value, pieces == piece


def maxima_by_definition(image, connectivity):
    result = np.zeros(image.shape, bool)
    for value, plateau in plateaus(image, connectivity):
        beside = scipy.ndimage.binary_dilation(plateau, NEIGHBOURS[connectivity]) & ~plateau
        result |= plateau & np.all(image[beside] < value)
    return result


@both_connectivities
@given(image=any_levels)
def test_regional_maxima_equal_the_definition(connectivity, image):
    result = compiled(regional_maxima, connectivity=connectivity)(image)
    np.testing.assert_array_equal(result, maxima_by_definition(image, connectivity))


@both_connectivities
@given(image=any_levels)
def test_regional_maxima_equal_scikit_image_unless_the_map_is_constant(connectivity, image):
    result = compiled(regional_maxima, connectivity=connectivity)(image)
    oracle = skimage.morphology.local_maxima(image, connectivity={4: 1, 8: 2}[connectivity])
    np.testing.assert_array_equal(result, oracle if np.ptp(image) else np.ones_like(oracle))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 4)])
def test_a_constant_map_is_one_maximum_and_scikit_image_finds_none(shape):
    image = np.full(shape, 3, np.float32)
    assert np.all(compiled(regional_maxima, connectivity=8)(image))
    assert np.all(compiled(h_maxima, connectivity=8)(image, 1.0))
    assert not skimage.morphology.local_maxima(image).any()
    assert not skimage.morphology.h_maxima(image, 1.0).any()


def test_nan_and_minus_infinity_lie_outside():
    image = np.array([[np.nan, 1, np.nan], [-np.inf, 0, 2]], np.float32)
    regional, of_h = (compiled(function, connectivity=4) for function in (regional_maxima, h_maxima))
    expected = [[False, True, False], [False, False, True]]
    assert regional(image).tolist() == expected
    assert of_h(image, 0.5).tolist() == expected
    nothing = np.full((2, 3), np.nan, np.float32)
    assert not np.any(regional(nothing))
    assert not np.any(of_h(nothing, 0.5))


def test_both_zeros_are_one_plateau_and_the_smallest_steps_count():
    maxima = compiled(regional_maxima, connectivity=4)
    assert maxima(np.array([[0, -0.0, -1]], np.float32)).tolist() == [[True, True, False]]
    step = np.nextafter(np.float32(1), np.float32(2))
    assert maxima(np.array([[1, step, 1]], np.float32)).tolist() == [[False, True, False]]


@both_connectivities
@given(image=any_levels, h=st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 9.0]))
def test_h_maxima_equal_the_definition(connectivity, image, h):
    result = compiled(h_maxima, connectivity=connectivity)(image, h)
    cut = by_definition(image - np.float32(h), image, connectivity)
    np.testing.assert_array_equal(result, maxima_by_definition(cut, connectivity))


def test_bfloat16_gives_what_the_same_numbers_give_in_float32():
    image = jax.random.normal(jax.random.key(0), (20, 20), jnp.bfloat16)
    wide = image.astype(jnp.float32)
    for find in (compiled(regional_maxima, connectivity=8), compiled(h_maxima, h=0.3, connectivity=8)):
        np.testing.assert_array_equal(find(image), find(wide))
    centroids = compiled(peak_centroids, connectivity=8, max_peaks=40)
    narrow, wide = (centroids(i, i > 1) for i in (image, wide))
    assert narrow.points.dtype == jnp.float32
    jax.tree.map(np.testing.assert_array_equal, narrow, wide)


class TestBesideScikitImage:
    """``skimage.morphology.h_maxima`` marks tops where ours makes plateaus, and what else differs."""

    @both_connectivities
    @given(image=few_levels, h=st.sampled_from([0.5, 1.5, 2.5]))
    def test_its_marks_are_the_tops_of_our_plateaus_if_no_peak_stands_out_by_h_exactly(
        self, connectivity, image, h
    ):
        ours = np.asarray(compiled(h_maxima, connectivity=connectivity)(image, h))
        theirs = skimage.morphology.h_maxima(image, h, footprint=NEIGHBOURS[connectivity])
        if h > np.ptp(image):
            assert ours.all()
            assert not theirs.any()
            return
        pieces, count = scipy.ndimage.label(ours, NEIGHBOURS[connectivity])
        tops = np.r_[np.inf, scipy.ndimage.maximum(image, pieces, np.arange(1, count + 1))]
        np.testing.assert_array_equal(theirs, image == tops[pieces])

    @staticmethod
    def rows(row, h):
        image = np.array([row], np.float32)
        ours = compiled(h_maxima, connectivity=8)(image, h)
        return ours[0].astype(int).tolist(), skimage.morphology.h_maxima(image, h)[0].tolist()

    def test_it_keeps_a_peak_that_stands_out_by_h_exactly(self):
        assert self.rows([0, 3, 2, 5, 0], 1) == ([0, 0, 0, 1, 0], [0, 1, 0, 1, 0])

    def test_it_marks_two_joined_tops_of_one_height_twice(self):
        assert self.rows([0, 1, 0.95, 1, 0], 0.2) == ([0, 1, 1, 1, 0], [0, 1, 0, 1, 0])

    def test_on_floats_it_takes_tops_of_almost_one_height_for_equal(self):
        assert self.rows([0, 1, 0.95, 1 - 1e-6, 0], 0.2) == ([0, 1, 1, 1, 0], [0, 1, 0, 1, 0])
        assert self.rows([0, 1, 0.95, 1 - 1e-5, 0], 0.2) == ([0, 1, 1, 1, 0], [0, 1, 0, 0, 0])

    def test_on_floats_with_an_offset_it_marks_pixels_far_below_the_top(self):
        hill = np.array([0, 0.4, 0.46, 0.4, 0])
        assert self.rows(hill, 0.45)[1] == [0, 0, 1, 0, 0]
        assert self.rows(100000 + hill, 0.45)[1] == [0, 1, 1, 1, 0]


def first_pixels(pieces, count):
    return [np.flatnonzero(pieces == piece)[0] for piece in range(1, count + 1)]


@both_connectivities
@given(where=masks(6, 7))
def test_components_are_those_of_scipy_named_after_their_first_pixel(connectivity, where):
    pieces, count = scipy.ndimage.label(where, NEIGHBOURS[connectivity])
    names = 1 + np.array([-1, *first_pixels(pieces, count)])
    np.testing.assert_array_equal(compiled(label_components, connectivity=connectivity)(where), names[pieces])


@both_connectivities
@given(image=any_levels, maxima=masks(6, 7))
def test_centroids_and_values_are_those_of_scipy_highest_first(connectivity, image, maxima):
    peaks = compiled(peak_centroids, connectivity=connectivity, max_peaks=50)(image, maxima)
    pieces, count = scipy.ndimage.label(maxima, NEIGHBOURS[connectivity])
    numbers = np.arange(1, count + 1)
    centroids = np.reshape(scipy.ndimage.center_of_mass(maxima, pieces, numbers), (-1, 2))
    tops = np.array(scipy.ndimage.maximum(image, pieces, numbers)).reshape(-1)
    order = np.lexsort([first_pixels(pieces, count), -tops])
    assert peaks.found == peaks.valid.sum() == count
    assert peaks.points.shape == (50, 2)
    np.testing.assert_allclose(peaks.points[:count], centroids[order], rtol=1e-6)
    np.testing.assert_array_equal(peaks.values[:count], tops[order])
    assert not jnp.any(peaks.points[count:])
    assert not jnp.any(peaks.values[count:])


def test_too_few_slots_hold_the_highest_peaks_and_the_count_tells():
    image = np.array([[3, 0, 5, 5, 0, 3, 0, 4]], np.float32)
    maxima = compiled(regional_maxima, connectivity=4)(image)
    peaks = compiled(peak_centroids, connectivity=4, max_peaks=3)(image, maxima)
    assert peaks.found == 4
    assert peaks.valid.all()
    assert peaks.points.tolist() == [[0, 2.5], [0, 7], [0, 0]]
    assert peaks.values.tolist() == [5, 4, 3]


def test_no_maxima_and_maxima_without_a_value_are_no_peaks():
    image = np.array([[np.nan, -np.inf, 0, 1]], np.float32)
    for maxima in (np.zeros((1, 4), bool), np.array([[True, True, False, False]])):
        peaks = compiled(peak_centroids, connectivity=4, max_peaks=2)(image, maxima)
        assert peaks.found == 0
        assert not peaks.valid.any()
        assert peaks.points.tolist() == [[0, 0], [0, 0]]


def test_a_plateau_far_from_the_origin_keeps_its_fraction_of_a_pixel():
    maxima = np.zeros((1, 9000), bool)
    maxima[0, [8001, 8002, 8004]] = True
    peaks = compiled(peak_centroids, connectivity=4, max_peaks=2)(maxima.astype(np.float32), maxima)
    np.testing.assert_allclose(peaks.points, [[0, 8001.5], [0, 8004]])


def test_cells_of_a_noisy_distance_map_are_found_each_once_in_a_batch():
    """What detection does: maps with cells of known centres, noise below h, one compilation for the batch."""
    rng = np.random.default_rng(0)
    grid = 24 * np.stack(np.mgrid[:4, :5], axis=-1).reshape(-1, 2) + 12
    centres = grid + rng.uniform(-5, 5, (2, 20, 2))
    pixels = np.stack(np.mgrid[:96, :120], axis=-1)
    distances = np.linalg.norm(pixels - centres[:, :, None, None], axis=-1).min(axis=1)
    noise = rng.uniform(-0.05, 0.05, distances.shape)
    images = jnp.asarray(1 / (1 + 0.1 * distances) + noise, jnp.float32)

    @jax.jit
    @jax.vmap
    def detect(image):
        return peak_centroids(image, h_maxima(image, 0.2, connectivity=8), connectivity=8, max_peaks=32)

    peaks = detect(images)
    assert peaks.found.tolist() == [20, 20]
    for found, true in zip(np.asarray(peaks.points)[:, :20], centres):
        between = np.linalg.norm(found[:, None] - true, axis=-1)
        assert sorted(between.argmin(axis=0)) == list(range(20))
        assert between.min(axis=0).max() < 1


def test_the_gradient_is_zero():
    image = jax.random.normal(jax.random.key(0), (6, 7))

    def of_everything(image, h):
        maxima = h_maxima(image, h, connectivity=4)
        peaks = peak_centroids(image, maxima, connectivity=4, max_peaks=4)
        return peaks.points.sum() + peaks.values.sum()

    by_image, by_h = jax.jit(jax.grad(of_everything, (0, 1)))(image, 0.3)
    assert not by_image.any()
    assert not by_h


def test_bad_arguments_are_refused():
    image = jnp.zeros((2, 3))
    with pytest.raises(ValueError, match="connectivity must be 4 or 8 neighbours, got 2"):
        regional_maxima(image, connectivity=2)
    with pytest.raises(ValueError, match=r"image must be a map .* got shape \(0, 3\)"):
        h_maxima(image[:0], 0.2, connectivity=4)
    with pytest.raises(ValueError, match="max_peaks must be at least 1, got 0"):
        peak_centroids(image, image > 0, connectivity=4, max_peaks=0)
    with pytest.raises(ValueError, match=r"image has \(2, 3\), maxima has \(3, 2\)"):
        peak_centroids(image, image.T > 0, connectivity=4, max_peaks=1)
