"""Examples of links and divisions from annotated frames, of annotated cells and of those that are found."""

import numpy as np
import pytest
import scipy.special

from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.methods.celltrack_rcnn import calibration
from cellmotion_jax.methods.celltrack_rcnn.assignment import AssignmentCosts, assign
from cellmotion_jax.methods.celltrack_rcnn.calibration import (
    _divisions,
    fit_links,
    link_examples,
    measured_pairs,
)
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings, cells_of_mask
from cellmotion_jax.methods.celltrack_rcnn.pair_features import division_features, link_features, near_triples
from cellmotion_jax.methods.celltrack_rcnn.pairs import adjacent_pairs, read_pairs
from tests.label_images import discs
from tests.rcnn_models import SHAPE, tiny_model
from tests.rcnn_movies import FRAMES, tracks_at, write_movie

MODEL = tiny_model()
SETTINGS = RCNNSettings(proposals=50)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return adjacent_pairs(write_movie(tmp_path_factory.mktemp("movie")))


@pytest.fixture
def finds(monkeypatch):
    """Lets the network find given cells in the frames, one after another, and counts the frames."""
    seen = []

    def find(labels):
        def find_cells(model, image, *, settings):
            seen.append(len(seen))
            return cells_of_mask(model, image, labels[seen[-1]])

        monkeypatch.setattr(calibration, "find_cells", find_cells)
        return seen

    return find


def test_annotated_cells_have_the_sources_of_the_annotation(pairs):
    measured = list(measured_pairs(MODEL, pairs))
    assert len(measured) == 3
    for (measures, source), (earlier, later, truth) in zip(measured, read_pairs(pairs, scale=1.0)):
        assert measures.visual.shape == (len(earlier.track), len(later.track))
        np.testing.assert_array_equal(source, truth - 1)
        assert measures.earlier.area.sum() == (earlier.number > 0).sum()


def test_every_frame_is_read_once(pairs, monkeypatch):
    count = []
    monkeypatch.setattr(
        calibration, "cells_of_mask", lambda *frame: count.append(frame) or cells_of_mask(*frame)
    )
    list(measured_pairs(MODEL, pairs))
    assert len(count) == FRAMES


def test_true_links_go_on_and_true_divisions_are_those_of_a_mother(pairs):
    links, divisions = [], []
    for measures, source in measured_pairs(MODEL, pairs):
        examples = link_examples(measures, source)
        triples = _divisions(measures, source)
        assert len(examples.features) == len(examples.true) <= measures.visual.size
        assert len(triples.features) == len(near_triples(measures))
        links.append(int(examples.true.sum()))
        divisions.append(int(triples.true.sum()))
    # Tracks 1 and 2; tracks 1 and 5, and the division of 2; tracks 1, 3, 4 and 5.
    assert links == [2, 2, 4]
    assert divisions == [0, 1, 0]


def test_found_cells_have_the_tracks_of_those_they_cover(pairs, finds):
    """Other numbers, one cell too large and one too small, both daughters as one, and one cell made up."""
    true = [tracks_at(frame) for frame in range(FRAMES)]
    given = []
    for image in true:
        found = np.where(image > 0, 60 - image, 0)
        found[discs(SHAPE, (6, 90, 4)) > 0] = 3
        found[(image == 5) & (np.indices(SHAPE)[0] < 20)] = 0
        given.append(found)
    given[3] = np.where((true[3] == 3) | (true[3] == 4), 7, given[3])
    seen = finds(given)
    measured = list(measured_pairs(MODEL, pairs, found=SETTINGS))
    assert len(seen) == FRAMES
    for frame, (measures, source) in enumerate(measured):
        before, after = (np.unique(image[image > 0]) for image in given[frame : frame + 2])
        assert measures.visual.shape == (len(before), len(after))
        names = {int(label): int(origin) for label, origin in zip(after, source)}
        # What is made up comes from nowhere, though it is there in all frames.
        assert names[3] == -1
        place = {int(label): index for index, label in enumerate(before)}
        assert names[59] == place[59]
        if frame == 1:
            assert names[57] == names[56] == place[58]
        if frame == 2:
            # Of the two in one it is the larger overlap; both have the same size but for the pixels.
            assert names[7] in (place[57], place[56])
        if frame:
            assert names[55] == place[55]


def test_a_cell_that_covers_less_than_half_of_another_is_not_it(pairs, finds):
    half = [np.where(np.indices(SHAPE)[1] % 3 == 0, tracks_at(frame), 0) for frame in range(FRAMES)]
    finds(half)
    for _, source in measured_pairs(MODEL, pairs, found=SETTINGS):
        assert (source == -1).all()


def test_found_cells_where_nothing_is_known_are_no_examples(tmp_path, finds):
    """A cell in the margin is there in all frames; it is not known whether that is right."""
    labels = np.zeros((2, *SHAPE), np.int32)
    labels[:, 20:30, 30:44] = 1
    given = labels.copy()
    given[:, 2:9, 30:40] = 2
    given[:, 40:50, 3:9] = 3
    tracks = TrackTable(*np.array([(1, 0, 1, 0)]).T)
    images = write_movie(tmp_path, labels=labels, markers=labels, tracks=tracks, margin=8)
    finds(given)
    ((measures, source),) = measured_pairs(MODEL, adjacent_pairs(images), found=SETTINGS)
    assert measures.visual.shape == measures.alike.shape == (1, 1)
    assert measures.later.area.tolist() == [140]
    assert source.tolist() == [0]


def test_frames_in_which_nothing_is_found_give_no_examples(pairs, finds):
    finds([np.zeros(SHAPE, np.int32)] * FRAMES)
    measured = list(measured_pairs(MODEL, pairs, found=SETTINGS))
    assert [len(source) for _, source in measured] == [0, 0, 0]
    for pair in measured:
        assert not len(link_examples(*pair).true)
        assert not len(_divisions(*pair).true)


def test_the_fit_tells_true_links_and_divisions_from_others(pairs, finds):
    true = [tracks_at(frame) for frame in range(FRAMES)]
    finds(true)
    fitted = fit_links(MODEL, pairs, settings=SETTINGS)
    for measures, source in measured_pairs(MODEL, pairs):
        examples = link_examples(measures, source)
        chance = scipy.special.expit(fitted.link.log_odds(examples.features))
        assert chance[examples.true].min() > 0.5 > chance[~examples.true].max(initial=0)
        divisions = _divisions(measures, source)
        chance = scipy.special.expit(fitted.division.log_odds(divisions.features))
        assert (chance[divisions.true] > 0.5).all()
        assert (chance[~divisions.true] < 0.5).all()
        earlier, later = measures.visual.shape
        links = assign(
            measures,
            fitted.link,
            fitted.division,
            births=np.full(later, 3.5),
            ends=np.full(earlier, 3.5),
            costs=AssignmentCosts(),
        )
        np.testing.assert_array_equal(links.source, source)
    assert link_features(measures).shape[-1] == len(fitted.link.weights)
    assert division_features(measures, near_triples(measures)).shape[-1] == len(fitted.division.weights)


def test_of_many_pairs_some_are_looked_at(pairs, finds, monkeypatch):
    monkeypatch.setattr(calibration, "MOST_PAIRS", 2)
    seen = finds([tracks_at(frame) for frame in (0, 1, 2, 3)])
    fit_links(MODEL, pairs, settings=SETTINGS)
    # The first and the last: four frames.
    assert len(seen) == 4
