"""Samples of anchors and boxes are on cells or on known background, and hold what leads to the cell."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.methods.celltrack_rcnn.augmentation import label_boxes
from cellmotion_jax.methods.celltrack_rcnn.pairs import UNKNOWN
from cellmotion_jax.methods.celltrack_rcnn.targets import (
    MOST_UNKNOWN,
    anchor_targets,
    mask_targets,
    roi_targets,
)
from cellmotion_jax.models.mask_rcnn import BOX_WEIGHTS
from cellmotion_jax.ops.boxes import box_iou, decode_boxes
from cellmotion_jax.ops.proposals import Boxes
from tests.label_images import discs
from tests.rcnn_models import tiny_network

SIDE, CELLS = 64, 5
CIRCLES = ((16, 16, 7), (40, 20, 10), (30, 48, 6), (52, 52, 9))
ANCHORS = np.concatenate(tiny_network()[0].detector.anchors((SIDE, SIDE)))
rng = np.random.default_rng(0)


def numbers(*, circles=CIRCLES, unknown=()):
    """Cells, and rectangles of which nothing is known."""
    number = discs((SIDE, SIDE), *circles) if circles else np.zeros((SIDE, SIDE), np.int32)
    for y0, x0, y1, x1 in unknown:
        number[y0:y1, x0:x1] = UNKNOWN
    return number


def annotated(number):
    boxes, area = label_boxes(jnp.asarray(number), count=CELLS)
    return np.asarray(boxes), np.asarray(area) > 0


@functools.partial(jax.jit, static_argnames=("count",))
def _anchors(priorities, boxes, where, number, count):
    return anchor_targets(priorities, jnp.asarray(ANCHORS), boxes, where, number, count=count)


def anchors(number, *, count=256, seed=0):
    priorities = np.random.default_rng(seed).random(len(ANCHORS)).astype(np.float32)
    return jax.tree.map(np.asarray, _anchors(priorities, *annotated(number), number, count))


@functools.partial(jax.jit, static_argnames=("count", "positives", "graded"))
def _rois(priorities, boxes, exists, cells, where, number, count, positives, graded):
    none = jnp.zeros(len(boxes))
    proposals = Boxes(boxes, none, none.astype(int), exists)
    return roi_targets(
        priorities, proposals, cells, where, number, count=count, positives=positives, graded=graded
    )


def around_cells(number, *, per_cell=6):
    """Proposals near every cell and elsewhere."""
    boxes, where = annotated(number)
    shifts = rng.uniform(-3, 3, (per_cell, len(boxes[where]), 4))
    corners = rng.uniform(0, SIDE - 12, (20, 2))
    anywhere = np.concatenate([corners, corners + rng.uniform(4, 12, (20, 2))], axis=1)
    return np.concatenate([(boxes[where][None] + shifts).reshape(-1, 4), anywhere]).astype(np.float32)


def rois(number, proposals, exists=None, *, count=32, positives=8, graded=True, seed=0):
    priorities = np.random.default_rng(seed).random(len(proposals) + CELLS).astype(np.float32)
    exists = np.ones(len(proposals), bool) if exists is None else exists
    return jax.tree.map(
        np.asarray, _rois(priorities, proposals, exists, *annotated(number), number, count, positives, graded)
    )


def unknown_share(number, boxes):
    shares = []
    for y0, x0, y1, x1 in np.clip(np.rint(boxes), 0, SIDE).astype(int):
        part = number[y0:y1, x0:x1]
        shares.append(np.mean(part == UNKNOWN) if part.size else 1.0)
    return np.array(shares)


def test_up_to_half_of_the_anchors_are_on_cells_and_their_offsets_lead_there():
    number = numbers()
    boxes, where = annotated(number)
    found = anchors(number)
    assert found.taken.all()
    assert 4 <= found.positive.sum() <= 128
    # Positives come first.
    assert (np.diff(found.positive.astype(int)) <= 0).all()
    assert len(np.unique(found.anchor)) == 256
    chosen = ANCHORS[found.anchor]
    decoded = np.asarray(decode_boxes(found.offsets, chosen))[found.positive]
    overlaps = np.asarray(box_iou(boxes[where], chosen))
    best = boxes[where][overlaps.argmax(axis=0)]
    np.testing.assert_allclose(decoded, best[found.positive], atol=1e-3)
    assert (overlaps.max(axis=0)[~found.positive] < 0.3).all()
    # Those below 0.7 are the best of a cell.
    every = np.asarray(box_iou(boxes[where], ANCHORS))
    for anchor in found.anchor[found.positive]:
        assert every[:, anchor].max() >= 0.7 or (every[:, anchor] == every.max(axis=1)).any()


def test_every_cell_has_an_anchor():
    number = numbers()
    boxes, where = annotated(number)
    found = anchors(number)
    assert found.positive.sum() < 128
    decoded = np.asarray(decode_boxes(found.offsets, ANCHORS[found.anchor]))[found.positive]
    assert np.asarray(box_iou(boxes[where], decoded)).max(axis=1) == pytest.approx(1)


def test_there_are_no_more_positives_than_half():
    found = anchors(numbers(), count=6)
    assert found.positive.tolist() == [True] * 3 + [False] * 3


def test_other_priorities_choose_other_anchors():
    assert not np.array_equal(anchors(numbers()).anchor, anchors(numbers(), seed=1).anchor)


def test_no_negative_lies_where_little_is_known():
    number = numbers(unknown=[(0, 24, 30, 64), (56, 0, 64, 40)])
    found = anchors(number)
    negatives = ANCHORS[found.anchor[found.taken & ~found.positive]]
    assert len(negatives) > 50
    assert (unknown_share(number, negatives) <= MOST_UNKNOWN).all()
    assert (unknown_share(number, ANCHORS) > MOST_UNKNOWN).mean() > 0.2
    proposals = around_cells(number)
    chosen = rois(number, proposals)
    negatives = chosen.boxes[chosen.taken & (chosen.cell == 0)]
    assert len(negatives) > 5
    assert (unknown_share(number, negatives) <= MOST_UNKNOWN).all()
    assert (unknown_share(number, proposals) > MOST_UNKNOWN).any()


def test_the_class_head_learns_how_well_a_box_fits():
    """0 up to an intersection over union of 0.4, 1 from 0.6; in Mask R-CNN 1 from 0.5."""
    number = numbers()
    cells, where = annotated(number)
    shifts = np.random.default_rng(1).uniform(-6, 6, (12, where.sum(), 4))
    proposals = (cells[where] + shifts).reshape(-1, 4).astype(np.float32)
    graded, hard = (rois(number, proposals, count=60, positives=40, graded=flag) for flag in (True, False))
    np.testing.assert_array_equal(graded.boxes, hard.boxes)
    overlaps = np.asarray(box_iou(cells[where], graded.boxes)).max(axis=0)
    taken = graded.taken
    np.testing.assert_allclose(graded.fit[taken], np.clip((overlaps - 0.4) / 0.2, 0, 1)[taken], atol=1e-5)
    assert ((graded.fit > 0) & (graded.fit < 1)).sum() > 5
    np.testing.assert_array_equal(hard.fit, hard.cell > 0)


def test_a_box_around_two_touching_cells_fits_less_than_those_of_each():
    number = numbers(circles=[(30, 24, 8), (30, 40, 8)])
    cells, where = annotated(number)
    both = np.array([[*cells[where][:, :2].min(axis=0), *cells[where][:, 2:].max(axis=0)]], np.float32)
    found = rois(number, both, positives=3)
    fit = dict(zip(map(tuple, found.boxes.tolist()), found.fit.tolist()))
    assert fit[tuple(both[0].tolist())] < 0.6
    assert [fit[tuple(box)] for box in cells[where].tolist()] == [1.0, 1.0]


@pytest.mark.parametrize("unknown", [False, True])
def test_without_cells_all_samples_are_background_if_anything_is_known(unknown):
    number = numbers(circles=(), unknown=[(0, 0, SIDE, SIDE)] * unknown)
    found = anchors(number)
    assert not found.positive.any()
    assert found.taken.all() == (not unknown)
    assert found.taken.any() == (not unknown)
    assert np.isfinite(found.offsets).all()
    chosen = rois(number, around_cells(number))
    assert not chosen.cell.any()
    assert chosen.taken.sum() == (0 if unknown else 20)
    assert not chosen.boxes[~chosen.taken].any()
    assert np.isfinite(chosen.offsets).all()


def test_boxes_on_cells_come_first_and_their_offsets_lead_there():
    number = numbers()
    boxes, _ = annotated(number)
    proposals = around_cells(number)
    found = rois(number, proposals)
    positive = found.cell > 0
    assert positive.tolist() == [True] * 8 + [False] * 24
    overlaps = np.asarray(box_iou(boxes, found.boxes))
    np.testing.assert_array_equal(overlaps.argmax(axis=0)[positive] + 1, found.cell[positive])
    assert (overlaps.max(axis=0)[positive] >= 0.5).all()
    assert (overlaps.max(axis=0)[found.taken & ~positive] < 0.5).all()
    decoded = np.asarray(decode_boxes(found.offsets, found.boxes, weights=BOX_WEIGHTS))
    np.testing.assert_allclose(decoded[positive], boxes[found.cell[positive] - 1], atol=1e-3)
    everything = np.concatenate([proposals, boxes])
    assert all((everything == box).all(axis=1).any() for box in found.boxes[found.taken])


def test_annotated_boxes_are_candidates_and_empty_slots_are_not():
    number = numbers()
    boxes, where = annotated(number)
    proposals = around_cells(number)
    found = rois(number, proposals, np.zeros(len(proposals), bool))
    assert sorted(found.cell[found.taken].tolist()) == [1, 2, 3, 4]
    np.testing.assert_array_equal(found.boxes[found.taken], boxes[found.cell[found.taken] - 1])
    assert where.sum() == 4
    assert not found.boxes[~found.taken].any()
    assert not found.cell[~found.taken].any()


masks_of = jax.jit(mask_targets)


def test_the_mask_over_a_box_of_28_pixels_is_the_cell_itself():
    number = numbers(circles=((25, 30, 9), (38, 40, 8)))
    box = np.array([[12, 17, 40, 45]] * 3, np.float32)
    targets, known = masks_of(number, box, np.array([1, 2, 0]))
    part = number[12:40, 17:45]
    np.testing.assert_array_equal(targets[0], part == 1)
    # The neighbour is another mask.
    np.testing.assert_array_equal(targets[1], part == 2)
    np.testing.assert_array_equal(targets[2], part == 0)
    assert known.all()


def test_masks_over_larger_and_smaller_boxes_are_interpolated():
    number = numbers(circles=((32, 32, 14),))
    boxes = np.array([[4, 4, 60, 60], [25, 25, 39, 39], [18, 18, 46.5, 46.5]], np.float32)
    targets, known = masks_of(number, boxes, np.array([1, 1, 1]))
    assert known.all()
    # Every pixel of the mask is the mean of 2 x 2 of the image.
    whole = (number == 1)[4:60, 4:60].reshape(28, 2, 28, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(targets[0], whole, atol=1e-6)
    np.testing.assert_array_equal(targets[1], np.ones((28, 28)))
    assert ((targets >= 0) & (targets <= 1)).all()
    assert float(targets[2].mean()) == pytest.approx((number == 1).sum() / 28.5**2, rel=0.01)


def test_what_is_not_known_does_not_count_in_a_mask():
    number = numbers(circles=((25, 30, 9),), unknown=[(12, 17, 20, 24)])
    box = np.array([[12, 17, 40, 45]], np.float32)
    ((_,), (known,)) = masks_of(number, box, np.array([1]))
    np.testing.assert_array_equal(known, number[12:40, 17:45] != UNKNOWN)
    # Half a pixel further, both neighbours must be known.
    ((target,), (known,)) = masks_of(number, box + 0.5, np.array([1]))
    beside = [number[12 + i : 40 + i, 17 + j : 45 + j] for i, j in np.ndindex(2, 2)]
    np.testing.assert_array_equal(known, np.all([part != UNKNOWN for part in beside], axis=0))
    np.testing.assert_allclose(target, np.mean([part == 1 for part in beside], axis=0), atol=1e-6)


def test_the_part_of_a_box_beyond_the_image_shows_its_edge():
    number = numbers(circles=((2, 30, 8),))
    ((target,), (known,)) = masks_of(number, np.array([[-14, 16, 14, 44]], np.float32), np.array([1]))
    assert known.all()
    np.testing.assert_array_equal(target[14:], number[:14, 16:44] == 1)
    np.testing.assert_array_equal(target[:14], np.broadcast_to(number[0, 16:44] == 1, (14, 28)))
