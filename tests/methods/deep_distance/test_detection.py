"""Detections: which peaks count, in which order, and which pixels they have."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deep_distance import detection
from cellmotion_jax.methods.deep_distance.detection import (
    DetectionSettings,
    detect_cells,
    detect_components,
    detect_peaks,
)
from cellmotion_jax.models.deep_distance import DistanceMaps
from cellmotion_jax.ops.peaks import h_maxima
from tests.cell_models import SHAPE
from tests.strategies import arrays

SETTINGS = DetectionSettings(h=0.2)


def peaks_at(*heights, apart=4):
    """Single pixels on a grid, in reading order."""
    image = np.zeros(SHAPE, np.float32)
    places = np.stack(np.mgrid[1 : SHAPE[0] : apart, 1 : SHAPE[1] : apart], axis=-1).reshape(-1, 2)[
        : len(heights)
    ]
    image[tuple(places.T)] = heights
    return image, places


@given(arrays((9, 11), st.integers(0, 8).map(lambda n: n / 8)))
def test_every_peak_above_h_is_detected_once_and_marked(image):
    image = np.asarray(image, np.float32)
    found = detect_peaks(image, settings=SETTINGS)
    pieces, count = scipy.ndimage.label(h_maxima(jnp.asarray(image), 0.2, connectivity=8), np.ones((3, 3)))
    tops = scipy.ndimage.maximum(image, pieces, np.arange(1, count + 1))
    assert len(found.points) == len(found.values) == np.count_nonzero(tops > 0.2) == found.markers.max()
    assert np.all(np.diff(found.values) <= 0)
    for number, (point, value) in enumerate(zip(found.points, found.values), start=1):
        plateau = found.markers == number
        assert len(np.unique(pieces[plateau])) == 1
        assert np.array_equal(plateau, pieces == pieces[plateau][0])
        np.testing.assert_allclose(point, np.argwhere(plateau).mean(axis=0), rtol=1e-6)
        assert value == image[plateau].max()


def test_a_peak_exceeds_the_floor_as_well_as_h():
    image, places = peaks_at(0.15, 0.25, 0.35)
    for settings, seen in (
        (DetectionSettings(h=0.05, floor=0.2), [2, 1]),
        (DetectionSettings(h=0.05, floor=0.0), [2, 1, 0]),
        (DetectionSettings(h=0.3, floor=0.2), [2]),
    ):
        np.testing.assert_array_equal(detect_peaks(image, settings=settings).points, places[seen])


def test_an_empty_frame_has_no_cell():
    noise = np.random.default_rng(0).uniform(0, 0.19, SHAPE).astype(np.float32)
    for image in (np.zeros(SHAPE, np.float32), noise):
        found = detect_peaks(image, settings=SETTINGS)
        assert found.points.shape == (0, 2)
        assert found.values.shape == (0,)
        assert not found.markers.any()


def test_equal_peaks_are_in_reading_order():
    image, places = peaks_at(0.5, 0.9, 0.5, 0.9)
    found = detect_peaks(image, settings=SETTINGS)
    np.testing.assert_array_equal(found.points, places[[1, 3, 0, 2]])
    np.testing.assert_array_equal(found.markers[tuple(places.T)], [3, 1, 4, 2])


def test_more_peaks_than_slots_are_found_as_well(monkeypatch):
    monkeypatch.setattr(detection, "FEWEST_SLOTS", 8)
    heights = np.linspace(0.3, 0.9, 37, dtype=np.float32)
    image, places = peaks_at(*heights)
    found = detect_peaks(image, settings=SETTINGS)
    np.testing.assert_array_equal(found.points, places[::-1])


def test_touching_corners_are_one_peak_or_many():
    image = np.eye(*SHAPE, dtype=np.float32)
    assert len(detect_peaks(image, settings=DetectionSettings(connectivity=8)).points) == 1
    assert len(detect_peaks(image, settings=DetectionSettings(connectivity=4)).points) == SHAPE[0]


def test_components_are_cut_by_boundaries_and_counted_from_the_threshold_on():
    classification, boundary = np.zeros((2, *SHAPE), np.float32)
    classification[2:8, 2:8] = 0.9
    boundary[2:8, 4] = 0.8  # Leaves 6 x 2 and 6 x 3 pixels.
    classification[10:12, 15:20] = 0.7  # 10 pixels.
    classification[5, 15] = 1.0
    classification[3, 4] = 0.5  # Half is not cell.

    def detect(area_threshold):
        options = {"area_threshold": area_threshold, "connectivity": 8}
        return detect_components(classification, boundary, **options)

    found = detect(10)
    np.testing.assert_allclose(found.points, [[4.5, 2.5], [4.5, 6], [10.5, 17]])
    np.testing.assert_allclose(found.values, [0.9, 0.9, 0.7])
    np.testing.assert_array_equal(np.bincount(found.markers.ravel())[1:], [12, 18, 10])
    assert [len(detect(threshold).points) for threshold in (1, 2, 13, 19)] == [4, 3, 1, 0]
    with pytest.raises(ValueError, match="boundary has"):
        detect_components(classification, boundary[1:], area_threshold=1, connectivity=8)


def test_the_maps_decide_which_rule_of_the_paper_detects():
    names = ("inner", "outer", "classification", "boundary")
    at = {name: np.zeros(SHAPE, np.float32) for name in names}
    for place, name in enumerate(names[:3]):
        at[name][2 * place, 0] = 0.9

    def place_of(*tasks):
        maps = DistanceMaps(**{task: at[task] for task in tasks})  # type: ignore[arg-type]
        return detect_cells(maps, settings=SETTINGS, area_threshold=1).points.tolist()

    assert place_of(*names) == place_of("inner") == [[0, 0]]
    assert place_of("inner", "outer") == place_of("classification", "inner") == [[0, 0]]
    assert place_of("outer") == [[2, 0]]
    assert place_of("classification") == place_of("classification", "boundary") == [[4, 0]]
    # The two differ in what becomes of a pixel below one half.
    at["classification"][9, 9] = 0.4
    assert place_of("classification") == [[4, 0], [9, 9]]
    assert place_of("classification", "boundary") == [[4, 0]]
    with pytest.raises(ValueError, match="neither inner"):
        place_of("boundary")


@pytest.mark.parametrize("settings", [{"h": 0.0}, {"h": float("nan")}, {"floor": -1.0}, {"connectivity": 6}])
def test_settings_out_of_range_are_refused(settings):
    (name,) = settings
    with pytest.raises(InputError, match=f"DetectionSettings.{name} is"):
        DetectionSettings(**settings)
