"""Numbers of shapes against formulas and scikit-image."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from skimage.measure import regionprops

from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology import cell_shapes
from tests.label_images import discs, label_images


@given(label_images())
def test_torn_touching_and_tiny_cells_measure_as_in_scikit_image(labels):
    shapes = cell_shapes(labels)
    regions = regionprops(labels)
    assert_array_equal(shapes.label, [region.label for region in regions])
    assert_array_equal(shapes.area, [region.area for region in regions])
    centroid = np.array([region.centroid for region in regions]).reshape(-1, 2)
    assert_allclose(np.stack([shapes.y, shapes.x], axis=1), centroid)
    eigenvalues = np.array([region.inertia_tensor_eigvals for region in regions]).reshape(-1, 2) + 1 / 12
    axes = np.stack([shapes.major_axis, shapes.minor_axis], axis=1)
    assert_allclose(axes, 4 * np.sqrt(eigenvalues))
    assert_allclose(shapes.elongation, shapes.major_axis / shapes.minor_axis)
    assert_allclose(1 - shapes.eccentricity**2, shapes.elongation**-2.0)
    assert ((shapes.solidity > 0) & (shapes.solidity < 1 + 1e-9)).all()
    assert (shapes.elongation >= 1).all()
    assert (shapes.perimeter > 0).all()
    assert ((shapes.orientation >= 0) & (shapes.orientation < np.pi)).all()


def test_a_disc_is_round_and_full():
    shapes = cell_shapes(discs((99, 99), (49, 49, 40)))
    assert_allclose(shapes.perimeter, 2 * np.pi * 40, rtol=0.01)
    assert_allclose(shapes.elongation, 1, atol=1e-6)
    assert_allclose(shapes.solidity, 1, atol=0.025)


@pytest.mark.parametrize("degrees", [0, 30, 60, 90, 120, 150])
def test_an_ellipse_has_its_elongation_and_points_where_it_was_turned(degrees):
    y, x = np.indices((141, 141)) - 70
    angle = np.deg2rad(degrees)
    along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    shapes = cell_shapes(((along / 60) ** 2 + (across / 20) ** 2 <= 1).astype(int))
    assert_allclose(shapes.elongation, 3, rtol=0.01)
    assert_allclose(shapes.major_axis, 120, rtol=0.01)
    turn = np.angle(np.exp(2j * (shapes.orientation - angle))) / 2
    assert_allclose(turn, 0, atol=0.01)


def test_lines_pixels_and_rectangles_are_full():
    labels = np.zeros((12, 12), int)
    labels[1, 1:10], labels[3, 3], labels[5:9, 2:8] = 1, 2, 9
    shapes = cell_shapes(labels)
    assert shapes.label.tolist() == [1, 2, 9]
    assert_allclose(shapes.elongation, [9, 1, 1.5])
    assert_allclose(shapes.solidity, 1)
    assert_allclose(shapes.orientation, 0)


def test_a_cross_is_not():
    labels = np.zeros((31, 31), int)
    labels[15, :] = labels[:, 15] = 1
    assert cell_shapes(labels).solidity[0] < 0.15


def test_a_frame_without_cells_has_no_rows_and_a_negative_label_is_refused():
    assert all(len(column) == 0 for column in cell_shapes(np.zeros((4, 4), int)))
    with pytest.raises(InputError, match="label -2"):
        cell_shapes(np.full((3, 3), -2))
