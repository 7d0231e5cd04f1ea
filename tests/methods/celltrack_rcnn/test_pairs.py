"""Adjacent annotated frames: the tracks of their cells, and where every cell comes from."""

import dataclasses
import itertools

import numpy as np
import pytest

from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_rcnn.pairs import (
    adjacent_pairs,
    read_pairs,
    sources,
    track_table,
    tracked_frame,
)
from tests.rcnn_movies import PATHS, table, tracks_at, write_movie


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_movie(tmp_path_factory.mktemp("movie"))


def place(tracks, track):
    """Number of the cell of a track, 0 if it is not there."""
    (found,) = np.nonzero(tracks == track)
    return int(found[0]) + 1 if len(found) else 0


def test_cells_are_those_of_the_label_image_with_their_tracks(images):
    for frame, image in enumerate(images):
        found = tracked_frame(image, scale=1.0)
        truth = tracks_at(frame)
        np.testing.assert_array_equal(np.concatenate([[0], found.track])[found.number], truth)
        np.testing.assert_array_equal(np.unique(found.number), np.arange(len(found.track) + 1))
        assert found.known.all()
        for track, centre in zip(found.track.tolist(), found.centre):
            y, x, _ = PATHS[track][frame]
            np.testing.assert_array_equal(centre, (y + 0.5, x + 0.5))


def test_a_frame_is_resized_with_all_it_holds(images):
    found = tracked_frame(images[2], scale=1.5)
    assert found.image.shape == found.number.shape == found.known.shape == (96, 144)
    for track, centre in zip(found.track.tolist(), found.centre):
        y, x, radius = PATHS[track][2]
        np.testing.assert_allclose(centre, (1.5 * (y + 0.5), 1.5 * (x + 0.5)), atol=0.6)
        area = np.count_nonzero(found.number == place(found.track, track))
        assert area == pytest.approx(np.pi * (1.5 * radius) ** 2, rel=0.1)


def test_the_track_of_a_cell_is_the_marker_with_which_it_shares_most_pixels(tmp_path):
    labels, markers = np.zeros((2, 20, 30), int), np.zeros((2, 20, 30), int)
    labels[:, 2:6, 2:12] = 3
    labels[:, 10:16, 2:12] = 9
    markers[:, 3:5, 2:5] = 6
    markers[:, 3:5, 5:11] = 2
    markers[:, 11, 3:7] = 1
    tracks = TrackTable(*np.array([(1, 0, 1, 0), (2, 0, 1, 0), (6, 0, 1, 0)]).T)
    (image, _) = write_movie(tmp_path, labels=labels, markers=markers, tracks=tracks)
    assert tracked_frame(image, scale=1.0).track.tolist() == [2, 1]


def test_of_what_the_tracking_does_not_know_it_is_not_known_what_it_is(tmp_path):
    """A cell without a marker, a marker without an outline, and the margin."""
    labels, markers = np.zeros((2, 30, 40), int), np.zeros((2, 30, 40), int)
    labels[:, 6:10, 6:16], markers[:, 7:9, 8:14] = 1, 1
    labels[:, 14:18, 6:16] = 2
    markers[:, 14:18, 24:30] = 3
    tracks = TrackTable(*np.array([(1, 0, 1, 0), (3, 0, 1, 0)]).T)
    (image, _) = write_movie(tmp_path, labels=labels, markers=markers, tracks=tracks, margin=2)
    found = tracked_frame(image, scale=1.0)
    np.testing.assert_array_equal(found.number, labels[0] == 1)
    assert found.track.tolist() == [1]
    unknown = (labels[0] == 2) | (markers[0] == 3)
    unknown[:2] = unknown[-2:] = unknown[:, :2] = unknown[:, -2:] = True
    np.testing.assert_array_equal(found.known, ~unknown)


def test_a_cell_that_vanishes_when_it_is_made_smaller_is_left_out(tmp_path):
    labels = np.zeros((2, 32, 32), int)
    labels[:, 4:20, 4:20] = 1
    labels[:, 25, 25] = 2
    tracks = TrackTable(*np.array([(1, 0, 1, 0), (2, 0, 1, 0)]).T)
    (image, _) = write_movie(tmp_path, labels=labels, markers=labels, tracks=tracks)
    found = tracked_frame(image, scale=0.25)
    assert found.track.tolist() == [1]
    assert found.known.all()


