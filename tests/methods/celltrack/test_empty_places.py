"""Start points without anything to follow are told from those on cells, in any light and scale."""

import numpy as np
import pytest

from cellmotion_jax.methods.celltrack.empty_places import empty_places

ROWS, COLUMNS = np.mgrid[:120, :160]
CELLS = np.array([[30.0, 30.0], [30.0, 110.0], [80.0, 60.0]])
BETWEEN = np.array([[80.0, 120.0], [60.0, 20.0], [5.0, 70.0], [100.0, 150.0]])


def movie_frame(seed, *, height=100.0, noise=20.0, slope=0.0):
    image = 500 + slope * COLUMNS + np.random.default_rng(seed).normal(0, noise, ROWS.shape)
    for y, x in CELLS:
        image += height / (1 + np.exp((np.hypot(ROWS - y, COLUMNS - x) - 8) / 1.2))
    return image


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("options", [{}, {"height": 3000.0}, {"height": -100.0}, {"slope": 2.0}])
def test_places_between_cells_are_empty_and_cells_are_not(seed, options):
    image = movie_frame(seed, **options)
    for scaled in (image, 0.01 * image, image.astype(np.uint16)):
        assert not empty_places(scaled, CELLS, diameter=16.0).any()
        assert empty_places(scaled, BETWEEN, diameter=16.0).all()


def test_without_noise_nothing_is_called_empty():
    image = movie_frame(0, noise=0.0).round()
    assert not empty_places(image, np.concatenate([CELLS, BETWEEN]), diameter=16.0).any()


def test_points_on_the_edge_and_images_of_few_pixels_are_no_trouble():
    corners = np.array([[-0.5, -0.5], [119.4, 159.4]])
    assert empty_places(movie_frame(0), corners, diameter=16.0).all()
    assert empty_places(np.ones((1, 1)), np.zeros((1, 2)), diameter=16.0).shape == (1,)
    assert empty_places(np.ones((1, 1)), np.zeros((0, 2)), diameter=16.0).shape == (0,)
