"""Images are drawn in their pixel coordinates, with a contrast that shows cells, and with thin outlines."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from skimage.segmentation import find_boundaries

from cellmotion_jax.report.images import (
    contour_overlay,
    contrast_of,
    draw_contours,
    draw_image,
    draw_map,
    screen_image,
)

ORANGE = (230, 159, 0)


@pytest.fixture
def axes():
    return Figure().add_subplot()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int64, np.float16, np.float64])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_images_of_any_type_reach_from_black_to_white(dtype, channels):
    image = np.random.default_rng(0).integers(0, 100, (30, 40, *channels)).astype(dtype)
    drawn = screen_image(image, most=100)
    assert drawn.shape == (30, 40, *((3,) if channels == (3,) else ()))
    assert drawn.min() == 0
    assert drawn.max() == 1


def test_black_and_white_are_percentiles():
    image = np.arange(1000.0).reshape(20, 50)
    drawn = screen_image(image, most=50).ravel()
    assert np.count_nonzero(drawn == 0) == 10
    assert np.count_nonzero(drawn == 1) == 2
    np.testing.assert_allclose(np.diff(drawn, 2)[12:-5], 0, atol=1e-5)


def test_an_offset_and_a_gain_change_nothing():
    image = np.random.default_rng(1).random((16, 16))
    np.testing.assert_allclose(
        screen_image(32768 + 50 * image, most=16), screen_image(image, most=16), atol=1e-5
    )


def test_the_contrast_of_bool_images():
    image = np.arange(20).reshape(4, 5) > 12
    np.testing.assert_array_equal(contrast_of(image).shares(image), image)


@pytest.mark.parametrize("value", [0, 7.5, -3, 1e17, -1e300])
def test_a_constant_image_is_grey(value):
    np.testing.assert_array_equal(screen_image(np.full((5, 6), value), most=10), np.float32(0.5))


def test_a_single_bright_pixel_is_seen():
    image = np.zeros((50, 50))
    image[3, 4] = 1
    np.testing.assert_array_equal(screen_image(image, most=50), image)


def test_pixels_that_are_not_finite_are_black():
    image = np.linspace(1, 2, 100).reshape(10, 10)
    image[5, 5], image[6, 6] = np.nan, np.inf
    drawn = screen_image(image, most=10)
    assert drawn[5, 5] == drawn[6, 6] == 0
    assert drawn[9, 9] == 1
    np.testing.assert_array_equal(screen_image(np.full((2, 2), np.nan), most=10), 0)


def test_faint_cells_of_a_dark_image_are_lifted_and_stay_in_order():
    image = np.zeros((40, 40))
    image[:20, :20], image[30:35, 30:35] = 0.04, 1.0
    drawn = screen_image(image, most=40)
    assert drawn[0, 0] == pytest.approx(0.2)
    assert drawn[20, 20] == 0
    assert drawn[32, 32] == 1


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.sampled_from([(), (3,)]),
    most=st.integers(1, 12),
)
def test_large_images_are_averaged_over_blocks(shape, channels, most):
    image = np.random.default_rng(2).random((*shape, *channels))
    step = -(-max(shape) // most)
    means = np.array(
        [
            [image[y : y + step, x : x + step].mean((0, 1)) for x in range(0, shape[1], step)]
            for y in range(0, shape[0], step)
        ]
    )
    drawn = screen_image(image, most=most)
    assert max(drawn.shape[:2]) <= most
    np.testing.assert_allclose(drawn, screen_image(means, most=most), atol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (5, 5, 2), (5, 5, 4), (0, 5), (2, 5, 5, 3)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match=r"image must be \[y, x\].*got shape"):
        screen_image(np.zeros(shape), most=10)


@given(hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)))
def test_thick_outlines_are_those_of_scikit_image(labels):
    overlay = contour_overlay(labels, "#E69F00", shape=labels.shape, thick=True)
    np.testing.assert_array_equal(overlay[..., 3] == 255, find_boundaries(labels, mode="thick"))
    assert set(np.unique(overlay[..., 3])) <= {0, 255}
    assert (overlay[..., :3] == ORANGE).all()


@given(hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3)))
def test_thin_outlines_separate_all_cells(labels):
    thin = contour_overlay(labels, "C0", shape=labels.shape, thick=False)[..., 3] > 0
    thick = contour_overlay(labels, "C0", shape=labels.shape, thick=True)[..., 3] > 0
    assert not (thin & ~thick).any()
    for axis in (0, 1):
        inner = np.delete(np.arange(labels.shape[axis]), -1)
        crossed = np.diff(labels, axis=axis) != 0
        assert thin.take(inner, axis)[crossed].all()


def test_outlines_are_equally_thin_at_any_resolution():
    labels = np.zeros((100, 100), int)
    labels[20:60, 20:40], labels[20:60, 40:60] = 7, 300
    for side in (50, 100, 400):
        row = contour_overlay(labels, "C0", shape=(side, side), thick=True)[side * 2 // 5, :, 3] > 0
        assert np.flatnonzero(row).tolist() == [
            at * side // 100 - near for at in (20, 40, 60) for near in (1, 0)
        ]


@pytest.mark.parametrize("thick", [True, False])
def test_a_cell_of_one_pixel_has_an_outline_and_no_cell_none(thick):
    labels = np.zeros((9, 9), int)
    assert not contour_overlay(labels, "C0", shape=(30, 30), thick=thick)[..., 3].any()
    labels[4, 4] = 1
    rows, columns = np.nonzero(contour_overlay(labels, "C0", shape=(90, 90), thick=thick)[..., 3])
    assert (rows.min(), columns.min()) == (39, 39)
    assert (rows.max(), columns.max()) == ((50, 50) if thick else (49, 49))


@pytest.mark.parametrize("shape", [(1, 1), (40, 60), (700, 501), (3, 1000)])
def test_axes_have_the_coordinates_of_the_image(axes, shape):
    draw_image(axes, np.zeros(shape), inches=2.0)
    draw_contours(axes, np.ones(shape, int), "C0", size=(2.0, 2.0))
    assert axes.get_xlim() == (-0.5, shape[1] - 0.5)
    assert axes.get_ylim() == (shape[0] - 0.5, -0.5)
    image, overlay = axes.images
    assert max(image.get_array().shape) <= 300
    assert max(overlay.get_array().shape) <= 220
    step = image.get_extent()[1] + 0.5
    assert shape[1] <= step < shape[1] + -(-max(shape) // 300)
    assert overlay.get_extent() == [-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 9))
def test_a_map_of_a_downsampled_image_lies_where_it_belongs(height, width, downsample):
    if min(height, width) < downsample**2:
        height, width = height + downsample**2, width + downsample**2
    values = np.zeros((height // downsample, width // downsample))
    drawn = draw_map(Figure().add_subplot(), values, (height, width))
    left, right, bottom, top = drawn.get_extent()
    # The middle of the last pixel p is at (p + 0.5) * downsample - 0.5 in pixels of the image.
    y, x = (np.array(values.shape) - 0.5) * downsample - 0.5
    assert (left, top) == (-0.5, -0.5)
    assert (bottom - downsample / 2, right - downsample / 2) == (y, x)


def test_a_map_larger_than_a_panel_is_averaged(axes):
    values = np.zeros((2000, 1000))
    values[:, :500] = 1
    drawn = draw_map(axes, values, (2000, 1000))
    assert drawn.get_array().shape == (667, 334)
    assert list(drawn.get_extent()) == [-0.5, 1001.5, 2000.5, -0.5]
    assert drawn.get_clim() == (0, 1)
    assert drawn.get_array().mean() == pytest.approx(0.5, abs=2e-3)


@pytest.mark.parametrize("shape", [(21, 20), (20, 7), (0, 0)])
def test_a_map_of_another_image_is_refused(axes, shape):
    with pytest.raises(ValueError, match="a map has shape"):
        draw_map(axes, np.zeros(shape), (20, 20))