def test_a_frame_without_cells(tmp_path):
    empty = np.zeros((2, 16, 16), int)
    (image, other) = write_movie(tmp_path, labels=empty, markers=empty)
    found = tracked_frame(image, scale=2.0)
    assert found.track.shape == (0,)
    assert found.centre.shape == (0, 2)
    assert sources(found.track, tracked_frame(other, scale=2.0).track, table()).shape == (0,)


def test_a_cell_comes_from_itself_a_daughter_from_its_mother_and_a_newborn_from_none(images):
    for earlier, later, source in read_pairs(adjacent_pairs(images), scale=1.0):
        assert len(source) == len(later.track)
        for track, found in zip(later.track.tolist(), source.tolist()):
            origin = track if track in earlier.track else {3: 2, 4: 2}.get(track, 0)
            assert found == place(earlier.track, origin)
    # All three kinds have occurred.
    before, after = (tracked_frame(images[frame], scale=1.0) for frame in (1, 2))
    found = dict(zip(after.track.tolist(), sources(before.track, after.track, table()).tolist()))
    assert found == {
        1: place(before.track, 1),
        3: place(before.track, 2),
        4: place(before.track, 2),
        5: place(before.track, 5),
    }
    assert 0 not in found.values()
    before, after = (tracked_frame(images[frame], scale=1.0) for frame in (0, 1))
    found = dict(zip(after.track.tolist(), sources(before.track, after.track, table()).tolist()))
    assert found[5] == 0


@pytest.mark.parametrize("parent", [0, 1])
def test_after_a_gap_a_cell_comes_from_none(tmp_path, parent):
    """Track 1 is not outlined in frame 1, or goes on as its only child, track 2, from frame 3 on."""
    labels = np.zeros((5, 16, 24), int)
    labels[:, 2:6, 10:20] = 9
    labels[[0, 1, 3, 4], 8:12, 3:9] = 1
    markers = labels.copy()
    rows = [(1, 0, 4, 0), (9, 0, 4, 0)]
    if parent:
        markers[3:][markers[3:] == 1] = 2
        rows = [(1, 0, 1, 0), (2, 3, 4, 1), (9, 0, 4, 0)]
    images = write_movie(tmp_path, labels=labels, markers=markers, tracks=TrackTable(*np.array(rows).T))
    found = []
    for earlier, later, source in read_pairs(adjacent_pairs(images), scale=1.0):
        of = {track: int(origin) for track, origin in zip(later.track.tolist(), source)}
        assert of[9] == place(earlier.track, 9)
        found.append(of.get(2 if parent and 2 in of else 1))
    assert found == [1, None, 0, 1]


def test_a_frame_of_two_pairs_is_read_once(images):
    pairs = list(read_pairs(adjacent_pairs(images), scale=1.0))
    assert len(pairs) == 3
    for (_, first, _), (second, _, _) in itertools.pairwise(pairs):
        assert first is second


def test_pairs_are_adjacent_frames_of_one_movie(images, tmp_path):
    others = write_movie(tmp_path)
    found = adjacent_pairs([*images[:2], images[3], *others])
    assert [(pair.earlier.image_file, pair.later.image_file) for pair in found] == [
        (before.image_file, here.image_file)
        for before, here in (images[:2], others[:2], others[1:3], others[2:])
    ]


def test_images_without_tracks_and_frames_without_neighbours_are_refused(images):
    single = dataclasses.replace(images[1], markers_file=None, movie_files=())
    with pytest.raises(InputError, match=r"t001\.tif belongs to no movie with tracks; give a Cell Tracking"):
        adjacent_pairs([images[0], single])
    with pytest.raises(InputError, match=r"^No two adjacent frames are annotated among 2 from .*t000.tif on"):
        adjacent_pairs([images[0], images[2]])
    with pytest.raises(ValueError, match="has no markers of tracks"):
        tracked_frame(single, scale=1.0)
    with pytest.raises(ValueError, match="has no markers of tracks"):
        track_table(single)


def test_the_table_is_that_of_the_movie(images):
    assert track_table(images[2]).text() == table().text()
