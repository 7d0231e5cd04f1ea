"""Stray pixels of a label go, parts of similar size stay, and no label is lost."""

import numpy as np
import pytest
from hypothesis import given, settings

from cellmotion_jax.methods.celltrack.seeds import seeds_from_labels
from cellmotion_jax.morphology.fragments import without_fragments
from tests.label_images import discs, label_images


@given(labels=label_images(shape=(12, 13)))
@settings(max_examples=50)
def test_every_label_keeps_its_largest_region(labels):
    clean = without_fragments(labels)
    assert np.array_equal(np.unique(clean[clean > 0]), np.unique(labels[labels > 0]))
    assert ((clean == labels) | (clean == 0)).all()
    np.testing.assert_array_equal(without_fragments(clean), clean)
    np.testing.assert_array_equal(without_fragments(labels, share=0.0), labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_a_stray_pixel_changes_neither_place_nor_box_nor_diameter(dtype):
    labels = discs((128, 128), (30, 90, 8), (60, 30, 6)).astype(dtype)
    stray = labels.copy()
    stray[120, 5] = stray[3, 3] = 1
    clean, stray = seeds_from_labels(labels), seeds_from_labels(stray)
    for name in ("ids", "points", "boxes", "diameters"):
        np.testing.assert_array_equal(getattr(stray, name), getattr(clean, name))


def test_two_halves_of_a_cell_are_one_cell():
    labels = discs((64, 64), (30, 30, 10))
    labels[30] = 0
    np.testing.assert_array_equal(without_fragments(labels), labels)


def test_a_region_that_only_touches_another_label_is_a_fragment():
    labels = discs((64, 64), (20, 20, 9), (20, 45, 9))
    labels[20, 55:57] = 1
    assert (without_fragments(labels)[20, 55:57] == 0).all()
