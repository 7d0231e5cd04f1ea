"""Settings of instances are read off the training masks."""

import numpy as np
import pytest

from cellmotion_jax.data.annotated import median_cell_diameter, open_annotated
from cellmotion_jax.methods.convlstm.instances import find_instances, fit_instances
from tests.label_images import discs
from tests.methods.celltrack_embedding.pairs import write_pairs

TOUCHING = discs((60, 120), (20, 20, 10), (20, 39, 10), (40, 80, 10), (40, 99, 10))
# Lobes of one cell each, which must not be cut.
WAISTED = np.where(discs((60, 120), (30, 25, 10), (30, 37, 10)) > 0, 1, 0).astype(np.int32)
WAISTED[:, 60:] = 2 * WAISTED[:, :60]


def fitted(tmp_path, labels):
    images = open_annotated(write_pairs(tmp_path / "Pairs", labels=labels)).train
    return fit_instances(images, diameter=median_cell_diameter(images))


def test_cells_that_touch_are_parted_by_what_gives_them_back(tmp_path):
    settings = fitted(tmp_path, TOUCHING)
    parted = find_instances((TOUCHING > 0).astype(np.float32), settings=settings)
    assert parted.max() == 4


def test_cells_with_a_waist_are_left_whole(tmp_path):
    settings = fitted(tmp_path, WAISTED)
    assert find_instances((WAISTED > 0).astype(np.float32), settings=settings).max() == 2


def test_the_smallest_cell_is_a_tenth_of_a_typical_one(tmp_path):
    area = np.bincount(TOUCHING.ravel())[1:].mean()
    assert fitted(tmp_path, TOUCHING).smallest_area == pytest.approx(area / 10, rel=0.1)
