"""From maps to cells on the grid of the image, and images that cannot be used."""

import numpy as np
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import PAPER_TILING, Tiling
from cellmotion_jax.methods.deep_distance.cells import find_cells, predict_maps, segment_cells
from cellmotion_jax.methods.deep_distance.detection import Detections, detect_cells
from cellmotion_jax.metrics import segmentation_counts
from cellmotion_jax.models.deep_distance import DeepDistance, DistanceMaps, Task
from cellmotion_jax.morphology import distance_targets, grow_markers
from tests.cell_models import SHAPE, Brightness, cell_model, tiny_cell_model

CENTRES = np.array([[14.0, 20.0], [38.0, 63.0], [45.0, 15.0], [20.0, 48.0]])


def image_of_blobs(centres=CENTRES, shape=SHAPE, width=5.0):
    """Bright discs with a peak in the middle, cut off where the image ends."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance = np.min([np.hypot(rows - y, columns - x) for y, x in centres], axis=0)
    return (1000 + 5000 * np.maximum(0, 1 - distance / (2 * width))).astype(np.uint16)[..., None]


def label_image_of_discs(centres=CENTRES, shape=SHAPE, radius=9):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for label, (y, x) in enumerate(centres, start=1):
        labels[np.hypot(rows - y, columns - x) <= radius] = label
    return labels


@pytest.mark.parametrize("downsample", [1, 3])
def test_cells_are_found_where_they_are_on_the_grid_of_the_image(downsample):
    image = image_of_blobs()
    cells = find_cells(cell_model(downsample=downsample), image, segment=True)
    assert len(cells.points) == len(CENTRES)
    nearest = np.linalg.norm(cells.points[:, None] - CENTRES, axis=-1)
    assert np.all(nearest.min(axis=0) <= 0.5 * downsample)
    assert sorted(nearest.argmin(axis=1)) == [0, 1, 2, 3]
    assert cells.maps.inner.shape == (SHAPE[0] // downsample, SHAPE[1] // downsample)
    assert cells.maps.boundary is None
    assert cells.labels.shape == image.shape[:2]
    assert cells.labels.dtype == np.int32
    for label, point in enumerate(cells.points, start=1):
        outline = np.argwhere(cells.labels == label)
        assert 4 * downsample < np.sqrt(4 / np.pi * len(outline)) < 24
        np.testing.assert_allclose(outline.mean(axis=0), point, atol=downsample)


def test_points_are_the_same_without_outlines():
    with_outlines, without = (find_cells(cell_model(), image_of_blobs(), segment=s) for s in (True, False))
    assert without.labels is None
    np.testing.assert_array_equal(without.points, with_outlines.points)


def test_targets_of_known_cells_give_the_cells_back():
    """Shapes that touch, cut and detected from their own distance maps, come out whole and in order."""
    centres = np.concatenate([CENTRES, [[54.0, 63.0], [3.0, 66.0]]])
    truth = label_image_of_discs(centres)
    targets = distance_targets(truth, boundary_width=2.0)
    maps = DistanceMaps(targets.inner, targets.outer, targets.classification.astype(np.float32))
    model = cell_model(cell_diameter=18.0, boundary_width=2.0)
    found = detect_cells(maps, settings=model.detection, area_threshold=1)
    assert len(found.points) == len(centres)
    labels = segment_cells(model, maps, found)
    assert segmentation_counts(labels, truth, thresholds=(0.85,)).f_score == [1.0]
    for label, point in enumerate(found.points.round().astype(int), start=1):
        assert labels[tuple(point)] == label
    # The paper's growth ends a ring early, on the same cells.
    by_paper = segment_cells(model, maps, found, grow=grow_markers)
    assert np.count_nonzero(by_paper) < np.count_nonzero(labels)
    assert not np.any((by_paper != labels) & (by_paper > 0) & (labels > 0))


def test_a_detection_without_room_for_a_cell_keeps_its_number():
    truth = label_image_of_discs(CENTRES[:2])
    targets = distance_targets(truth)
    outer = np.where(truth == 2, targets.outer, 0).astype(np.float32)  # The first is detected, not outlined.
    maps = DistanceMaps(targets.inner, outer, (truth == 2).astype(np.float32))
    model = cell_model(cell_diameter=18.0)
    found = detect_cells(maps, settings=model.detection, area_threshold=1)
    labels = segment_cells(model, maps, found)
    assert len(found.points) == 2
    assert np.unique(labels).tolist() == [0, 1 + found.points[:, 1].argmax()]


def test_sizes_of_the_paper_hold_for_cells_as_wide_as_the_papers():
    """A marker of 49 pixels is dropped and one of 50 is kept; for cells of 6 pixels both are large."""
    markers, classification = np.zeros((100, 100), np.int32), np.zeros((100, 100), np.float32)
    markers[10:17, 10:17] = 1
    markers[40:45, 40:50] = 2
    classification[3:24, 3:24] = classification[34:62, 34:62] = 1
    classification[50, 62:68] = 1  # A spur, which the majority filter of wide cells removes.
    maps = DistanceMaps(outer=np.zeros((100, 100), np.float32), classification=classification)
    found = Detections(np.zeros((2, 2)), np.ones(2), markers)
    for diameter, kept, spur in ((60.0, [0, 2], False), (6.0, [0, 1, 2], True)):
        labels = segment_cells(cell_model(cell_diameter=diameter, boundary_width=0.0), maps, found)
        assert np.unique(labels).tolist() == kept
        assert labels[50, 61] == 2
        assert labels[50, 64:].any() == spur


def test_every_tiling_gives_about_the_same_maps_of_a_real_network():
    model = tiny_cell_model()
    image = image_of_blobs()
    whole = predict_maps(model, image)
    tiled = predict_maps(model, image, tiling=Tiling(tile=72, margin=24, batch_size=2))
    paper = predict_maps(model, image, tiling=PAPER_TILING)
    assert np.ptp(whole.inner) > 0.05
    np.testing.assert_allclose(tiled.inner, whole.inner, atol=1e-5)
    # Without margins the zeros beyond the tile show, but only near the border.
    np.testing.assert_allclose(paper.inner[24:40, 24:56], whole.inner[24:40, 24:56], atol=1e-5)


def test_brightness_and_contrast_of_the_whole_image_do_not_matter():
    model = tiny_cell_model()
    image = image_of_blobs().astype(np.float64)
    np.testing.assert_allclose(
        predict_maps(model, 300 + 0.01 * image).inner, predict_maps(model, image).inner, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("shape", [(1, 1), (5, 90)])
def test_images_smaller_than_a_tile_are_used_as_they_are(shape):
    cells = find_cells(tiny_cell_model(), image_of_blobs(shape=shape), segment=True)
    assert cells.labels.shape == cells.maps.outer.shape == shape


def test_an_image_without_structure_has_no_cell():
    cells = find_cells(cell_model(), np.full((*SHAPE, 1), 7, np.uint8), segment=True)
    assert cells.points.shape == (0, 2)
    assert not cells.labels.any()


def test_images_that_do_not_suit_the_network_are_refused():
    with pytest.raises(
        InputError, match="the image has 3 channels, but the network was trained on images of 1"
    ):
        predict_maps(cell_model(), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="the image has 3 x 9 pixels"):
        predict_maps(cell_model(downsample=4), np.zeros((3, 9, 1), np.uint8))
    with pytest.raises(ValueError, match=r"image must have the axes \[y x channel\]"):
        predict_maps(cell_model(), np.zeros((8, 8), np.uint8))
    image = np.zeros((8, 8, 1), np.float32)
    image[2, 3] = np.nan
    with pytest.raises(InputError, match="row 2, column 3"):
        find_cells(cell_model(), image, segment=False)


def test_outlines_are_refused_to_networks_that_have_not_learned_them():
    model = cell_model(Brightness(tasks=(Task.inner, Task.outer), depth=2))
    assert not model.can_segment
    with pytest.raises(InputError, match="outer and classification, not inner, outer"):
        find_cells(model, image_of_blobs(), segment=True)
    assert len(find_cells(model, image_of_blobs(), segment=False).points) == len(CENTRES)
    assert cell_model(DeepDistance(tasks=(Task.outer, Task.classification))).can_segment
