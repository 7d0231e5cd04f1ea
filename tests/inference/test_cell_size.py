"""The size of cells is that at which a network is surest of them."""

import dataclasses

import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.cell_size import estimate_cell_diameter
from tests.inference.test_scaled import blobs
from tests.pipeline.threshold_segmenter import ThresholdSegmenter

GRID = [(row, column) for row in range(1, 8) for column in range(1, 8)]


class SureOfItsSize(ThresholdSegmenter):
    """Scores are high for cells of the diameter of the training only."""

    def segment(self, frames):
        for cells in super().segment(frames):
            areas = np.bincount(cells.labels.ravel(), minlength=len(cells.points) + 1)[1:]
            off = np.log(2 * np.sqrt(areas / np.pi) / self.cell_diameter)
            yield cells._replace(scores=np.exp(-4 * off**2))


def movie_of(diameter, frames=1):
    step = 2.5 * diameter
    centres = [(step * row, step * column) for row, column in GRID]
    side = int(9 * step)
    return [blobs(centres, radius=diameter / 2, shape=(side, side))[..., 0]] * frames


@pytest.mark.parametrize("diameter", [9.0, 20.0, 45.0, 80.0])
def test_the_diameter_is_found_from_half_to_many_times_that_of_the_training(diameter):
    found = estimate_cell_diameter(SureOfItsSize(cell_diameter=20.0), movie_of(diameter))
    assert found == pytest.approx(diameter, rel=0.12)


def test_an_empty_middle_frame_is_passed_over():
    frames = movie_of(20.0, frames=3)
    frames[1] = np.zeros_like(frames[0])
    assert estimate_cell_diameter(SureOfItsSize(cell_diameter=20.0), frames) == pytest.approx(20, rel=0.12)


def test_without_cells_there_is_no_size():
    for shape in ((300, 300), (5, 7), (1, 1)):
        with pytest.raises(InputError, match="no cell was found at any scale"):
            estimate_cell_diameter(ThresholdSegmenter(cell_diameter=20.0), [np.zeros(shape)])


def test_a_model_without_outlines_is_refused():
    detects = dataclasses.replace(ThresholdSegmenter(cell_diameter=20.0), outlines=False)
    with pytest.raises(InputError, match="only detects"):
        estimate_cell_diameter(detects, movie_of(20.0))
