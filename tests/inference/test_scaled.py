"""A segmenter at another scale finds the same cells at the same places of the frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.scaled import ScaledSegmenter, at_cell_diameter
from tests.pipeline.threshold_segmenter import ThresholdSegmenter, ThresholdSettings


def blobs(centres, *, radius, shape):
    y, x = np.indices(shape)
    frame = np.zeros(shape)
    for row, column in centres:
        frame[np.hypot(y - row, x - column) < radius] = 255.0
    return frame[..., None]


def test_at_scale_1_nothing_changes():
    frame = blobs([(10, 12), (30, 40)], radius=6, shape=(48, 64))
    plain, scaled = (
        next(segmenter.segment([frame]))
        for segmenter in (ThresholdSegmenter(), ScaledSegmenter(segmenter=ThresholdSegmenter(), scale=1.0))
    )
    for here, there in zip(plain, scaled):
        np.testing.assert_array_equal(here, there)


@settings(max_examples=20)
@given(st.floats(0.5, 3.0), st.integers(0, 9), st.integers(0, 9))
def test_cells_are_where_they_were_at_any_scale(scale, down, across):
    centres = np.array([(14 + down, 15 + across), (40 + across, 52 + down)], float)
    frame = blobs(centres, radius=8, shape=(67, 81))
    cells = next(ScaledSegmenter(segmenter=ThresholdSegmenter(), scale=scale).segment([frame]))
    assert cells.labels.shape == (67, 81)
    np.testing.assert_allclose(cells.points, centres, atol=0.6)
    overlap = np.count_nonzero((cells.labels > 0) & (frame[..., 0] > 0))
    assert overlap / np.count_nonzero((cells.labels > 0) | (frame[..., 0] > 0)) > 0.75


def test_the_scale_brings_cells_to_the_size_of_the_training():
    segmenter = at_cell_diameter(ThresholdSegmenter(cell_diameter=10.0), 25.0)
    assert segmenter.scale == pytest.approx(0.4)
    assert segmenter.cell_diameter == pytest.approx(25.0)
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="cell-diameter"):
            at_cell_diameter(ThresholdSegmenter(), wrong)
    with pytest.raises(InputError, match="does not say how large"):
        at_cell_diameter(ThresholdSegmenter(cell_diameter=None), 10.0)


def test_settings_and_needs_are_those_of_the_model():
    inner = ThresholdSegmenter(frames_before=3)
    scaled = ScaledSegmenter(segmenter=inner, scale=2.0).with_settings(ThresholdSettings(threshold=7.0))
    assert scaled.settings.threshold == 7.0
    assert (scaled.channels, scaled.frames_before, scaled.stricter) == (1, 3, "threshold")


def test_points_without_outlines_are_scaled_as_well():
    frame = blobs([(20, 30)], radius=6, shape=(48, 64))
    cells = next(ScaledSegmenter(segmenter=ThresholdSegmenter(outlines=False), scale=2.0).segment([frame]))
    assert cells.labels is None
    np.testing.assert_allclose(cells.points, [(20, 30)], atol=0.3)


def test_a_scale_that_would_not_fit_into_the_memory_is_refused():
    with pytest.raises(InputError, match="state the diameter of the cells"):
        next(ScaledSegmenter(segmenter=ThresholdSegmenter(), scale=1e4).segment([np.zeros((64, 64, 1))]))
