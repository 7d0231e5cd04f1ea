import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology import (
    boundary_map,
    centroid_pixels,
    classification_map,
    distance_targets,
    distance_to_boundary,
    inner_distance,
    normalised_outer_distance,
)
from tests.label_images import discs, label_images


def _pixels(labels):
    return list(itertools.product(*map(range, labels.shape)))


def _boundary_by_definition(labels):
    """Every pixel against every other."""
    distance = np.zeros(labels.shape)
    for p in _pixels(labels):
        if labels[p]:
            foreign = [math.dist(p, q) for q in _pixels(labels) if labels[q] != labels[p]]
            distance[p] = min(foreign, default=math.inf)
    return distance


def _inner_by_definition(labels, alpha, power):
    centroids = []
    for label in set(labels[labels > 0].tolist()):
        own = [p for p in _pixels(labels) if labels[p] == label]
        centroids.append([math.floor(sum(axis) / len(own) + 0.5) for axis in zip(*own)])
    inner = np.zeros(labels.shape)
    for p in _pixels(labels):
        if labels[p]:
            inner[p] = 1 / (1 + alpha * min(math.dist(p, c) for c in centroids) ** power)
    return inner


@given(label_images())
def test_distance_to_boundary_is_that_to_the_nearest_foreign_pixel(labels):
    assert_allclose(distance_to_boundary(labels), _boundary_by_definition(labels), rtol=1e-15)


@given(label_images(), st.sampled_from([0.1, 2.0]), st.booleans())
def test_inner_distance_is_that_of_the_nearest_centroid(labels, alpha, squared):
    expected = _inner_by_definition(labels, alpha, 2 if squared else 1)
    assert_allclose(inner_distance(labels, alpha=alpha, squared=squared), expected, rtol=2e-7)


@given(label_images(), st.booleans())
def test_outer_distance_is_the_share_of_the_deepest_pixel_of_the_cell(labels, squared):
    distance = _boundary_by_definition(labels) ** (2 if squared else 1)
    outer = normalised_outer_distance(labels, squared=squared)
    for label in set(labels[labels > 0].tolist()):
        own = distance[labels == label]
        expected = np.ones_like(own) if np.isinf(own).any() else own / own.max()
        assert_allclose(outer[labels == label], expected, rtol=2e-7)
        assert outer[labels == label].max() == 1
    assert (outer[labels == 0] == 0).all()


@given(label_images(), st.sampled_from([0.0, 1.0, 1.5, 2.0]))
def test_the_rim_and_the_inside_make_up_the_foreground(labels, width):
    inside, rim = classification_map(labels, width=width), boundary_map(labels, width=width)
    assert_array_equal(inside, _boundary_by_definition(labels) > width)
    assert_array_equal(inside | rim, labels > 0)
    assert not (inside & rim).any()


@given(label_images(), st.booleans())
def test_all_targets_at_once_are_the_single_ones(labels, squared):
    targets = distance_targets(labels, alpha=0.3, squared=squared, boundary_width=1.0)
    assert_array_equal(targets.inner, inner_distance(labels, alpha=0.3, squared=squared))
    assert_array_equal(targets.outer, normalised_outer_distance(labels, squared=squared))
    assert_array_equal(targets.classification, classification_map(labels, width=1.0))
    assert_array_equal(targets.boundary, boundary_map(labels, width=1.0))


@given(label_images())
def test_targets_turn_with_the_image_and_do_not_care_for_the_names_of_cells(labels):
    outer = normalised_outer_distance(labels)
    assert_array_equal(normalised_outer_distance(np.rot90(labels)), np.rot90(outer))
    renamed = np.where(labels > 0, 1000 - 7 * labels, 0)
    assert_array_equal(normalised_outer_distance(renamed), outer)
    assert_array_equal(inner_distance(renamed), inner_distance(labels))


def test_centroid_pixels_move_with_the_cell():
    labels = np.zeros((8, 9), np.uint16)
    labels[0:2, 0:4] = 9  # centroid (0.5, 1.5)
    labels[4:7, 5:8] = 2
    assert centroid_pixels(labels).tolist() == [[5, 6], [1, 2]]
    assert centroid_pixels(np.roll(labels, 1, axis=(0, 1))).tolist() == [[6, 7], [2, 3]]


def test_two_touching_discs_have_a_valley_between_them():
    labels = discs((41, 70), (20, 20, 15), (20, 47, 15))
    targets = distance_targets(labels)
    assert targets.inner[20, 20] == targets.inner[20, 47] == 1
    assert min(targets.outer[20, 20], targets.outer[20, 47]) > 0.95
    assert (labels[20, 33], labels[20, 34]) == (1, 2)
    assert (targets.outer[20, 33:35] < 0.1).all()
    assert ndimage.label(targets.classification, np.ones((3, 3)))[1] == 2
    assert not targets.classification[20, 32:36].any()
    assert targets.classification[20, [31, 36]].all()


def test_the_edge_of_the_image_is_no_boundary():
    labels = discs((30, 30), (0, 15, 10))
    targets = distance_targets(labels)
    assert targets.outer[0, 15] == 1
    assert targets.classification[0, 15]
    whole = discs((59, 30), (29, 15, 10))
    assert_array_equal(targets.outer, normalised_outer_distance(whole)[29:])


def test_one_pixel_cells_are_their_own_centre():
    labels = np.zeros((5, 6), int)
    labels[2, 3], labels[2, 4], labels[0, 0] = 1, 2, 3
    targets = distance_targets(labels, boundary_width=0.0)
    for values in (targets.inner, targets.outer, targets.classification):
        assert_array_equal(values, labels > 0)


def test_without_cells_all_is_background_and_with_one_cell_nothing():
    for values in distance_targets(np.zeros((4, 5), np.uint8)):
        assert not values.any()
    full = distance_targets(np.full((5, 7), 3, np.uint8), boundary_width=2.0)
    assert (full.outer == 1).all()
    assert full.classification.all()
    assert full.inner[2, 3] == 1


def test_a_centroid_outside_of_its_cell_and_that_of_a_neighbour_count_too():
    labels = np.ones((7, 7), int)
    labels[2:5, 2:5] = 0
    inner = inner_distance(labels)
    assert inner[3, 3] == 0
    assert_allclose(inner[3, 1], 1 / 1.2, rtol=1e-6)
    labels[3, 2] = 2
    assert_allclose(inner_distance(labels)[3, 1], 1 / 1.1, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, -0.1, math.nan])
def test_a_decay_that_is_none_is_refused(alpha):
    with pytest.raises(InputError, match="alpha must be positive"):
        inner_distance(np.ones((2, 2), int), alpha=alpha)


@pytest.mark.parametrize("width", [-1.0, math.nan])
def test_a_negative_width_is_refused(width):
    with pytest.raises(InputError, match="width of a boundary must not be negative"):
        distance_targets(np.ones((2, 2), int), boundary_width=width)


def test_hundreds_of_touching_cells_agree_with_a_transform_of_the_whole_image_per_cell():
    rng = np.random.default_rng(0)
    seeds = rng.uniform(0, 120, (300, 2))
    y, x = np.indices((120, 120))
    labels = 1 + np.argmin((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2, axis=-1)
    labels[rng.random(labels.shape) < 0.02] = 0
    expected = sum(ndimage.distance_transform_edt(labels == label) for label in np.unique(labels)[1:])
    assert_allclose(distance_to_boundary(labels), expected, rtol=1e-15)
