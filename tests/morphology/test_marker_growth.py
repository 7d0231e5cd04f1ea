import re

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics import segmentation_counts
from cellmotion_jax.morphology import (
    distance_targets,
    flood_markers,
    grow_markers,
    segment_from_markers,
    widen_markers,
)
from tests.label_images import discs, label_images

SHAPE = (6, 7)
# Sums of eighths are exact, so that equal means are equal in whatever order they are added up.
OUTER = hnp.arrays(np.int8, SHAPE, elements=st.integers(0, 8)).map(lambda eighths: eighths / 8)
FOREGROUND = hnp.arrays(np.bool_, SHAPE, elements=st.sampled_from([True, True, False]))
BOTH = pytest.mark.parametrize("grow", [grow_markers, flood_markers])


def _grown_by_definition(markers, outer, foreground):
    """Section 4.7 word by word, all means anew in every iteration."""
    labels = markers.copy()

    def adjacent(label):
        for y, x in np.argwhere(labels == label):
            for p in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= p[0] < SHAPE[0] and 0 <= p[1] < SHAPE[1] and labels[p] != label:
                    yield p

    while True:
        offers = []
        for label in set(markers[markers > 0].tolist()):
            ring = set(adjacent(label))
            front = [p for p in ring if foreground[p] and not labels[p]]
            if front and len(front) >= len(ring) / 2:
                offers.append((-sum(outer[p] for p in front) / len(front), label, front))
        if not offers:
            return labels
        _, label, front = min(offers)
        for p in front:
            labels[p] = label


@given(label_images(SHAPE, labels=(0, 0, 0, 1, 2, 40)), OUTER, FOREGROUND)
def test_growth_is_that_of_the_paper(markers, outer, foreground):
    expected = _grown_by_definition(markers, outer, foreground)
    assert_array_equal(grow_markers(markers, outer, foreground), expected)


@BOTH
@given(markers=label_images(SHAPE, labels=(0, 0, 0, 1, 2, 40)), outer=OUTER, foreground=FOREGROUND)
def test_growth_keeps_markers_and_adds_only_foreground(grow, markers, outer, foreground):
    grown = grow(markers, outer, foreground)
    assert_array_equal(grown[markers > 0], markers[markers > 0])
    assert not grown[(markers == 0) & ~foreground].any()


@given(label_images(SHAPE, labels=(0, 0, 0, 1, 2, 40)), OUTER, FOREGROUND)
def test_flooding_claims_whatever_the_paper_claims_and_more(markers, outer, foreground):
    assert (flood_markers(markers, outer, foreground)[grow_markers(markers, outer, foreground) > 0] > 0).all()


def _points(shape, *points):
    markers = np.zeros(shape, np.int32)
    for label, (y, x) in enumerate(points, start=1):
        markers[y, x] = label
    return markers


def _iou(labels, truth):
    return min(
        np.sum((labels == cell) & (truth == cell)) / np.sum((labels == cell) | (truth == cell))
        for cell in np.unique(truth)[1:]
    )


@BOTH
def test_two_touching_discs_become_two_cells(grow):
    truth = discs((60, 100), (30, 30, 22), (30, 68, 22))
    outer = distance_targets(truth).outer
    markers = _points(truth.shape, (30, 30), (30, 68))
    cells = segment_from_markers(markers, outer, truth > 0, grow=grow, majority=9)
    assert _iou(cells, truth) > (0.97 if grow is flood_markers else 0.88)
    assert_array_equal(cells > 0, (cells == 1) | (cells == 2))


@BOTH
def test_a_cell_at_the_border_reaches_it(grow):
    truth = discs((50, 60), (0, 30, 25))
    outer = distance_targets(truth).outer
    cells = segment_from_markers(_points(truth.shape, (3, 30)), outer, truth > 0, grow=grow, majority=5)
    assert _iou(cells, truth) > 0.9
    assert (cells[0, 10:50] == 1).all()


