"""RoIAlign equals its definition, sample by sample."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from cellmotion_jax.ops.roi_align import pyramid_level, roi_align

STRIDES = (1, 2, 4)
RNG = np.random.default_rng(0)
# Of odd sides, one with a single row.
PYRAMID = [RNG.normal(size=shape).astype(np.float32) for shape in ((7, 9, 2), (4, 5, 2), (1, 3, 2))]
both_alignments = pytest.mark.parametrize("aligned", [True, False])


def bilinear(image, y, x):
    """One sample, by the rules of torchvision."""
    height, width, channels = image.shape
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(channels)
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    above = image[top, left] * (1 - (x - left)) + image[top, right] * (x - left)
    below = image[bottom, left] * (1 - (x - left)) + image[bottom, right] * (x - left)
    return above * (1 - (y - top)) + below * (y - top)


def by_definition(pyramid, boxes, level, *, strides, size, samples, aligned):
    features = np.zeros((len(boxes), size, size, pyramid[0].shape[-1]))
    for number, (box, chosen) in enumerate(zip(boxes.astype(float), level)):
        y0, x0, y1, x1 = box / strides[chosen] - 0.5 * aligned
        height, width = (y1 - y0, x1 - x0) if aligned else (max(y1 - y0, 1), max(x1 - x0, 1))
        for i, j in np.ndindex(size, size):
            for k, m in np.ndindex(samples, samples):
                y = y0 + height / size * (i + (k + 0.5) / samples)
                x = x0 + width / size * (j + (m + 0.5) / samples)
                features[number, i, j] += bilinear(pyramid[chosen], y, x) / samples**2
    return features


@functools.cache
def compiled(size=2, samples=2, aligned=True):
    return jax.jit(functools.partial(roi_align, strides=STRIDES, size=size, samples=samples, aligned=aligned))


# Quarters of a pixel, so that samples lie on the borders of the rules exactly; beyond the maps as well.
corners = hnp.arrays(np.float32, (6, 4), elements=st.integers(-16, 56).map(lambda n: n / 4))
levels = hnp.arrays(np.int32, (6,), elements=st.integers(0, 2))


@both_alignments
@given(boxes=corners, level=levels)
def test_features_are_the_means_of_bilinear_samples(aligned, boxes, level):
    """Boxes leave the map, are empty, and end before they begin."""
    options = {"size": 2, "samples": 2, "aligned": aligned}
    expected = by_definition(PYRAMID, boxes, level, strides=STRIDES, **options)
    np.testing.assert_allclose(compiled(**options)(PYRAMID, boxes, level), expected, atol=1e-5)


@pytest.mark.parametrize(("size", "samples"), [(1, 1), (3, 2), (2, 3)])
def test_other_numbers_of_bins_and_samples(size, samples):
    boxes = RNG.uniform(-2, 12, (6, 4)).astype(np.float32)
    level = np.arange(6) % 3
    options = {"size": size, "samples": samples, "aligned": True}
    expected = by_definition(PYRAMID, boxes, level, strides=STRIDES, **options)
    np.testing.assert_allclose(compiled(**options)(PYRAMID, boxes, level), expected, atol=1e-5)


def ramps():
    """Maps of every level that hold the place of their pixels' centres in the image."""
    maps = []
    for stride, (height, width) in zip(STRIDES, ((24, 20), (12, 10), (6, 5))):
        maps.append(stride * (np.stack(np.mgrid[:height, :width], axis=-1) + np.float32(0.5)))
    return maps


sides = hnp.arrays(np.float32, (6, 2), elements=st.floats(0, 12, width=32))


@given(corner=hnp.arrays(np.float32, (6, 2), elements=st.floats(2, 4, width=32)), side=sides, level=levels)
def test_a_ramp_shows_the_middles_of_the_bins_at_every_level(corner, side, level):
    features = compiled()(ramps(), np.concatenate([corner, corner + side], axis=1), level)
    for i, j in np.ndindex(2, 2):
        middles = corner + side * (np.array([i, j]) + 0.5) / 2
        np.testing.assert_allclose(features[:, i, j], middles, atol=1e-4)


@both_alignments
def test_gradients_equal_numerical_differences(aligned):
    """Boxes are placed so that no sample is near the centre of a pixel, where the slope changes."""
    corner = 1.1 + 0.5 * aligned
    boxes = jnp.array([[corner, corner, corner + 4, corner + 4], [corner * 2] * 2 + [corner * 2 + 4] * 2])
    level = jnp.array([0, 1])
    maps = [jnp.asarray(values) for values in (PYRAMID[0], PYRAMID[1], PYRAMID[2])]
    features = functools.partial(compiled(aligned=aligned), level=level)
    check_grads(features, (maps, boxes), order=1, modes=["rev"], eps=2e-2, atol=2e-2, rtol=2e-2)


