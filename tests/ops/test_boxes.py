import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.ops.boxes import box_area, paired_iou

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


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"first has \(3, 4\), second has \(4,\)"):
        paired_iou(jnp.zeros((3, 4)), jnp.zeros(4))
