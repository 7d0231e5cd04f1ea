"""Reconstruction equals its definition by levels, scikit-image, and itself along every kind of sweep."""

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import skimage.morphology
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.reconstruction import reconstruct, reconstruct_by_scans, reconstruct_by_sweeps
from tests.strategies import arrays

NEIGHBOURS = {4: scipy.ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3), bool)}
few_levels = arrays((6, 7), st.integers(-2, 2).map(float))


@functools.cache
def compiled(function, connectivity):
    return jax.jit(functools.partial(function, connectivity=connectivity))


def all_ways(marker, mask, connectivity):
    """The reconstruction of whole numbers by the public function and by each of its two algorithms."""
    yield compiled(reconstruct, connectivity)(marker, mask)
    for algorithm in (reconstruct_by_sweeps, reconstruct_by_scans):
        yield compiled(algorithm, connectivity)(marker.astype(np.int32), mask.astype(np.int32))


def by_definition(marker, mask, connectivity):
    """The highest level at which a pixel is connected, inside the mask, to a marker of that level."""
    marker, result = np.minimum(marker, mask), np.full(mask.shape, -np.inf)
    for level in np.unique([marker, mask]):
        pieces, _ = scipy.ndimage.label(mask >= level, NEIGHBOURS[connectivity])
        result[np.isin(pieces, np.unique(pieces[marker >= level])) & (mask >= level)] = level
    return result


@pytest.mark.parametrize("connectivity", [4, 8])
@given(marker=few_levels, mask=few_levels)
def test_equals_the_definition(connectivity, marker, mask):
    for result in all_ways(marker, mask, connectivity):
        np.testing.assert_array_equal(result, by_definition(marker, mask, connectivity))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_equals_the_definition_on_narrow_maps(shape):
    rng = np.random.default_rng(0)
    for _ in range(5):
        mask = rng.integers(0, 4, shape).astype(np.float32)
        marker = mask - rng.integers(0, 3, shape)
        for result in all_ways(marker, mask, connectivity=8):
            np.testing.assert_array_equal(result, by_definition(marker, mask, connectivity=8))


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("smoothness", [0.0, 2.0])
def test_equals_scikit_image_to_the_bit(connectivity, smoothness):
    noise = np.random.default_rng(1).normal(size=(61, 47))
    mask = scipy.ndimage.gaussian_filter(noise, smoothness).astype(np.float32)
    marker = mask - np.float32(0.1)
    oracle = skimage.morphology.reconstruction(marker, mask, footprint=NEIGHBOURS[connectivity])
    np.testing.assert_array_equal(compiled(reconstruct, connectivity)(marker, mask), oracle)


def spiral(turns):
    """A corridor of ones, one pixel wide between walls of zeros, from the corner to the middle."""
    size = 4 * turns + 1
    corridor = np.zeros((size, size), np.int32)
    for ring in range(0, size // 2 + 1, 2):
        corridor[ring : size - ring, ring : size - ring] = 1
        corridor[ring + 1 : size - ring - 1, ring + 1 : size - ring - 1] = 0
        corridor[ring + 1, ring] = 0
        corridor[ring + 2, ring + 1 : ring + 3] = 1
    return corridor


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_level_goes_all_the_way_through_a_spiral(connectivity):
    corridor = spiral(3)
    marker = np.zeros_like(corridor)
    marker[0, 0] = 1
    way, _ = scipy.ndimage.label(corridor, NEIGHBOURS[connectivity])
    assert way[6, 6] == way[0, 0] > 0
    for result in all_ways(marker, corridor, connectivity):
        np.testing.assert_array_equal(result, corridor)


def test_a_diagonal_of_pixels_is_a_path_for_eight_neighbours_only():
    marker = np.zeros((13, 13))
    marker[6, 6] = 1
    for mask in (np.eye(13), np.fliplr(np.eye(13))):
        for connectivity, expected in ((8, mask), (4, marker)):
            for result in all_ways(marker, mask, connectivity):
                np.testing.assert_array_equal(result, expected)


def test_a_batch_settles_map_by_map():
    masks = np.stack([spiral(3), np.ones((13, 13), np.int32)])
    markers = np.zeros_like(masks)
    markers[:, 0, 0] = 1
    batched = jax.jit(jax.vmap(functools.partial(reconstruct, connectivity=4)))
    np.testing.assert_array_equal(batched(markers, masks), masks)


def test_a_marker_above_the_mask_counts_as_the_mask():
    mask = jnp.array([[1.0, 0.0, 3.0]])
    assert reconstruct(mask + 9, mask, connectivity=4).tolist() == mask.tolist()


def test_nothing_passes_a_nan():
    mask = jnp.array([[1.0, jnp.nan, 1.0]])
    marker = jnp.array([[1.0, 5.0, jnp.nan]])
    assert reconstruct(marker, mask, connectivity=8).tolist() == [[1.0, -jnp.inf, -jnp.inf]]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.int32, jnp.uint8])
def test_every_type_of_number_keeps_its_type(dtype):
    mask = jnp.array([[1, 5, 2, 7]], dtype)
    result = reconstruct(jnp.array([[0, 4, 0, 0]], dtype), mask, connectivity=4)
    assert result.dtype == dtype
    assert result.tolist() == [[1, 4, 2, 2]]


def test_the_gradient_is_zero():
    mask = jnp.array([[1.0, 5.0, 2.0]])
    by_marker, by_mask = jax.grad(lambda a, b: reconstruct(a, b, connectivity=4).sum(), (0, 1))(
        mask - 1, mask
    )
    assert not by_marker.any()
    assert not by_mask.any()


def test_what_is_no_map_is_refused():
    image = jnp.zeros((2, 3))
    with pytest.raises(ValueError, match="marker has \\(3, 2\\), mask has \\(2, 3\\)"):
        reconstruct(image.T, image, connectivity=4)
    with pytest.raises(ValueError, match="connectivity must be 4 or 8 neighbours, got 1"):
        reconstruct(image, image, connectivity=1)
    with pytest.raises(ValueError, match=r"at least one pixel, got shape \(0, 3\)"):
        reconstruct(image[:0], image[:0], connectivity=4)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_scans_and_no_loop_over_rows(platform):
    levels = jax.ShapeDtypeStruct((16, 12), jnp.float32)
    lowered = jax.export.export(compiled(reconstruct, 8), platforms=[platform])(levels, levels)
    assert lowered.mlir_module().count("stablehlo.while") == 1