@both_alignments
def test_empty_slots_and_boxes_that_are_not_numbers_give_no_nan(aligned):
    boxes = jnp.array([[0.0] * 4, [np.nan] * 4, [0, 0, np.inf, 2], [np.nan, 0, 2, 2], [1e9, 1e9, 2e9, 2e9]])
    level = jnp.array([0, 1, 2, 0, 1])
    features = compiled(aligned=aligned)

    def total(maps, boxes):
        return jnp.sum(jnp.square(features(maps, boxes, level)))

    assert np.isfinite(features(PYRAMID, boxes, level)).all()
    assert not np.any(features(PYRAMID, boxes, level)[1:])
    of_maps, of_boxes = jax.jit(jax.grad(total, argnums=(0, 1)))(PYRAMID, boxes)
    assert all(np.isfinite(values).all() for values in of_maps)
    assert np.isfinite(of_boxes[jnp.array([0, 1, 3, 4])]).all()


def test_there_is_no_level_before_the_first_and_beyond_the_last():
    boxes = np.array([[1, 1, 6, 6]], np.float32)
    last = compiled()(PYRAMID, boxes, np.array([2]))
    np.testing.assert_array_equal(compiled()(PYRAMID, boxes, np.array([9])), last)
    first = compiled()(PYRAMID, boxes, np.array([0]))
    np.testing.assert_array_equal(compiled()(PYRAMID, boxes, np.array([-1])), first)
    assert np.any(last)


def test_maps_of_half_precision_give_features_of_half_precision():
    boxes, level = np.array([[1, 1, 6, 6]], np.float32), np.array([0])
    half = [jnp.asarray(maps, jnp.bfloat16) for maps in PYRAMID]
    found = compiled()(half, boxes, level)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), compiled()(PYRAMID, boxes, level), atol=0.02)


def test_maps_that_do_not_fit_together_are_refused():
    boxes, align = jnp.zeros((2, 4)), functools.partial(roi_align, size=2)
    with pytest.raises(ValueError, match="as many, and at least one: 3 maps and 2 strides"):
        align(PYRAMID, boxes, [0, 0], strides=[1, 2])
    with pytest.raises(ValueError, match="as many, and at least one: 0 maps and 0 strides"):
        align([], boxes, [0, 0], strides=[])
    two = [PYRAMID[0].tolist(), PYRAMID[1][..., :1].tolist()]  # Of lists, annotations say nothing.
    with pytest.raises(ValueError, match=r"channels, got the shapes \[\(7, 9, 2\), \(4, 5, 1\)\]"):
        align(two, boxes, [0, 0], strides=[1, 2])
    with pytest.raises(ValueError, match=r"level has \(1,\), boxes has \(2,\)"):
        align(PYRAMID, boxes, [0], strides=STRIDES)


level_of = jax.jit(functools.partial(pyramid_level, finest=2, coarsest=5))


def test_levels_of_squares():
    """Each level from its smallest square on, as by torchvision's ``LevelMapper``."""
    sides = np.array([0, 1, 56, 111.9, 112, 223.9, 224, 447.9, 448, 896, 1e6], np.float32)
    boxes = np.stack([sides, 0 * sides, 2 * sides, sides], axis=1)
    assert level_of(boxes).tolist() == [2, 2, 2, 2, 3, 3, 4, 4, 5, 5, 5]
    assert level_of(np.full((1, 4), np.nan, np.float32)).tolist() == [2]
    assert level_of(np.array([[0, 0, 4 * 112, 112 / 4]], np.float32)).tolist() == [3]


def test_a_box_that_is_too_small_by_rounding_alone_reaches_its_level():
    sides = np.float32(224) * np.array([1 - 4e-7, 1 - 4e-6], np.float32)
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=1)
    assert level_of(boxes).tolist() == [4, 3]


def test_a_smaller_canonical_side_gives_coarser_levels():
    box = jnp.array([0.0, 0.0, 50.0, 50.0])
    level = functools.partial(pyramid_level, box, finest=2, coarsest=5)
    levels = [int(level(canonical=side)) for side in (224.0, 100.0, 50.0, 25.0)]
    assert levels == [2, 3, 4, 5]
