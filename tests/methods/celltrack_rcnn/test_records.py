"""Windows of pairs of frames hold what the frames hold, in numbers of their own."""

import itertools

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.pipeline import gather
from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn import records
from cellmotion_jax.methods.celltrack_rcnn.pairs import UNKNOWN, adjacent_pairs, read_pairs
from cellmotion_jax.methods.celltrack_rcnn.records import WindowSettings, window_source
from tests.rcnn_models import SHAPE
from tests.rcnn_movies import write_movie


def settings(**changes):
    return WindowSettings(**({"scale": 1.0, "window": 40, "stride": 30, "cells": 8} | changes))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return adjacent_pairs(write_movie(tmp_path_factory.mktemp("movie")))


@pytest.fixture(scope="module")
def windows(pairs, tmp_path_factory):
    return window_source(pairs, settings(), data_dir=tmp_path_factory.mktemp("windows"))


@pytest.fixture
def builds(monkeypatch):
    """The pairs of every preparation that took place."""
    made, real = [], records.read_pairs

    def counted(pairs, *, scale):
        made.append(len(pairs))
        return real(pairs, scale=scale)

    monkeypatch.setattr(records, "read_pairs", counted)
    return made


def starts():
    """Rows and columns at which the windows of a frame of 64 x 96 pixels begin."""
    return list(itertools.product((0, 24), (0, 30, 56)))


def test_windows_are_parts_of_both_frames_in_the_order_of_pairs(pairs, windows):
    number = 0
    for earlier, later, source in read_pairs(pairs, scale=1.0):
        for top, left in starts():
            part = np.s_[top : top + 40, left : left + 40]
            if not (earlier.number[part].any() or later.number[part].any()):
                continue
            window = windows[number]
            number += 1
            kept = []
            for index, frame in enumerate((earlier, later)):
                np.testing.assert_allclose(window["image"][index], frame.image[part], rtol=1e-3, atol=1e-4)
                found, truth = window["number"][index], frame.number[part]
                np.testing.assert_array_equal(found > 0, truth > 0)
                # Every cell has one number, and its centre and its place are at it.
                cells = np.unique(truth[truth > 0])
                names = {int(cell): int(found[truth == cell][0]) for cell in cells}
                for cell, name in names.items():
                    assert np.array_equal(found == name, truth == cell)
                    centre = frame.centre[cell - 1] - (top, left)
                    np.testing.assert_allclose(window["centre"][index, name - 1], centre, atol=1e-5)
                assert sorted(names.values()) == list(range(1, len(cells) + 1))
                assert window["present"][index].tolist() == [i < len(cells) for i in range(8)]
                # Those next to the middle come first.
                away = np.linalg.norm(window["centre"][index, : len(cells)] - 20, axis=-1)
                assert (np.diff(away) >= 0).all()
                kept.append(names)
            for cell, name in kept[1].items():
                assert window["source"][name - 1] == kept[0].get(int(source[cell - 1]), 0)
            assert not window["source"][len(kept[1]) :].any()
    assert number == len(windows)
    with pytest.raises(IndexError):
        windows[number]


def test_windows_cover_the_frame(pairs, windows):
    covered = np.zeros(SHAPE, bool)
    for top, left in starts():
        covered[top : top + 40, left : left + 40] = True
    assert covered.all()
    # All cells are in some window of their pair.
    assert sum(window["present"].sum() for window in windows) >= sum(
        len(earlier.track) + len(later.track) for earlier, later, _ in read_pairs(pairs, scale=1.0)
    )


def test_windows_make_batches(windows):
    batch = gather(windows, np.array([[0, 3], [2, 3]]))
    assert {name: (array.shape, array.dtype) for name, array in batch.items()} == {
        "image": ((2, 2, 2, 40, 40), np.float32),
        "number": ((2, 2, 2, 40, 40), np.int32),
        "centre": ((2, 2, 2, 8, 2), np.float32),
        "present": ((2, 2, 2, 8), np.bool_),
        "source": ((2, 2, 8), np.int32),
    }


def test_cells_beyond_the_limit_are_not_known(pairs, tmp_path):
    few = window_source(pairs, settings(window=96, stride=96, cells=2), data_dir=tmp_path)
    all_ = window_source(pairs, settings(window=96, stride=96, cells=254), data_dir=tmp_path)
    assert len(few) == len(all_) == 3
    for window, whole in zip(few, all_):
        assert window["present"].all()
        for index in (0, 1):
            number, wanted = window["number"][index], whole["number"][index]
            np.testing.assert_array_equal(number, np.where(wanted <= 2, wanted, UNKNOWN))


