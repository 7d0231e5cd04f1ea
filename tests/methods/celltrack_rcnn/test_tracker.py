"""Tracks of label images: moves, divisions, births, ends, and frames without cells."""

import dataclasses

import jax
import numpy as np
import pytest

from cellmotion_jax.inference.linking.linker import tracked_labels
from cellmotion_jax.methods.celltrack_rcnn import tracker as tracker_module
from cellmotion_jax.methods.celltrack_rcnn.detection import FoundCells, cells_of_mask
from cellmotion_jax.methods.celltrack_rcnn.pair_features import DIVISION_FEATURES, LogisticModel
from cellmotion_jax.methods.celltrack_rcnn.tracker import (
    LinkRule,
    RCNNLinkSettings,
    RCNNTracker,
    measure_pairs,
)
from cellmotion_jax.ops.labels import tight_boxes
from tests.rcnn_models import SHAPE, tiny_model
from tests.rcnn_movies import FRAMES, picture, tracks_at

MODEL = tiny_model()
WEIGHTS = dict.fromkeys(DIVISION_FEATURES, 0.0) | {"overlap": 60.0}
DIVIDES = dataclasses.replace(MODEL, division=LogisticModel(weights=tuple(WEIGHTS.values()), bias=-12.0))
"""A mother that covers a good part of two cells has divided into them."""
FUSION = RCNNLinkSettings(rule=LinkRule.FUSION)


def found(labels):
    """The cells of a label image, numbered at random."""
    numbers = np.random.default_rng(int(labels.sum())).permutation(90)[: labels.max() + 1] + 1
    numbers[0] = 0
    return cells_of_mask(MODEL, picture(labels), numbers[labels])


@pytest.fixture(scope="module")
def movie():
    return [found(tracks_at(frame)) for frame in range(FRAMES)]


def follow(frames, model=MODEL, settings=RCNNLinkSettings()):
    tracker = RCNNTracker(model, settings)
    links = [tracker.add(cells) for cells in frames]
    result = tracker.result()
    assert len(result.tracks) == len(result.probabilities) == len(frames)
    for cells, link, tracks, probability in zip(frames, links, result.tracks, result.probabilities):
        assert len(cells.boxes) == len(link.source) == len(tracks) == len(probability)
    return result


def same(result, frames):
    """The true track of every track that was found, if both have the same spans."""
    name = {}
    for frame, (cells, tracks) in enumerate(zip(frames, result.tracks)):
        truth = tracks_at(frame)
        both = np.stack([tracked_labels(cells.labels, tracks), truth], axis=-1)
        for track, true in np.unique(both.reshape(-1, 2), axis=0):
            assert name.setdefault(int(track), int(true)) == true
    assert len(set(name.values())) == len(name)
    return name


def test_cells_that_move_divide_and_are_born_are_tracked(movie):
    result = follow(movie, DIVIDES)
    name = same(result, movie)
    rows = {}
    for row in result.table.text().splitlines():
        label, begin, end, parent = map(int, row.split())
        rows[name[label]] = (begin, end, name[parent])
    assert rows == {1: (0, 3, 0), 2: (0, 1, 0), 3: (2, 3, 2), 4: (2, 3, 2), 5: (1, 3, 0)}


def test_without_divisions_a_daughter_goes_on_or_is_born(movie):
    table = follow(movie).table
    assert not table.parent.any()
    assert len(table) in (4, 5)


def test_probabilities_are_nan_in_the_first_frame_and_within_0_and_1_later(movie):
    for result in (follow(movie, DIVIDES), follow(movie, settings=FUSION)):
        assert np.isnan(result.probabilities[0]).all()
        for probability in result.probabilities[1:]:
            assert ((probability >= 0) & (probability <= 1)).all()


def without(labels, cell):
    return np.where(labels == cell, 0, labels)


def test_a_frame_without_cells_ends_all_tracks_if_gaps_are_not_allowed(movie):
    empty = found(np.zeros(SHAPE, np.int32))
    for settings in (RCNNLinkSettings(longest_gap=0), FUSION):
        result = follow([movie[0], empty, movie[0]], settings=settings)
        assert result.table.begin.tolist() == [0, 0, 2, 2]
        assert result.table.end.tolist() == [0, 0, 2, 2]
        assert not result.table.parent.any()
        assert result.tracks[1].shape == (0,)
        assert sorted(result.tracks[2].tolist()) == [3, 4]


