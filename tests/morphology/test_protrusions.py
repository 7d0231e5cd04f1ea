"""Protrusions of drawn cells, whose arms are known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology import ProtrusionSettings, dissect_cell, find_protrusions
from tests.label_images import discs, label_images

SIZE = 161
PAPER = ProtrusionSettings(shortest_relief_um=0.0)


def _star(angles, *, length=60.0, body=14.0, width=3.0, label=1):
    """A disc with arms: directions in radians as a person sees them, lengths from the centre of the disc."""
    y, x = np.indices((SIZE, SIZE)) - SIZE // 2
    image = np.hypot(y, x) <= body
    for angle in angles:
        along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
        image |= (along >= 0) & (along <= length) & (np.abs(across) <= width / 2)
    return label * image.astype(np.int32)


@pytest.mark.parametrize("turn", [0.0, 0.2, 0.5, 0.785, 1.1])
def test_the_arms_of_a_cross_are_found_with_length_and_direction(turn):
    angles = turn + np.array([0.0, 0.5, 1.0, 1.5]) * np.pi
    found = find_protrusions(_star(angles, label=7), pixel_size_um=1.0)
    assert found.label.tolist() == [7] * 4
    assert found.cell_label.tolist() == [7]
    order = np.argsort(found.orientation)
    assert_allclose(found.orientation[order], angles, atol=0.03)
    # The end of the skeleton lies half the width inside.
    assert_allclose(found.length_px, 58.5, atol=1.6)
    assert_allclose([found.cell_y[0], found.cell_x[0]], SIZE // 2, atol=1)
    assert found.counts.tolist() == [4]
    assert found.longest_um[0] == found.length_um.max()
    assert not found.touching.any()


@pytest.mark.parametrize(("body", "size_um"), [(8.0, 1.0), (14.0, 1.0), (25.0, 0.5)])
def test_the_body_is_not_in_the_length_from_the_body(body, size_um):
    angles = 0.3 + np.array([0.0, 0.5, 1.0]) * np.pi
    found = find_protrusions(_star(angles, body=body), pixel_size_um=size_um)
    assert found.counts.tolist() == [3]
    # To the end of the skeleton, half the width inside. The pixels of a disc reach half a pixel further.
    assert_allclose(found.from_body_um, size_um * (58.5 - body), atol=2.5 * size_um)
    assert (found.from_body_um < found.length_um).all()
    assert found.longest_from_body_um[0] == found.from_body_um.max()


def test_a_cell_that_is_slender_throughout_has_its_widest_part_as_its_body():
    line = np.zeros((21, 80), int)
    line[9:12, 5:75] = 1
    found = find_protrusions(line, pixel_size_um=1.0)
    assert_allclose(found.from_body_um, found.length_um, atol=2)
    cell = dissect_cell(line, 1, pixel_size_um=1.0)
    assert cell.body[cell.centre]
    assert (cell.mask | ~cell.body).all()


def test_tips_can_be_moved_out_to_the_outline():
    found = find_protrusions(
        _star([0.3, 2.0]), pixel_size_um=1.0, settings=ProtrusionSettings(to_outline=True)
    )
    assert_allclose(found.length_px, 60.5, atol=1.2)


def test_the_paper_counts_every_end_of_the_skeleton_and_we_those_of_slender_processes():
    y, x = np.indices((SIZE, SIZE)) - SIZE // 2
    spread = ((x / 70) ** 2 + (y / 35) ** 2 <= 1).astype(np.int32)
    assert len(find_protrusions(spread, pixel_size_um=1.0).label) == 0
    assert find_protrusions(spread, pixel_size_um=1.0, settings=PAPER).counts.tolist() == [2]


@pytest.mark.parametrize("counting", [ProtrusionSettings(), PAPER])
def test_a_disc_has_none(counting):
    assert find_protrusions(discs((90, 90), (45, 45, 35)), pixel_size_um=1.0, settings=counting).counts == [0]


def test_a_ring_has_none_and_a_ring_with_an_arm_has_one():
    image = _star([0.7], body=30.0)
    y, x = np.indices(image.shape) - SIZE // 2
    image[np.hypot(y, x) < 22] = 0
    found = find_protrusions(image, pixel_size_um=1.0)
    assert found.counts.tolist() == [1]
    assert image[int(found.cell_y[0]), int(found.cell_x[0])] == 1
    ring = np.where(np.hypot(y, x) <= 30, image, 0)
    assert find_protrusions(ring, pixel_size_um=1.0).counts.tolist() == [0]


@settings(max_examples=16)
@given(st.integers(0, 3), st.booleans(), st.floats(0, 6.2))
def test_quarter_turns_and_mirror_images_have_the_same_protrusions_turned(quarters, mirrored, angle):
    angles = [angle, angle + 2.0]
    there = _star(angles)
    here = find_protrusions(there, pixel_size_um=1.0)
    turned = np.rot90(there[:, ::-1] if mirrored else there, quarters)
    found = find_protrusions(np.ascontiguousarray(turned), pixel_size_um=1.0)
    expected = (math.pi - here.orientation if mirrored else here.orientation) + quarters * math.pi / 2
    gap = np.angle(np.exp(1j * (found.orientation[:, None] - expected)))
    assert len(found.label) == len(here.label) == 2
    nearest = np.abs(gap).argmin(axis=1)
    assert sorted(nearest) == [0, 1]
    assert np.abs(gap).min(axis=1).max() < 0.05
    assert_allclose(found.length_px, here.length_px[nearest], atol=3)


def test_lengths_scale_with_the_pixel_size_and_the_threshold_is_in_micrometres():
    image = _star([0.0, 2.0])
    fine, coarse = (find_protrusions(image, pixel_size_um=size) for size in (0.5, 1.0))
    assert_allclose(fine.length_px, coarse.length_px)
    assert_allclose(2 * fine.length_um, coarse.length_um)
    assert len(find_protrusions(image, pixel_size_um=0.3).label) == 0
    shorter = ProtrusionSettings(shortest_um=15.0, shortest_relief_um=1.0)
    assert len(find_protrusions(image, pixel_size_um=0.3, settings=shorter).label) == 2


def test_where_the_image_cuts_a_cell_there_is_no_tip():
    whole = _star([0.0, np.pi])
    cut = np.ascontiguousarray(whole[:, : SIZE // 2 + 40])
    found = find_protrusions(cut, pixel_size_um=1.0)
    assert_allclose(found.orientation, [np.pi], atol=0.03)


def test_a_tip_on_another_cell_is_marked():
    image = _star([0.0, np.pi])
    y, x = np.indices(image.shape) - SIZE // 2
    image[(np.hypot(y, x - 70) < 11) & (image == 0)] = 2
    found = find_protrusions(image, pixel_size_um=1.0)
    assert found.label.tolist() == [1, 1]
    assert_array_equal(found.touching, np.abs(found.orientation - np.pi) > 1)


def test_pieces_of_one_cell_are_joined():
    image = _star([0.0])
    image[:, SIZE // 2 + 30 : SIZE // 2 + 35] = 0
    found = find_protrusions(image, pixel_size_um=1.0)
    assert found.counts.tolist() == [1]
    assert_allclose(found.length_px, 58.5, atol=1.6)


def test_an_empty_frame_a_full_frame_and_a_pixel_have_none():
    none = find_protrusions(np.zeros((5, 6), int), pixel_size_um=1.0)
    assert all(len(column) == 0 for column in none)
    assert none.counts.size == none.longest_um.size == 0
    full = find_protrusions(np.full((60, 80), 3), pixel_size_um=1.0, settings=PAPER)
    assert (full.cell_label.tolist(), len(full.label)) == ([3], 0)
    assert np.hypot(full.cell_y - 29.5, full.cell_x - 39.5) < 1
    one = np.zeros((9, 9), int)
    one[4, 5] = 2
    found = find_protrusions(one, pixel_size_um=50.0, settings=PAPER)
    assert (found.cell_y.tolist(), found.cell_x.tolist(), len(found.label)) == ([4.0], [5.0], 0)


@given(label_images())
def test_torn_touching_and_tiny_cells_have_a_centre_and_consistent_rows(labels):
    everything = ProtrusionSettings(shortest_um=0.0, shortest_relief_um=0.0, to_outline=True)
    found = find_protrusions(labels, pixel_size_um=1.0, settings=everything)
    assert_array_equal(found.cell_label, np.unique(labels[labels > 0]))
    assert set(found.label) <= set(found.cell_label)
    assert np.isfinite(found.length_px).all()
    assert ((found.orientation >= 0) & (found.orientation < 2 * np.pi)).all()
    assert found.counts.sum() == len(found.label)
    assert ((found.from_body_um >= 0) & (found.from_body_um <= found.length_um)).all()


def test_one_cell_is_dissected_as_all_are():
    image = discs((SIZE, SIZE), (20, 20, 9)) + _star([1.0, 3.0], label=5)
    found = find_protrusions(image, pixel_size_um=1.0)
    cell = dissect_cell(image, 5, pixel_size_um=1.0)
    tips = cell.tips + cell.origin
    assert_array_equal(tips, np.stack([found.y, found.x], axis=1))
    assert_array_equal(cell.distance[tuple(cell.tips.T)], found.length_px)
    assert cell.skeleton[tuple(cell.tips.T)].all()
    assert cell.distance[cell.centre] == 0
    with pytest.raises(InputError, match="no cell 4"):
        dissect_cell(image, 4, pixel_size_um=1.0)


@pytest.mark.parametrize("size", [0.0, -0.65, math.nan, math.inf])
def test_a_pixel_size_that_is_none_is_refused(size):
    with pytest.raises(InputError, match=f"pixel size is {size:g} um"):
        find_protrusions(_star([0.0]), pixel_size_um=size)


def test_bad_settings_and_images_are_refused():
    with pytest.raises(InputError, match="shortest_um is -1"):
        find_protrusions(_star([]), pixel_size_um=1.0, settings=ProtrusionSettings(shortest_um=-1.0))
    with pytest.raises(InputError, match="widest_um is nan"):
        find_protrusions(_star([]), pixel_size_um=1.0, settings=ProtrusionSettings(widest_um=math.nan))
    with pytest.raises(InputError, match="label -1"):
        find_protrusions(-_star([]), pixel_size_um=1.0)
