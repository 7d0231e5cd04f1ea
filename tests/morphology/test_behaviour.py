import dataclasses

import numpy as np
import pytest

from cellmotion_jax.morphology.behaviour import cell_table
from cellmotion_jax.morphology.cell_shapes import cell_shapes
from cellmotion_jax.morphology.protrusions import find_protrusions
from tests.label_images import discs

SHAPE = (60, 80)
# The cells change their labels in the second frame.
MASKS = [
    discs(SHAPE, (15, 20, 8), (40, 30, 12)),
    discs(SHAPE, (40, 33, 12), (15, 20, 8)),
    discs(SHAPE, (15, 20, 8), (40, 36, 12)),
]
TRACKS = [np.array([4, 2]), np.array([2, 4]), np.array([4, 2])]
SHAPES = [cell_shapes(mask) for mask in MASKS]


def test_rows_follow_the_tracks():
    table = cell_table(SHAPES, TRACKS)
    assert table.track.tolist() == [2, 2, 2, 4, 4, 4]
    assert table.frame.tolist() == [0, 1, 2, 0, 1, 2]
    assert table.label.tolist() == [2, 1, 2, 1, 2, 1]
    np.testing.assert_allclose(table.x, [30, 33, 36, 20, 20, 20])
    assert len(set(table.area[:3].tolist())) == 1 < len(set(table.area.tolist()))
    np.testing.assert_allclose(table.speed, [np.nan, 3, 3, np.nan, 0, 0])
    np.testing.assert_allclose(table.heading, [np.nan, 0, 0, *[np.nan] * 3])
    np.testing.assert_allclose(table.turning, [np.nan, np.nan, 0, *[np.nan] * 3])
    assert np.isnan(table.protrusions).all()
    assert table.speed_unit == "px/frame"


def test_speed_is_in_micrometres_per_minute_where_both_scales_are_known():
    table = cell_table(SHAPES, TRACKS, pixel_size_um=0.5, frame_interval_s=300.0)
    assert table.speed_unit == "um/min"
    np.testing.assert_allclose(table.speed[1:3], 3 * 0.5 / 5)
    assert cell_table(SHAPES, TRACKS, pixel_size_um=0.5).speed_unit == "px/frame"


def test_protrusions_stand_beside_their_cells():
    mask = MASKS[0].copy()
    mask[40, 42:70] = 2
    mask[41, 42:70] = 2
    tips = [find_protrusions(labels, pixel_size_um=1.0) for labels in (mask, *MASKS[1:])]
    table = cell_table([cell_shapes(mask), *SHAPES[1:]], TRACKS, protrusions=tips)
    assert table.protrusions.tolist() == [1, 0, 0, 0, 0, 0]
    assert 35 < table.longest_protrusion_from_centre_um[0] < 42
    assert not table.longest_protrusion_from_centre_um[1:].any()


def test_frames_without_cells():
    nothing = cell_shapes(np.zeros(SHAPE, int))
    table = cell_table([nothing, SHAPES[0]], [np.zeros(0, int), TRACKS[0]])
    assert table.frame.tolist() == [1, 1]
    empty = cell_table([nothing], [np.zeros(0, int)])
    columns = [
        getattr(empty, field.name) for field in dataclasses.fields(empty) if field.name != "speed_unit"
    ]
    assert len(empty) == 0
    assert all(column.shape == (0,) for column in columns)
    assert len(cell_table([], [])) == 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="there are shapes of 3 frames, tracks of 2"):
        cell_table(SHAPES, TRACKS[:2])
    with pytest.raises(ValueError, match=r"a cell of frame 1 has no track; tracks has shape \(1,\) there"):
        cell_table(SHAPES, [TRACKS[0], TRACKS[1][:1], TRACKS[2]])
    tips = [find_protrusions(labels, pixel_size_um=1.0) for labels in (MASKS[0], MASKS[1] * 2, MASKS[2])]
    with pytest.raises(ValueError, match="protrusions of frame 1 are of other cells"):
        cell_table(SHAPES, TRACKS, protrusions=tips)
    with pytest.raises(ValueError, match="pixel_size_um is 0; it is positive"):
        cell_table(SHAPES, TRACKS, pixel_size_um=0.0)