@pytest.mark.parametrize(
    ("gap", "missing", "goes_on"), [(0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True)]
)
def test_a_cell_that_is_missed_goes_on_within_the_longest_gap(gap, missing, goes_on):
    """In the format of the challenge as the only child of the track before the gap."""
    whole = tracks_at(0)
    cell = int(whole.max())
    frames = [found(whole), *[found(without(whole, cell))] * missing, found(whole)]
    result = follow(frames, settings=RCNNLinkSettings(longest_gap=gap))
    rows = [tuple(map(int, row.split())) for row in result.table.text().splitlines()]
    spans = sorted(rows, key=lambda row: row[1:3])
    assert [row[1:3] for row in spans] == [(0, 0), (0, missing + 1), (missing + 1, missing + 1)]
    assert spans[2][3] == (spans[0][0] if goes_on else 0)
    assert (result.probabilities[-1] > 0.5).all()


def test_after_an_empty_frame_the_same_cells_go_on(movie):
    empty = found(np.zeros(SHAPE, np.int32))
    table = follow([movie[0], empty, movie[0]]).table
    assert table.begin.tolist() == [0, 0, 2, 2]
    assert sorted(table.parent.tolist()) == [0, 0, 1, 2]


def test_a_cell_goes_on_once(movie):
    """After a gap was closed, its first part has a successor and waits no longer."""
    whole = tracks_at(0)
    cell = int(whole.max())
    twice = np.where(np.roll(whole, 12, axis=1) == cell, cell + 1, whole)
    frames = [found(whole), found(without(whole, cell)), found(whole), found(twice)]
    table = follow(frames, settings=RCNNLinkSettings(longest_gap=3)).table
    assert np.bincount(table.parent).tolist()[1:] in ([1], [0, 1])


def test_one_frame_and_empty_frames(movie):
    result = follow(movie[:1])
    assert result.table.text() == "1 0 0 0\n2 0 0 0\n"
    empty = found(np.zeros(SHAPE, np.int32))
    assert len(follow([empty, empty]).table) == 0
    assert len(RCNNTracker(MODEL).result().table) == 0


def test_the_result_so_far_may_be_asked_for(movie):
    tracker = RCNNTracker(MODEL)
    for frame, cells in enumerate(movie):
        tracker.add(cells)
        assert tracker.result().table.end.max() == frame


def test_frames_of_two_sizes_are_refused(movie):
    tracker = RCNNTracker(MODEL)
    tracker.add(movie[0])
    smaller = movie[1]._replace(labels=movie[1].labels[:, :90])
    with pytest.raises(ValueError, match=r"have shape \(64, 90\), but the frame before has \(64, 96\)"):
        tracker.add(smaller)
    # It was not added.
    tracker.add(movie[1])
    assert len(tracker.result().tracks) == 2


def test_measures_are_of_all_pairs_and_do_not_depend_on_the_slots(movie):
    pairs = measure_pairs(MODEL, movie[1], movie[2])
    assert pairs.visual.shape == pairs.spatial.shape == pairs.shared.shape == (3, 4)
    assert pairs.alike.shape == (4, 4)
    np.testing.assert_allclose(pairs.alike, pairs.alike.T, rtol=1e-4, atol=1e-3)
    for (row, column), pixels in np.ndenumerate(pairs.shared):
        assert pixels == np.sum((movie[1].labels == row + 1) & (movie[2].labels == column + 1))
    for cells, measured in ((movie[1], pairs.earlier), (movie[2], pairs.later)):
        for number, (centre, area) in enumerate(zip(*measured), start=1):
            assert area == np.count_nonzero(cells.labels == number)
            np.testing.assert_allclose(centre, np.mean(np.nonzero(cells.labels == number), axis=1))
    embeddings = jax.tree.map(lambda leaf: np.pad(leaf, ((0, 16), (0, 0))), movie[2].embeddings)
    wide = movie[2]._replace(embeddings=embeddings)
    again = measure_pairs(MODEL, movie[1], wide)
    for ours, theirs in zip(pairs[:4], again[:4]):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_measures_of_some_cells_are_those_of_the_others_left_out(movie):
    pairs = measure_pairs(MODEL, movie[1], movie[2])
    part = pairs.of_cells(np.array([True, False, True]), np.array([False, True, True, False]))
    np.testing.assert_array_equal(part.visual, pairs.visual[[0, 2]][:, [1, 2]])
    np.testing.assert_array_equal(part.alike, pairs.alike[1:3, 1:3])
    np.testing.assert_array_equal(part.earlier.area, pairs.earlier.area[[0, 2]])
    np.testing.assert_array_equal(part.later.centre, pairs.later.centre[1:3])


