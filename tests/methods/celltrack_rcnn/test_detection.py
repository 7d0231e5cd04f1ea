"""Cells of frames with a tiny random network: what is found, and what is given, in slots of few sizes."""

import dataclasses

import jax
import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn import detection
from cellmotion_jax.methods.celltrack_rcnn.detection import (
    RCNNSettings,
    cells_of_mask,
    find_cells,
    slots_for,
)
from cellmotion_jax.methods.celltrack_rcnn.segmenter import RCNNSegmenter
from cellmotion_jax.ops.labels import tight_boxes
from tests.rcnn_models import SHAPE, tiny_model
from tests.rcnn_movies import picture, tracks_at

MODEL = tiny_model()
ALL = RCNNSettings(score=0.0, proposals=50)
"""Whatever the network proposes is a cell."""


def squares(count):
    """Cells of 2 x 2 pixels in rows."""
    labels = np.zeros(SHAPE, np.int32)
    for cell in range(count):
        row, column = divmod(cell, 32)
        labels[3 * row : 3 * row + 2, 3 * column : 3 * column + 2] = cell + 1
    return labels


def check_consistent(found, shape=SHAPE):
    cells = len(found.boxes)
    assert found.labels.shape == shape
    assert found.labels.dtype == np.int32
    np.testing.assert_array_equal(np.unique(found.labels[found.labels > 0]), np.arange(1, cells + 1))
    assert found.boxes.shape == (cells, 4)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert found.scores.shape == (cells,)
    for embedding in found.embeddings:
        assert embedding.shape == (slots_for(cells), 8)
        assert np.isfinite(embedding).all()


@pytest.mark.parametrize("count", [0, 1, 16, 17, 500])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_given_cells_are_numbered_and_embedded(count, dtype):
    labels = squares(count)
    image = picture(labels).astype(np.float64)
    found = cells_of_mask(MODEL, (image / image.max() * 250).astype(dtype), 3 * labels)
    check_consistent(found)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.boxes, tight_boxes(labels, np.arange(1, count + 1)))
    assert (found.scores == 1).all()


def test_every_number_of_slots_is_compiled_once():
    before = detection._embed._cache_size()
    for count in (0, 2, 5, 16, 17, 20, 32, 300, 400, 500):
        cells_of_mask(MODEL, picture(squares(count)), squares(count))
    assert detection._embed._cache_size() - before <= 3
    assert {slots_for(count) for count in range(513)} == {16, 32, 64, 128, 256, 512}
    assert all(slots_for(count) >= count for count in range(600))


def test_more_slots_change_no_embedding(monkeypatch):
    labels, image = tracks_at(2), picture(tracks_at(2))
    few = cells_of_mask(MODEL, image, labels)
    monkeypatch.setattr(detection, "FEWEST_SLOTS", 32)
    many = cells_of_mask(MODEL, image, labels)
    for ours, theirs in zip(few.embeddings, many.embeddings):
        assert len(theirs) == 32
        np.testing.assert_allclose(ours[:4], theirs[:4], rtol=1e-4, atol=1e-4)


def test_an_embedding_depends_on_the_cell_and_on_its_neighbours():
    labels, image = tracks_at(2), picture(tracks_at(2))
    whole = cells_of_mask(MODEL, image, labels)
    alone = cells_of_mask(MODEL, image, np.where(labels == 1, 1, 0))
    np.testing.assert_allclose(whole.embeddings.visual[0], alone.embeddings.visual[0], rtol=1e-4, atol=1e-4)
    assert not np.allclose(whole.embeddings.spatial[0], alone.embeddings.spatial[0], atol=1e-3)
    assert not np.allclose(whole.embeddings.visual[0], whole.embeddings.visual[1], atol=1e-3)


def test_without_a_spatial_head_there_is_no_spatial_embedding():
    found = cells_of_mask(tiny_model(spatial=False), picture(tracks_at(0)), tracks_at(0))
    assert found.embeddings.spatial is None
    assert found.embeddings.visual.shape == (16, 8)


def test_found_cells_are_consistent():
    found = find_cells(MODEL, picture(tracks_at(0)), settings=ALL)
    check_consistent(found)
    assert len(found.boxes) > 3
    # The most probable first; boxes within the frame.
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.boxes >= 0) & (found.boxes <= [*SHAPE, *SHAPE])).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


@pytest.mark.parametrize("changes", [{"score": 1.0}, {"mask": 1.0}, {"smallest_area": 10**6}])
def test_no_cell_may_be_found(changes):
    found = find_cells(MODEL, picture(tracks_at(0)), settings=dataclasses.replace(ALL, **changes))
    check_consistent(found)
    assert not len(found.boxes)
    assert not found.labels.any()


