import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack.masks import draw_tracks
from tests.label_images import discs, label_images

SHAPE = (7, 8)
POINTS = st.integers(0, 9).flatmap(
    lambda n: hnp.arrays(
        np.float64, (n, 2), elements=st.sampled_from([-40.0, -0.5, 0.0, 2.3, 3.0, 7.0, 90.0])
    )
)


@given(POINTS, label_images(SHAPE), st.booleans(), st.sampled_from([1.0, 4.0, 30.0]))
def test_every_track_owns_a_pixel(points, labels, segmented, diameter):
    ids = np.arange(1, len(points) + 1) * 7
    segments = labels if segmented else None
    image = draw_tracks(points, ids, np.full(len(ids), diameter), shape=SHAPE, segments=segments, reach=1.0)
    assert image.shape == SHAPE
    assert set(np.unique(image)) - {0} == set(ids)


def test_an_image_full_of_tracks():
    points, ids = np.zeros((6, 2)), np.arange(1, 7)
    image = draw_tracks(points, ids, np.full(6, 9.0), shape=(2, 3))
    assert sorted(image.ravel()) == list(ids)
    with pytest.raises(InputError, match="6 tracks cannot each have a pixel of an image of 1 x 5"):
        draw_tracks(points, ids, np.full(6, 9.0), shape=(1, 5))


def test_discs_are_those_of_geometry_and_overlaps_go_to_the_nearest():
    circles = [(20.0, 20.0, 8.0), (24.3, 30.1, 8.0), (50.0, 2.0, 5.0)]
    points, radii = np.array(circles)[:, :2], np.array(circles)[:, 2]
    image = draw_tracks(points, np.array([1, 2, 3]), 2 * radii, shape=(60, 50))
    np.testing.assert_array_equal(image, discs((60, 50), *circles))


def test_segments_are_taken_whole_and_discs_stay_off_them():
    segments = discs((30, 60), (15, 15, 6), (15, 45, 6))
    points = np.array([[15.0, 16.0], [15.0, 24.0]])
    image = draw_tracks(points, np.array([4, 9]), np.full(2, 10.0), shape=(30, 60), segments=segments)
    np.testing.assert_array_equal(image == 4, segments == 1)
    rows, columns = np.indices(image.shape)
    disc = np.hypot(rows - 15, columns - 24) <= 5
    np.testing.assert_array_equal(image == 9, disc & (segments != 1))


def test_the_hidden_one_takes_a_pixel_where_it_is():
    points = np.array([[5.0, 5.0], [5.0, 5.0]])
    image = draw_tracks(points, np.array([1, 2]), np.full(2, 6.0), shape=(12, 12))
    assert image[5, 5] == 2
    assert (image == 1).sum() == 28
    assert (image == 2).sum() == 1


def test_what_cannot_be_drawn_is_refused():
    ids, wide = np.array([1]), np.array([4.0])
    with pytest.raises(ValueError, match="points must be finite and diameters positive"):
        draw_tracks(np.array([[np.nan, 1.0]]), ids, wide, shape=(5, 5))
    with pytest.raises(ValueError, match="points must be finite and diameters positive"):
        draw_tracks(np.array([[1.0, 1.0]]), ids, np.array([np.nan]), shape=(5, 5))
    with pytest.raises(ValueError, match=r"segments has shape \(4, 4\), but the image has \(5, 5\)"):
        draw_tracks(np.array([[1.0, 1.0]]), ids, wide, shape=(5, 5), segments=np.zeros((4, 4), int))