def test_a_cell_whose_source_is_left_out_has_none(tmp_path):
    """In the first frame cell 2 is next to the middle, in the others cell 1."""
    labels = np.zeros((3, 24, 24), int)
    labels[0, 2:8, 2:8], labels[0, 10:14, 10:14] = 1, 2
    labels[1:, 10:14, 10:14], labels[1:, 2:8, 2:8] = 1, 2
    tracks = TrackTable(*np.array([(1, 0, 2, 0), (2, 0, 2, 0)]).T)
    movie = write_movie(tmp_path / "movie", labels=labels, markers=labels, tracks=tracks)
    pairs = adjacent_pairs(movie)
    for cells, wanted in ((1, [[0], [1]]), (2, [[2, 1], [1, 2]])):
        source = window_source(pairs, settings(window=24, stride=24, cells=cells), data_dir=tmp_path)
        assert [window["source"].tolist() for window in source] == wanted


def test_beyond_a_smaller_frame_nothing_is_known(pairs, tmp_path):
    source = window_source(pairs, settings(window=128, stride=64), data_dir=tmp_path)
    assert len(source) == 3
    for window in source:
        inside = np.zeros((128, 128), bool)
        inside[:64, :96] = True
        np.testing.assert_array_equal(window["number"] == UNKNOWN, np.stack([~inside] * 2))
        assert not window["image"][:, ~inside].any()


def test_what_is_not_known_stays_so(tmp_path):
    labels = np.zeros((2, 30, 40), int)
    labels[:, 6:14, 6:16], labels[:, 18:24, 20:30] = 1, 2
    markers = np.where(labels == 1, 1, 0)
    images = write_movie(
        tmp_path / "movie",
        labels=labels,
        markers=markers,
        tracks=TrackTable(*np.array([(1, 0, 1, 0)]).T),
        margin=3,
    )
    (window,) = window_source(adjacent_pairs(images), settings(window=40), data_dir=tmp_path / "windows")
    known = np.zeros((40, 40), bool)
    known[3:27, 3:37] = True
    for number, truth in zip(window["number"], labels):
        wide = np.pad(truth, ((0, 10), (0, 0)))
        np.testing.assert_array_equal(number == UNKNOWN, ~known | (wide == 2))
        np.testing.assert_array_equal(number == 1, wide == 1)
    assert window["source"][0] == 1


def test_frames_are_brought_to_the_scale_of_the_network(pairs, tmp_path):
    source = window_source(pairs, settings(scale=0.5, window=48, stride=48), data_dir=tmp_path)
    assert len(source) == 3
    for (earlier, later, _), window in zip(read_pairs(pairs, scale=0.5), source):
        for frame, number, image in zip((earlier, later), window["number"], window["image"]):
            np.testing.assert_array_equal(
                (number > 0) & (number < UNKNOWN), np.pad(frame.number, ((0, 16), (0, 0))) > 0
            )
            np.testing.assert_allclose(image[:32], frame.image, rtol=1e-3, atol=1e-4)


def test_windows_are_prepared_once(pairs, tmp_path, builds):
    first, second = (window_source(pairs, settings(), data_dir=tmp_path) for _ in range(2))
    assert builds == [3]
    np.testing.assert_array_equal(first[1]["image"], second[1]["image"])
    for changes in ({"scale": 0.9}, {"window": 41}, {"stride": 29}, {"cells": 7}):
        window_source(pairs, settings(**changes), data_dir=tmp_path)
    assert builds == [3] * 5
    window_source(pairs[:2], settings(), data_dir=tmp_path)
    assert builds == [3] * 5 + [2]


def test_another_table_of_tracks_is_seen(tmp_path, builds):
    images = write_movie(tmp_path / "movie")
    pairs = adjacent_pairs(images)
    whole = settings(window=96)
    before = window_source(pairs, whole, data_dir=tmp_path / "windows")
    table = images[0].markers_file.parent / "man_track.txt"
    table.write_text("".join(f"{line.rsplit(' ', 1)[0]} 0\n" for line in table.read_text().splitlines()))
    after = window_source(pairs, whole, data_dir=tmp_path / "windows")
    assert builds == [3, 3]
    assert [int((window["source"] > 0).sum()) for window in before] == [2, 4, 4]
    assert [int((window["source"] > 0).sum()) for window in after] == [2, 2, 4]


def test_pairs_without_a_cell_are_refused(tmp_path):
    empty = np.zeros((2, 20, 20), int)
    pairs = adjacent_pairs(write_movie(tmp_path / "movie", labels=empty, markers=empty))
    with pytest.raises(InputError, match=r"^No cell is annotated in 1 pairs of frames from .*t000.tif on"):
        window_source(pairs, settings(), data_dir=tmp_path / "windows")


def test_a_damaged_frame_is_named_and_leaves_nothing(tmp_path):
    images = write_movie(tmp_path / "movie")
    tifffile.imwrite(images[2].image_file, np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(InputError, match=r"t002.tif holds pixels that are NaN or infinite"):
        window_source(adjacent_pairs(images), settings(), data_dir=tmp_path / "windows")
    assert [path for path in (tmp_path / "windows").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"cells": 255}, "cells is 255"), ({"window": 0}, "window is 0"), ({"scale": 0.0}, "scale is 0")],
)
def test_settings_out_of_range_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        settings(**changes)
