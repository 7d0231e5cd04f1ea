"""Suppression in tiles leaves what the greedy loop over all boxes leaves."""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.ops import suppression
from cellmotion_jax.ops.suppression import TILE, suppress_overlapping
from tests.strategies import masks

# Compiled in half the time.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def overlaps(boxes):
    """Intersection over union of all pairs; 0 or NaN where there is no union."""
    first, second = boxes[:, None], boxes[None]
    both = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.maximum(both, 0).prod(-1)
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(-1)
    union = areas[:, None] + areas[None] - shared
    return shared / np.where(union > 0, union, 1)


def greedy(boxes, scores, threshold, groups=None, where=None):
    """The definition, one box after the other."""
    above = overlaps(boxes) > np.float32(threshold)
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if where is not None and not where[i]:
            continue
        rivals = [k for k in kept if groups is None or groups[k] == groups[i]]
        if not above[i, rivals].any():
            kept.append(i)
    return np.isin(np.arange(len(boxes)), kept)


@functools.cache
def compiled(tile=TILE, threshold=0.5):
    """One program per size of a tile."""

    @jit
    def suppressed(boxes, scores, groups=None, where=None):
        with mock.patch.object(suppression, "TILE", tile):
            return suppress_overlapping(boxes, scores, iou_threshold=threshold, groups=groups, where=where)

    return suppressed


def crowd(count, seed=0, side=12):
    """Boxes of whole numbers, often equal, and scores of five levels."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, side, (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 5, (count, 2))], axis=1).astype(np.float32)
    scores = rng.integers(0, 5, count).astype(np.float32)
    return boxes, scores, rng.integers(0, 3, count), rng.uniform(size=count) < 0.8


COUNT = 11
corners = hnp.arrays(np.float32, (COUNT, 4), elements=st.integers(0, 6).map(float))
levels = hnp.arrays(np.float32, (COUNT,), elements=st.integers(-1, 2).map(float))
classes = hnp.arrays(np.int32, (COUNT,), elements=st.integers(0, 2))


@pytest.mark.parametrize("tile", [1, 4, TILE])
@given(boxes=corners, scores=levels, groups=classes, where=masks(COUNT))
def test_what_remains_is_what_the_greedy_loop_leaves(tile, boxes, scores, groups, where):
    """Intersections over unions of a half and of a third, the threshold, are frequent."""
    for threshold in (1 / 3, 0.5):
        found = compiled(tile, threshold)(boxes, scores, groups, where)
        np.testing.assert_array_equal(found, greedy(boxes, scores, threshold, groups, where))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 17, TILE - 1, TILE, TILE + 1, 3 * TILE + 5])
def test_any_number_of_boxes_in_groups_and_with_a_mask(count):
    tile = TILE if count > 17 else 4
    boxes, scores, groups, where = crowd(count, side=12 if tile == 4 else 40)
    found = compiled(tile)(boxes, scores, groups, where)
    assert found.shape == (count,)
    np.testing.assert_array_equal(found, greedy(boxes, scores, 0.5, groups, where))


@pytest.mark.parametrize("options", [(), ("groups",), ("where",)])
def test_without_groups_all_boxes_are_rivals_and_without_a_mask_all_count(options):
    boxes, scores, *given = crowd(17)
    given = {name: values for name, values in zip(("groups", "where"), given) if name in options}
    np.testing.assert_array_equal(compiled(4)(boxes, scores, **given), greedy(boxes, scores, 0.5, **given))


@pytest.mark.parametrize("tile", [4, TILE])
def test_a_chain_in_which_each_box_overlaps_the_next_loses_every_other_box(tile):
    """The longest dependence of boxes on one another, through all tiles."""
    start = np.arange(150, dtype=np.float32)
    boxes = np.stack([0 * start, 3 * start, 0 * start + 1, 3 * start + 8], axis=1)
    found = compiled(tile, 0.4)(boxes, -start)
    np.testing.assert_array_equal(found, np.arange(150) % 2 == 0)


def test_boxes_that_overlap_by_the_threshold_exactly_both_remain():
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1]], np.float32)
    scores = np.zeros(2, np.float32)
    assert compiled(threshold=0.5)(boxes, scores).tolist() == [True, True]
    assert compiled(threshold=0.499)(boxes, scores).tolist() == [True, False]


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -1.0, 0.0])
def test_slots_that_do_not_count_change_nothing(garbage):
    boxes, scores, groups, where = crowd(17)
    rng = np.random.default_rng(1)
    filled = np.sort(rng.choice(30, 17, replace=False))

    def spread(values, fill):
        slots = np.full((30, *values.shape[1:]), fill, values.dtype)
        slots[filled] = values
        return slots

    padded = spread(boxes, garbage), spread(scores, garbage), spread(groups, 7), spread(where, False)
    found = np.asarray(compiled(4)(*padded))
    np.testing.assert_array_equal(found[filled], compiled(4)(boxes, scores, groups, where))
    assert found.sum() == found[filled].sum()


@pytest.mark.parametrize("tile", [4, TILE])
def test_boxes_with_corners_that_are_not_numbers_overlap_nothing(tile):
    """That the loop within a tile ends is tested as well."""
    boxes, scores, groups, _ = crowd(17)
    boxes[3], boxes[8, 1], boxes[12, 2], scores[5] = np.nan, np.nan, np.inf, np.nan
    found = np.asarray(compiled(tile)(boxes, scores, groups, np.ones(17, bool)))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, greedy(boxes, scores, 0.5, groups))
    assert found[[3, 8]].all()


def test_groups_with_large_numbers_are_told_apart():
    boxes, scores = np.tile(np.float32([0, 0, 2, 2]), (3, 1)), np.zeros(3, np.float32)
    groups = np.array([2**24, 2**24 + 1, 2**24])
    assert compiled()(boxes, scores, groups).tolist() == [True, True, False]
    half = jnp.asarray(boxes, jnp.bfloat16)
    assert compiled()(half, scores, groups).tolist() == [True, True, False]


def test_a_batch_gives_what_each_image_gives():
    crowds = [crowd(17, seed) for seed in range(3)]
    together = jit(jax.vmap(compiled(4).__wrapped__))(*(np.stack(values) for values in zip(*crowds)))
    for found, one in zip(together, crowds):
        np.testing.assert_array_equal(found, compiled(4)(*one))


def test_the_gradient_is_zero():
    boxes, scores, *_ = crowd(17)

    def total(boxes, scores):
        remains = suppress_overlapping(boxes, scores, iou_threshold=0.5)
        return jnp.sum(jnp.where(remains[:, None], boxes, 0)), remains

    gradient, remains = jax.jit(jax.grad(total, has_aux=True))(boxes, scores)
    np.testing.assert_array_equal(gradient, np.tile(np.asarray(remains)[:, None], (1, 4)))


def test_other_shapes_are_refused():
    boxes, scores = jnp.zeros((3, 4)), jnp.zeros(3)
    with pytest.raises(ValueError, match=r"scores has \(2,\), boxes has \(3,\)"):
        suppress_overlapping(boxes, [0.0, 0.0], iou_threshold=0.5)
    with pytest.raises(ValueError, match=r"boxes has \(3,\), where has \(3, 1\)"):
        suppress_overlapping(boxes, scores, iou_threshold=0.5, where=jnp.ones((3, 1), bool))
