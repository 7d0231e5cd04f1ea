"""The grid: zoom, size, intensities and points there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.grid import (
    grid_shape,
    grid_zoom,
    points_from_grid,
    points_to_grid,
    to_grid,
)

SHAPES = st.tuples(st.integers(9, 60), st.integers(9, 60))
ZOOMS = st.floats(0.1, 2.0)


@given(SHAPES, ZOOMS)
def test_points_come_back_from_the_grid(shape, zoom):
    points = np.random.default_rng(0).uniform(0, shape, (5, 2))
    there = points_to_grid(points, shape=shape, zoom=zoom)
    np.testing.assert_allclose(points_from_grid(there, shape=shape, zoom=zoom), points, atol=1e-4)


@given(SHAPES, ZOOMS)
def test_the_outline_of_a_frame_is_the_outline_of_its_grid(shape, zoom):
    corners = np.array([[-0.5, -0.5], [shape[0] - 0.5, shape[1] - 0.5]])
    there = points_to_grid(corners, shape=shape, zoom=zoom)
    np.testing.assert_allclose(there, np.array([[0, 0], grid_shape(shape, zoom)]) - 0.5, atol=1e-4)


@pytest.mark.parametrize("zoom", [0.23, 0.5, 1.0, 1.7])
def test_a_cell_lies_on_the_grid_where_its_place_says(zoom):
    y, x = np.mgrid[:101, :90]
    place = np.array([41.3, 52.8])
    cell = np.exp(-0.5 * ((y - place[0]) ** 2 + (x - place[1]) ** 2) / 8**2)
    found = ndimage.center_of_mass(to_grid(cell, zoom))
    np.testing.assert_allclose(found, points_to_grid(place, shape=(101, 90), zoom=zoom), atol=0.05)


def test_a_frame_at_zoom_1_is_left_as_it_is():
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    np.testing.assert_array_equal(to_grid(image, 1.0), image)


@pytest.mark.parametrize("zoom", [0.4, 1.5])
def test_flat_frames_keep_their_intensity(zoom):
    np.testing.assert_allclose(to_grid(np.full((20, 31), 700, np.uint16), zoom), 700, rtol=1e-6)


def test_cells_come_out_at_one_size_unless_they_are_tiny():
    assert grid_zoom(32.0) == 0.5
    assert grid_zoom(32.0, wanted=24.0) == 0.75
    assert grid_zoom(1.0) == 2.0


@pytest.mark.parametrize("diameter", [0.0, -3.0, float("nan"), float("inf")])
def test_a_diameter_that_is_none_is_refused(diameter):
    with pytest.raises(InputError, match="diameter is"):
        grid_zoom(diameter)
