import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment

from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics import (
    IOU_THRESHOLDS,
    cell_matches,
    cell_overlaps,
    segmentation_counts,
    total_counts,
)
from tests.label_images import discs, label_images

PAIRS = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(label_images(shape, labels=(1, 2, 3, 40)), label_images(shape))
)


def _iou_by_definition(predictions, targets):
    """[predicted, true], one pair of masks after the other."""
    rows = [predictions == label for label in np.unique(predictions[predictions > 0])]
    columns = [targets == label for label in np.unique(targets[targets > 0])]
    table = [[np.sum(a & b) / np.sum(a | b) for b in columns] for a in rows]
    return np.array(table).reshape(len(rows), len(columns))


@given(PAIRS)
def test_overlaps_are_those_of_the_masks(pair):
    predictions, targets = pair
    overlaps = cell_overlaps(predictions, targets)
    table = np.zeros((len(overlaps.predicted_label), len(overlaps.true_label)))
    assert (overlaps.shared > 0).all()
    table[overlaps.predicted, overlaps.true] = overlaps.iou
    assert_allclose(table, _iou_by_definition(predictions, targets), rtol=1e-15)
    assert_array_equal(overlaps.predicted_area, [np.sum(predictions == p) for p in overlaps.predicted_label])
    assert_array_equal(overlaps.true_area, [np.sum(targets == t) for t in overlaps.true_label])


@given(PAIRS, st.sampled_from([0.1, 0.3, 0.5, 0.75, 1.0]))
def test_counts_are_those_of_stardist_and_cellpose(pair, threshold):
    """Both assign by ``-(iou >= t) - iou / (2 n)`` and count the pairs of at least ``t``."""
    iou = _iou_by_definition(*pair)
    counts = segmentation_counts(*pair, thresholds=[threshold])
    chosen = linear_sum_assignment(-1.0 * (iou >= threshold) - iou / (2 * max(1, min(iou.shape))))
    true = np.sum(iou[chosen] >= threshold)
    assert_array_equal(counts, [[true], [iou.shape[0] - true], [iou.shape[1] - true]])


@given(PAIRS, st.sampled_from([0.1, 0.5, 0.75]))
def test_matches_pair_labels_and_leave_the_rest(pair, threshold):
    predictions, targets = pair
    found = cell_matches(predictions, targets, threshold=threshold)
    for label, true, iou in zip(found.predicted, found.true, found.iou):
        a, b = predictions == label, targets == true
        assert iou == np.sum(a & b) / np.sum(a | b) >= threshold
    ours = np.concatenate([found.predicted, found.false_predicted])
    theirs = np.concatenate([found.true, found.missed_true])
    assert_array_equal(np.sort(ours), np.unique(predictions[predictions > 0]))
    assert_array_equal(np.sort(theirs), np.unique(targets[targets > 0]))
    assert (np.diff(found.predicted) > 0).all()
    counts = segmentation_counts(predictions, targets, thresholds=[threshold])
    assert_array_equal(found.counts, np.concatenate(counts))


@given(PAIRS)
def test_higher_thresholds_find_no_more_and_exchange_of_the_images_exchanges_the_errors(pair):
    counts = segmentation_counts(*pair)
    assert (np.diff(counts.average_precision) <= 0).all()
    exchanged = segmentation_counts(*pair[::-1])
    assert_array_equal(exchanged.true_positives, counts.true_positives)
    assert_array_equal(exchanged.false_positives, counts.false_negatives)


@given(label_images())
def test_the_truth_under_other_names_is_perfect(labels):
    counts = segmentation_counts(np.where(labels > 0, 900 - labels, 0), labels)
    assert (counts.average_precision == 1).all()


def test_a_merged_pair_of_equal_cells_matches_one_at_exactly_one_half():
    targets = np.array([[1, 1, 1, 2, 2, 2]])
    counts = segmentation_counts(np.ones_like(targets), targets, thresholds=[0.5, 0.51])
    assert_array_equal(counts, [[1, 0], [0, 1], [1, 2]])


def test_a_shifted_disc_and_a_missed_one():
    targets = discs((80, 160), (40, 40, 30), (40, 120, 30))
    predictions = discs((80, 160), (40, 45, 30)) * 7
    found = cell_matches(predictions, targets)
    assert (found.predicted.tolist(), found.true.tolist(), found.missed_true.tolist()) == ([7], [1], [2])
    assert 0.8 < found.iou[0] < 0.85
    counts = segmentation_counts(predictions, targets)
    assert_array_equal(counts.average_precision, np.where(np.array(IOU_THRESHOLDS) <= found.iou[0], 0.5, 0))


def test_images_add_up():
    targets = discs((30, 60), (15, 15, 10), (15, 45, 10))
    images = [(targets, targets), (np.zeros_like(targets), targets), (targets, np.zeros_like(targets))]
    total = total_counts(segmentation_counts(*image, thresholds=[0.5]) for image in images)
    assert_array_equal(total, [[2], [2], [2]])
    assert_allclose(total.average_precision, 1 / 3)


def test_nothing_to_find_and_nothing_found():
    nothing, cell = np.zeros((4, 5), int), np.eye(4, 5, dtype=int)
    assert (segmentation_counts(nothing, nothing).average_precision == 1).all()
    assert (segmentation_counts(nothing, cell).average_precision == 0).all()
    assert (segmentation_counts(cell, nothing).average_precision == 0).all()
    assert not cell_matches(nothing, nothing).iou.size


def test_images_of_different_size_and_negative_labels_are_refused():
    image = np.ones((4, 5), int)
    with pytest.raises(ValueError, match=re.escape("predictions has shape (4, 5), but targets has (5, 4)")):
        segmentation_counts(image, image.T)
    with pytest.raises(InputError, match="targets holds label -1"):
        cell_matches(image, -image)


@pytest.mark.parametrize("threshold", [0.0, 50.0, np.nan])
def test_thresholds_that_are_no_iou_are_refused(threshold):
    with pytest.raises(InputError, match="above 0 and at most 1"):
        cell_matches(np.ones((2, 2), int), np.ones((2, 2), int), threshold=threshold)