def test_by_fusion_two_cells_with_one_source_are_daughters(monkeypatch, movie):
    """Scores that are made up: two cells are most like the second of the frame before."""

    def measured(model, earlier, later):
        visual = np.full((len(earlier.boxes), len(later.boxes)), -3.0)
        visual[0] = -1.0
        visual[-1, :2] = 2.0
        return measure_pairs(model, earlier, later)._replace(visual=visual, spatial=visual / 2)

    monkeypatch.setattr(tracker_module, "measure_pairs", measured)
    result = follow(movie[1:3], settings=FUSION)
    table = result.table
    assert np.bincount(result.tracks[1]).max() == 1
    mother = result.tracks[0][-1]
    assert sorted(table.label[table.parent == mother]) == sorted(result.tracks[1][:2])
    # The other two have the first cell as source.
    assert sorted(table.label[table.parent == result.tracks[0][0]]) == sorted(result.tracks[1][2:])
    chances = [(1 / (1 + np.exp(-odds)) + 1 / (1 + np.exp(-odds / 2))) / 2 for odds in (2.0, -1.0)]
    np.testing.assert_allclose(result.probabilities[1], np.repeat(chances, 2))


def test_without_a_spatial_head_the_visual_head_decides_by_fusion(movie):
    model = tiny_model(spatial=False)
    frames = [cells_of_mask(model, picture(tracks_at(frame)), tracks_at(frame)) for frame in (0, 1)]
    pairs = measure_pairs(model, *frames)
    assert not pairs.spatial.any()
    tracker = RCNNTracker(model, FUSION)
    tracker.add(frames[0])
    assert tracker.add(frames[1]).source.tolist() == pairs.visual.argmax(axis=0).tolist()


def test_cells_may_come_from_any_detector():
    """Without a network: the links of overlapping cells need no embedding."""
    labels = [tracks_at(frame) for frame in (0, 1)]
    blank = found(np.zeros(SHAPE, np.int32)).embeddings
    frames = []
    for image in labels:
        numbers = np.unique(image[image > 0])
        relabelled = np.searchsorted(np.concatenate([[0], numbers]), image).astype(np.int32)
        boxes = tight_boxes(relabelled, np.arange(1, len(numbers) + 1))
        frames.append(FoundCells(relabelled, boxes, np.ones(len(boxes), np.float32), blank))
    assert follow(frames).table.text() == "1 0 1 0\n2 0 1 0\n3 1 1 0\n"


@pytest.mark.parametrize("skipped", [(0,), (2, 3), (FRAMES - 1, FRAMES), (1, 1, 3)])
def test_frames_without_information_change_no_lineage(movie, skipped):
    """Skipped frames are inserted before the given ones; they count nothing, and no gap is allowed."""
    tracker = RCNNTracker(DIVIDES, dataclasses.replace(RCNNLinkSettings(), longest_gap=0))
    place, at = [], 0
    for frame in range(FRAMES + 1):
        for _ in range(skipped.count(frame)):
            tracker.skip()
            at += 1
        if frame < FRAMES:
            tracker.add(movie[frame])
            place.append(at)
            at += 1
    result = tracker.result()
    plain = follow(movie, DIVIDES, dataclasses.replace(RCNNLinkSettings(), longest_gap=0))
    assert len(result.tracks) == at
    assert sum(len(result.tracks[frame]) for frame in set(range(at)) - set(place)) == 0
    whole: dict[int, int] = {0: 0}
    for frame, others in zip(place, plain.tracks):
        for track, other in zip(result.tracks[frame].tolist(), others.tolist()):
            assert whole.setdefault(track, other) == other
    mothers = dict(zip(plain.table.label.tolist(), plain.table.parent.tolist()))
    for label, parent in zip(result.table.label.tolist(), result.table.parent.tolist()):
        assert whole[parent] in (whole[label], mothers[whole[label]])
