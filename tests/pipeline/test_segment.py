"""Masks and tables of a movie: one of each frame, agreeing with each other, and streamed."""

import csv
import dataclasses

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deep_distance.cells import find_cells
from cellmotion_jax.methods.deep_distance.segmenter import DeepDistanceSegmenter, DeepDistanceSettings
from cellmotion_jax.models.deep_distance import Task
from cellmotion_jax.pipeline.segment import segment_movie
from tests.cell_models import SHAPE, Brightness, cell_model


def segmenter(model):
    return DeepDistanceSegmenter(model=model, settings=DeepDistanceSettings(detection=model.detection))


PLACES = ([(10, 12)], [], [(10, 12), (30, 40)], [(31, 41), (11, 13)])


def frame_of(places):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 100, np.uint16)
    for y, x in places:
        image += (4000 * np.maximum(0, 1 - np.hypot(rows - y, columns - x) / 8)).astype(np.uint16)
    return image


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "cells.tif"
    tifffile.imwrite(path, np.stack([frame_of(places) for places in PLACES]), photometric="minisblack")
    return path


def rows_of(folder):
    with (folder / "detections.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_masks_and_table_say_the_same(stack, tmp_path):
    result = segment_movie(open_movie(stack, pixel_size_um=0.5), segmenter(cell_model()), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("mask*")) == [f"mask00{t}.tif" for t in range(4)]
    rows = rows_of(tmp_path)
    assert list(rows[0]) == ["frame", "label", "y", "x", "score", "area_px2", "y_um", "x_um", "area_um2"]
    assert result.frames == 4
    assert result.detections == len(rows) == 5
    for t, places in enumerate(PLACES):
        mask = tifffile.imread(tmp_path / f"mask00{t}.tif")
        assert (mask.shape, mask.dtype) == (SHAPE, np.uint16)
        of_frame = [row for row in rows if row["frame"] == str(t)]
        assert [row["label"] for row in of_frame] == [str(i + 1) for i in range(len(places))]
        assert sorted(np.unique(mask)) == list(range(len(places) + 1))
        for row in of_frame:
            point = np.array([float(row["y"]), float(row["x"])])
            assert min(np.hypot(*(point - place)) for place in places) < 0.5
            area = np.count_nonzero(mask == int(row["label"]))
            assert int(row["area_px2"]) == area > 20
            assert float(row["score"]) > 0.2
            np.testing.assert_allclose([float(row["y_um"]), float(row["x_um"])], point * 0.5, rtol=1e-5)
            assert float(row["area_um2"]) == pytest.approx(area * 0.25)


def test_the_first_the_middle_and_the_last_frame_are_for_show(stack, tmp_path):
    movie, model = open_movie(stack), cell_model()
    shown = segment_movie(movie, segmenter(model), tmp_path).shown
    assert [frame.name for frame in shown] == [f"cells.tif page {t}" for t in (0, 2, 3)]
    last = find_cells(model, movie[3][..., None], segment=True)
    np.testing.assert_array_equal(shown[2].image, movie[3])
    np.testing.assert_array_equal(shown[2].points, last.points)
    np.testing.assert_array_equal(shown[2].labels, last.labels)


def test_a_network_without_outlines_gives_detections_only(stack, tmp_path):
    model = cell_model(Brightness(tasks=(Task.inner,), depth=2))
    result = segment_movie(open_movie(stack), segmenter(model), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["detections.csv"]
    rows = rows_of(tmp_path)
    assert list(rows[0]) == ["frame", "label", "y", "x", "score", "area_px2"]
    assert [row["area_px2"] for row in rows] == [""] * 5
    assert result.shown[0].labels is None


@pytest.mark.parametrize(("digits", "named"), [(3, "mask000.tif"), (4, "mask0000.tif")])
def test_masks_have_the_digits_of_the_frames(tmp_path, digits, named):
    (tmp_path / "frames").mkdir()
    tifffile.imwrite(tmp_path / "frames" / f"t{0:0{digits}d}.tif", frame_of(PLACES[0]))
    (tmp_path / "out").mkdir()
    segment_movie(open_movie(tmp_path / "frames"), segmenter(cell_model()), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("mask*")] == [named]


def test_no_frame_is_kept_longer_than_it_is_needed(stack, tmp_path):
    """Frames are asked for once, in order, and only when the frame before is written."""
    asked = []

    @dataclasses.dataclass(frozen=True, eq=False)
    class Watched(Movie):
        def __getitem__(self, frame):
            asked.append((int(frame), len(list(tmp_path.glob("mask*")))))
            return super().__getitem__(frame)

    movie = open_movie(stack)
    fields = {field.name: getattr(movie, field.name) for field in dataclasses.fields(movie)}
    segment_movie(Watched(**fields), segmenter(cell_model()), tmp_path)
    assert asked == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_frame_that_cannot_be_used_is_named(tmp_path):
    frames = np.stack([frame_of(places).astype(np.float32) for places in PLACES[:2]])
    frames[1, 4, 5] = np.nan
    tifffile.imwrite(tmp_path / "bad.tif", frames, photometric="minisblack")
    with pytest.raises(InputError, match=r"bad.tif, bad.tif page 1: .*NaN .*row 4, column 5"):
        segment_movie(open_movie(tmp_path / "bad.tif"), segmenter(cell_model()), tmp_path)