def test_settings_of_finding_need_no_new_program():
    find_cells(MODEL, picture(tracks_at(0)), settings=ALL)
    programs = detection._detect._cache_size()
    for changes in ({"score": 0.3}, {"overlap": 0.1}, {"covered": 0.9}, {"mask": 0.2}, {"smallest_area": 30}):
        find_cells(MODEL, picture(tracks_at(0)), settings=dataclasses.replace(ALL, **changes))
    assert detection._detect._cache_size() == programs
    # Of up to 50 cells there are slots for 16, 32 and 64.
    assert detection._masks._cache_size() <= 3


def test_settings_do_what_they_say():
    every = find_cells(MODEL, picture(tracks_at(0)), settings=ALL)

    def found(**changes):
        return find_cells(MODEL, picture(tracks_at(0)), settings=dataclasses.replace(ALL, **changes))

    bound = float(np.median(every.scores))
    assert (found(score=bound).scores > bound).all()
    assert 0 < len(found(score=bound).scores) < len(every.scores)
    areas = np.bincount(found(smallest_area=100).labels.ravel())[1:]
    assert (areas >= 100).all()
    assert len(found(covered=0.0).scores) < len(found(covered=1.0, overlap=1.0).scores)


@pytest.mark.parametrize(("shape", "scale"), [((31, 71), 1.0), ((90, 141), 0.5)])
def test_frames_of_any_size_at_any_scale(shape, scale):
    """Both are padded to the images of the other tests."""
    labels = np.zeros(shape, np.int32)
    labels[5:19, 9:27], labels[22:30, 3:13] = 2, 5
    model = dataclasses.replace(MODEL, scale=scale)
    found = cells_of_mask(model, picture(labels), labels)
    check_consistent(found, shape)
    assert found.boxes.tolist() == [[5, 9, 19, 27], [22, 3, 30, 13]]
    found = find_cells(model, picture(labels), settings=ALL)
    check_consistent(found, shape)
    assert len(found.boxes)
    assert (found.boxes <= [*shape, *shape]).all()


def test_at_another_scale_a_larger_cell_has_the_same_embedding():
    labels = tracks_at(2)
    large = np.kron(labels, np.ones((2, 2), np.int32))
    half = dataclasses.replace(MODEL, scale=0.5)
    image = (labels > 0).astype(np.float32)
    few = cells_of_mask(MODEL, image, labels)
    many = cells_of_mask(half, np.kron(image, np.ones((2, 2), np.float32)), large)
    np.testing.assert_array_equal(many.boxes, 2 * few.boxes)
    np.testing.assert_allclose(many.embeddings.spatial[:4], few.embeddings.spatial[:4], rtol=1e-3, atol=1e-3)
    scale = np.abs(few.embeddings.visual[:4]).max()
    np.testing.assert_allclose(many.embeddings.visual[:4], few.embeddings.visual[:4], atol=0.2 * scale)


def test_what_is_no_frame_or_no_label_image_is_refused():
    labels, image = tracks_at(0), picture(tracks_at(0)).astype(float)
    with pytest.raises(ValueError, match=r"labels have shape \(64, 90\), but the image has \(64, 96\)"):
        cells_of_mask(MODEL, image, labels[:, :90])
    with pytest.raises(InputError, match="holds label -1"):
        cells_of_mask(MODEL, image, labels - 1)
    image[3, 3] = np.nan
    for call in (
        lambda: cells_of_mask(MODEL, image, labels),
        lambda: find_cells(MODEL, image, settings=ALL),
    ):
        with pytest.raises(InputError, match="NaN or infinite"):
            call()


def test_the_segmenter_gives_every_frame_with_its_centroids():
    segmenter = RCNNSegmenter(model=MODEL, settings=ALL)
    images = [picture(tracks_at(frame)) for frame in (0, 1)]
    for image, cells in zip(images, segmenter.segment(image[..., None] for image in images), strict=True):
        found = find_cells(MODEL, image, settings=ALL)
        np.testing.assert_array_equal(cells.labels, found.labels)
        np.testing.assert_array_equal(cells.scores, found.scores)
        for number, point in enumerate(cells.points, start=1):
            np.testing.assert_allclose(point, np.mean(np.nonzero(found.labels == number), axis=1))
    assert (segmenter.channels, segmenter.frames_before, segmenter.stricter) == (1, 0, "score")
    assert segmenter.cell_diameter == 12.0
    assert dataclasses.replace(segmenter, model=dataclasses.replace(MODEL, scale=0.5)).cell_diameter == 24.0
    strict = segmenter.with_settings(RCNNSettings(score=1.0, proposals=50))
    assert [len(cells.points) for cells in strict.segment(image[..., None] for image in images)] == [0, 0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score": 1.5}, "score is 1.5"),
        ({"proposals": 0}, "proposals is 0"),
        ({"smallest_area": 0}, "area is 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        RCNNSettings(**changes)


def test_the_same_frame_gives_the_same_cells():
    first, second = (find_cells(MODEL, picture(tracks_at(0)), settings=ALL) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)
