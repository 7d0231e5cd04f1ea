import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.anchors import grid_anchors


def by_the_rule_of_torchvision(shape, strides, sizes, ratios):
    """``AnchorGenerator``: base anchors, rounded, then moved to every pixel, row by row."""
    bases = []
    for ratio in ratios:
        for size in sizes:
            height = np.sqrt(np.float32(ratio))
            half_height, half_width = height * np.float32(size) / 2, 1 / height * np.float32(size) / 2
            # `round` of Python, as that of torch, takes halves to the even number.
            bases.append([round(-half_height), round(-half_width), round(half_height), round(half_width)])
    anchors = []
    for i in range(shape[0]):
        for j in range(shape[1]):
            y, x = i * strides[0], j * strides[1]
            anchors += [[y + y0, x + x0, y + y1, x + x1] for y0, x0, y1, x1 in bases]
    return np.array(anchors)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    sizes=st.lists(st.integers(1, 600).map(float), min_size=1, max_size=3).map(tuple),
    ratios=st.lists(st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 4.0]), min_size=1, max_size=3).map(tuple),
)
def test_anchors_are_those_of_torchvision(shape, strides, sizes, ratios):
    found = grid_anchors(shape, stride=strides, sizes=sizes, ratios=ratios)
    assert found.shape == (shape[0] * shape[1] * len(sizes) * len(ratios), 4)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, by_the_rule_of_torchvision(shape, strides, sizes, ratios))


def test_the_anchors_of_mask_rcnn():
    """Those of 32 pixels in torchvision's ``maskrcnn_resnet50_fpn``, there as (x0, y0, x1, y1)."""
    anchors = grid_anchors((1, 2), stride=4, sizes=(32.0,))
    first = [[-11, -23, 11, 23], [-16, -16, 16, 16], [-23, -11, 23, 11]]
    assert anchors[:3].tolist() == first
    assert anchors[3:].tolist() == [[y0, x0 + 4, y1, x1 + 4] for y0, x0, y1, x1 in first]


@pytest.mark.parametrize(("size", "half"), [(1, 0), (3, 2), (5, 2), (7, 4), (9, 4)])
def test_half_sides_between_two_whole_numbers_go_to_the_even_one(size, half):
    assert grid_anchors((1, 1), stride=1, sizes=(size,), ratios=(1,)).tolist() == [[-half, -half, half, half]]


def test_one_stride_holds_for_both_axes():
    both, one = (grid_anchors((3, 2), stride=stride, sizes=(8.0,)) for stride in ((16, 16), 16))
    np.testing.assert_array_equal(both, one)
