"""The score of a cell is the one with the fewest errors on annotated frames."""

import numpy as np
import pytest

from cellmotion_jax.methods.celltrack_rcnn import score_choice
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings, cells_of_mask
from cellmotion_jax.methods.celltrack_rcnn.score_choice import MOST_FRAMES, SCORES, choose_score
from tests.label_images import discs
from tests.rcnn_models import SHAPE, tiny_model
from tests.rcnn_movies import FRAMES, picture, tracks_at, write_movie

MODEL = tiny_model(score=0.35)
DEBRIS = (discs(SHAPE, (6, 88, 4)) > 0) & (sum(tracks_at(frame) for frame in range(FRAMES)) == 0)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_movie(tmp_path_factory.mktemp("movie"))


@pytest.fixture
def finds(monkeypatch):
    """Lets the network find the annotated cells and debris, with given scores."""
    settings_seen = []

    def find(cells, debris):
        frames = iter(range(10**6))

        def find_cells(model, image, *, settings):
            settings_seen.append(settings)
            labels = tracks_at(next(frames) % FRAMES)
            found = cells_of_mask(model, picture(labels), np.where(DEBRIS, 99, labels))
            scores = np.full(len(found.boxes), cells, np.float32)
            scores[-1] = debris  # The largest label is the last cell.
            return found._replace(scores=scores)

        monkeypatch.setattr(score_choice, "find_cells", find_cells)
        return settings_seen

    return find


@pytest.mark.parametrize(
    ("cells", "debris", "least", "most"),
    [(0.95, 0.55, 0.6, 0.9), (0.35, 0.12, 0.15, 0.3), (0.12, 0.01, 0.05, 0.1)],
)
def test_it_lies_between_cells_and_debris(images, finds, cells, debris, least, most):
    finds(cells, debris)
    score = choose_score(MODEL, images, settings=RCNNSettings())
    assert least <= score <= most
    possible = [each for each in SCORES if debris <= each < cells]
    assert score == possible[len(possible) // 2]


def test_a_missed_cell_costs_more_than_debris(images, finds):
    """Ten times, in the measure of the challenge."""
    finds(0.2, 0.45)
    assert choose_score(MODEL, images, settings=RCNNSettings()) < 0.2


def test_a_score_that_is_set_is_taken(images, finds):
    seen = finds(0.9, 0.1)
    assert choose_score(MODEL, images, settings=RCNNSettings(score=0.77)) == 0.77
    assert not seen


def test_frames_are_searched_once_with_the_lowest_score(images, finds):
    seen = finds(0.9, 0.1)
    many = images * 20
    choose_score(MODEL, many, settings=RCNNSettings(proposals=50))
    assert len(seen) == MOST_FRAMES < len(many)
    assert {(it.score, it.proposals) for it in seen} == {(SCORES[0], 50)}


def test_without_annotated_cells_it_is_that_of_the_model(images, finds, monkeypatch):
    finds(0.9, 0.1)
    monkeypatch.setattr(score_choice, "read_markers", lambda image: np.zeros(SHAPE, np.int64))
    assert choose_score(MODEL, images, settings=RCNNSettings()) == 0.35