@BOTH
def test_one_marker_on_foreground_without_end_takes_the_image(grow):
    everywhere = np.ones((9, 12))
    markers = _points(everywhere.shape, (0, 11))
    assert (segment_from_markers(markers, everywhere, everywhere > 0, grow=grow) == 1).all()


@BOTH
def test_without_markers_there_are_no_cells(grow):
    nothing = np.zeros((8, 9), np.uint16)
    assert not segment_from_markers(nothing, np.ones((8, 9)), np.ones((8, 9), bool), grow=grow).any()


def test_an_undetected_cell_behind_a_bridge_is_flooded_but_not_grown_into():
    truth = discs((40, 90), (20, 20, 15), (20, 65, 15))
    foreground = truth > 0
    foreground[20, 20:65] = True
    outer = distance_targets(truth).outer
    markers = widen_markers(_points(truth.shape, (20, 20)), outer)
    assert not grow_markers(markers, outer, foreground)[:, 50:].any()
    assert_array_equal(flood_markers(markers, outer, foreground) > 0, foreground)


def test_markers_are_widened_where_the_outer_distance_is_above_the_threshold():
    truth = discs((60, 120), (30, 30, 22), (30, 90, 6))
    outer = distance_targets(truth).outer
    markers = _points(truth.shape, (30, 30), (30, 90))
    widened = widen_markers(markers, outer)
    assert_array_equal(widened, np.where((truth == 1) & (outer > 0.5), 1, 0))
    both = widen_markers(markers, outer, threshold=0.25, smallest=1)
    assert_array_equal(both, np.where(outer > 0.25, truth, 0))


@pytest.mark.parametrize(("smallest", "kept"), [(12, True), (13, False)])
def test_markers_are_dropped_below_the_smallest_area(smallest, kept):
    outer = np.zeros((9, 9))
    outer[2:5, 2:6] = 0.6
    assert widen_markers(_points(outer.shape, (3, 3)), outer, smallest=smallest).any() == kept


def test_a_marker_off_the_deep_pixels_stays_as_it_is():
    markers = np.zeros((9, 9), np.int32)
    markers[1:3, 1:3] = 5
    outer = np.zeros((9, 9))
    outer[5:, 5:] = 1.0
    assert_array_equal(widen_markers(markers, outer, smallest=4), markers)


@BOTH
def test_maps_of_another_shape_are_refused(grow):
    markers, outer = np.zeros((4, 5), int), np.zeros((4, 5))
    with pytest.raises(ValueError, match=re.escape("markers has shape (4, 5), but outer has (5, 4)")):
        widen_markers(markers, outer.T)
    with pytest.raises(ValueError, match=re.escape("markers has shape (4, 5), but foreground has (5, 4)")):
        grow(markers, outer, outer.T > 0)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("grow", "average_precision"),
    [(grow_markers, [1.0, 0.7, 0.0]), (flood_markers, [1.0, 1.0, 0.85])],
    ids=["grow", "flood"],
)
def test_manual_masks_come_back_from_their_targets(real_data, grow, average_precision):
    """T98G: 66 cells, some touching, some at the border, some labels with a stray fragment."""
    truth = tifffile.imread(min((real_data / "T98G-phase" / "masks").glob("*.tif"))).astype(np.int32)
    targets = distance_targets(truth, boundary_width=1.0)
    deepest = np.where(targets.outer == 1, truth, 0)
    cells = segment_from_markers(deepest, targets.outer, targets.classification, grow=grow, majority=1)
    counts = segmentation_counts(cells, truth, thresholds=[0.5, 0.7, 0.85])
    assert (counts.average_precision >= average_precision).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_maps_that_are_not_finite_are_refused(value):
    outer = np.full((4, 5), 0.5)
    outer[1, 2] = value
    with pytest.raises(InputError, match="outer must be finite everywhere"):
        segment_from_markers(np.ones((4, 5), int), outer, outer > 0)
