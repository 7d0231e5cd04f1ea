import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.ops.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes, paired_iou

CORNERS = st.integers(0, 8).map(float)
BOXES = hnp.arrays(np.float32, (6, 4), elements=CORNERS)


def pixels(box):
    """The pixels that a box of whole numbers covers."""
    covered = np.zeros((8, 8), bool)
    y0, x0, y1, x1 = box.astype(int)
    covered[y0:y1, x0:x1] = True
    return covered


compiled_iou, compiled_area = jax.jit(paired_iou), jax.jit(box_area)
slope = jax.jit(jax.grad(lambda first, second: paired_iou(first, second).sum()))


@given(BOXES, BOXES)
def test_the_share_of_pixels_that_two_boxes_have_in_common(first, second):
    found = np.asarray(compiled_iou(first, second))
    for a, b, iou in zip(first, second, found):
        a, b = pixels(a), pixels(b)
        assert iou == pytest.approx((a & b).sum() / max((a | b).sum(), 1), abs=1e-6)
    np.testing.assert_array_equal(found, compiled_iou(second, first))
    np.testing.assert_array_equal(compiled_area(first), [pixels(box).sum() for box in first])


@given(BOXES, BOXES)
def test_gradients_are_finite(first, second):
    first[0], second[1, 2] = np.nan, np.inf
    gradient = slope(first, second)
    assert np.isfinite(gradient).all()
    assert not gradient[:2].any()


def test_a_box_that_is_not_known_overlaps_nothing():
    box = jnp.array([[0.0, 0.0, 4.0, 4.0]])
    assert paired_iou(box, box).item() == 1
    assert paired_iou(box.at[0, 1].set(jnp.nan), box).item() == 0
    assert paired_iou(box, jnp.full((1, 4), jnp.nan)).item() == 0


def test_every_pair_of_two_sets_overlaps_as_it_does_alone():
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 9, (3, n, 4)).astype("f4") for n in (5, 6))
    first[0, 0], second[1, 2, 3] = np.nan, np.nan
    found = np.asarray(jax.jit(box_iou)(first, second))
    assert found.shape == (3, 5, 6)
    for n, m in np.ndindex(5, 6):
        np.testing.assert_array_equal(found[:, n, m], compiled_iou(first[:, n], second[:, m]))
    assert 0 < np.count_nonzero(found) < found.size


def test_no_boxes_overlap_no_boxes():
    none, three = jnp.zeros((0, 4)), jnp.ones((3, 4))
    assert box_iou(none, three).shape == (0, 3)
    assert box_iou(three, none).shape == (3, 0)
    assert box_iou(none, none).shape == (0, 0)


sides = st.floats(0.5, 20, width=32)
places = st.floats(-50, 50, width=32)
known_boxes = hnp.arrays(np.float32, (6, 2), elements=places), hnp.arrays(np.float32, (6, 2), elements=sides)


@st.composite
def boxes_with_sides(draw):
    """Boxes of which no side is 40 times as long as that of another."""
    corner, side = (draw(part) for part in known_boxes)
    return np.concatenate([corner, corner + side], axis=1)


WEIGHTS = (10.0, 5.0)


@jax.jit
def offsets_and_boxes(boxes, anchors):
    offsets = encode_boxes(boxes, anchors, weights=WEIGHTS)
    return offsets, decode_boxes(offsets, anchors, weights=WEIGHTS)


@given(boxes_with_sides(), boxes_with_sides())
def test_offsets_follow_the_formula_and_decode_to_the_box(boxes, anchors):
    offsets, decoded = offsets_and_boxes(boxes, anchors)
    (y0, x0, y1, x1), (top, left, bottom, right) = boxes.T.astype(float), anchors.T.astype(float)
    height, length = bottom - top, right - left
    expected = [
        10 * ((y0 + y1) - (top + bottom)) / 2 / height,
        10 * ((x0 + x1) - (left + right)) / 2 / length,
        5 * np.log((y1 - y0) / height),
        5 * np.log((x1 - x0) / length),
    ]
    np.testing.assert_allclose(offsets, np.stack(expected, axis=1), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(decoded, boxes, atol=1e-4)


def test_a_decoded_side_is_at_most_62_5_times_as_long():
    anchor = jnp.array([0.0, 0.0, 4.0, 2.0])
    box = decode_boxes(jnp.array([0.0, 0.0, 1e9, 50.0]), anchor)
    np.testing.assert_allclose(box, [2 - 125, 1 - 62.5, 2 + 125, 1 + 62.5], rtol=1e-5)


def test_offsets_and_their_gradients_are_finite_for_boxes_without_area():
    boxes = jnp.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 3.0, 3.0], [2.0, 2.0, 1.0, 1.0], [0.0] * 4])
    anchors = boxes[::-1]

    def total(boxes, anchors):
        return encode_boxes(boxes, anchors).sum() + decode_boxes(boxes, anchors).sum()

    value, gradients = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))(boxes, anchors)
    assert np.isfinite(value)
    assert np.isfinite(gradients).all()


clipped = jax.jit(clip_boxes)


@given(hnp.arrays(np.float32, (6, 4), elements=st.integers(-4, 12).map(float)))
def test_a_clipped_box_covers_the_pixels_of_the_box_within_the_image(boxes):
    inside = np.asarray(clipped(boxes, (8, 6)))
    assert (inside >= 0).all()
    assert (inside <= [8, 6, 8, 6]).all()
    np.testing.assert_array_equal(clipped(inside, (8, 6)), inside)
    for box, part in zip(boxes, inside):
        y0, x0, y1, x1 = (int(corner) + 4 for corner in box)
        covered = np.zeros((16, 16), bool)
        covered[y0:y1, x0:x1] = True
        np.testing.assert_array_equal(pixels(part)[:, :6], covered[4:12, 4:10])


def test_other_shapes_are_refused():
    three = jnp.zeros((3, 4))
    for function in (paired_iou, encode_boxes, decode_boxes):
        with pytest.raises(ValueError, match=r"has \(3, 4\), \w+ has \(4,\)"):
            function(three, three[0])
    with pytest.raises(ValueError, match=r"first has \(2, 3, 4\), second has \(3, 4\)"):
        box_iou(jnp.zeros((2, 3, 4)), three)
