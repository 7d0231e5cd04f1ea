"""Scores, tables and pictures of a test, also where nothing, or nothing right, is found."""

import csv

import numpy as np
import pytest

from cellmotion_jax.data.annotated_image import consecutive_frames
from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.methods.celltrack_rcnn import results
from cellmotion_jax.methods.celltrack_rcnn.detection import RCNNSettings
from cellmotion_jax.methods.celltrack_rcnn.evaluation import evaluate_model
from cellmotion_jax.methods.celltrack_rcnn.experiment import WAYS
from cellmotion_jax.methods.celltrack_rcnn.pair_features import DIVISION_FEATURES, LogisticModel
from cellmotion_jax.methods.celltrack_rcnn.results import HEADER, draw_results, write_results
from tests.rcnn_models import SHAPE, tiny_model
from tests.rcnn_movies import FRAMES, write_movie

WEIGHTS = dict.fromkeys(DIVISION_FEATURES, 0.0) | {"overlap": 60.0}
MODEL = tiny_model(division=LogisticModel(weights=tuple(WEIGHTS.values()), bias=-12.0))
"""Right on the cells of the movie."""
FOUND = {
    "nothing": RCNNSettings(score=1.0, proposals=50),
    "anything": RCNNSettings(score=0.0, proposals=50),
}
PICTURES = ("tracks.png", "lineage.png", "links.png", "lookalikes.png")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_movie(tmp_path_factory.mktemp("movie"))


@pytest.fixture(scope="module")
def given(images):
    return evaluate_model(MODEL, images, WAYS, settings=FOUND["nothing"], given_masks=True)


@pytest.fixture(scope="module")
def found(images):
    return {name: evaluate_model(MODEL, images, WAYS, settings=settings) for name, settings in FOUND.items()}


def test_right_links_of_the_annotated_cells_have_full_marks(given):
    scores = given.scores["assignment"]
    assert scores[:4] == pytest.approx((1, 1, 1, 1))
    assert scores.tracking_loss == pytest.approx(0)
    for counts in scores.divisions:
        assert [int(number) for number in counts] == [1, 0, 0]
        assert float(counts.f_score) == 1
    fusion = given.scores["fusion"]
    assert fusion[:2] == pytest.approx((1, 1))
    assert fusion.tra <= 1


def test_where_nothing_is_found_all_scores_are_0(found):
    for scores in found["nothing"].scores.values():
        assert scores[:4] == (0, 0, 0, 0)
        for counts in scores.divisions:
            assert [int(number) for number in counts] == [0, 0, 1]
    (movie,) = found["nothing"].movies
    assert [len(cells.boxes) for cells in movie.cells] == [0] * FRAMES


def test_what_is_found_by_chance_has_scores_within_0_and_1(found):
    (movie,) = found["anything"].movies
    assert all(len(cells.boxes) for cells in movie.cells)
    for scores in found["anything"].scores.values():
        assert all(0 <= value <= 1 for value in scores[:4])
        assert scores.tracking_loss == scores.det - scores.tra


def test_frames_that_do_not_follow_one_another_are_tracked_apart(images, tmp_path):
    others = write_movie(tmp_path)
    runs = list(consecutive_frames([*images[:2], images[3], *others]))
    assert [len(run) for run in runs] == [2, 1, 4]
    part = [*images[2:], *others[1:3]]
    result = evaluate_model(MODEL, part, WAYS, settings=FOUND["nothing"], given_masks=True)
    assert [len(movie.images) for movie in result.movies] == [2, 2]
    # The tables of both movies begin in the middle of them.
    assert result.scores["assignment"][:4] == pytest.approx((1, 1, 1, 1))
    assert [int(number) for number in result.scores["assignment"].divisions[0]] == [1, 0, 0]


@pytest.mark.parametrize("kind", list(FOUND))
def test_pictures_are_drawn_whatever_is_found(tmp_path, given, found, kind):
    draw_results(tmp_path, results.TestedModel("a model", MODEL, found[kind], given))
    for name in PICTURES:
        assert (tmp_path / name).stat().st_size > 10_000, name


def test_pictures_are_drawn_where_no_cell_is_annotated(tmp_path):
    """Nothing goes on, in some frames nothing is there at all."""
    labels = np.zeros((3, *SHAPE), np.int32)
    labels[2, 20:30, 30:44] = 1
    tracks = TrackTable(*np.array([(1, 2, 2, 0)]).T)
    images = write_movie(tmp_path / "movie", labels=labels, markers=labels, tracks=tracks)
    nothing = FOUND["nothing"]
    tested = [evaluate_model(MODEL, images, WAYS, settings=nothing, given_masks=it) for it in (False, True)]
    draw_results(tmp_path, results.TestedModel("a model", MODEL, *tested))
    for name in PICTURES[:3]:
        assert (tmp_path / name).stat().st_size > 10_000, name
    assert not (tmp_path / PICTURES[3]).exists()


def test_cells_are_shown_with_the_cells_that_look_most_like_them(tmp_path, monkeypatch, given, found):
    shown = []
    monkeypatch.setattr(results, "plot_lookalikes", lambda rows, out, *, title: shown.extend(rows))
    draw_results(tmp_path, results.TestedModel("a model", MODEL, found["anything"], given))
    # The three cells of the second frame, of which one divides; in the third there are four.
    assert len(shown) == 3
    for row in shown:
        assert len(row.nearest) == len(row.probability) == 4
        assert row.right in range(4)
        assert (np.diff(row.probability) <= 0).all()
        assert row.cell.shape == row.nearest[0].shape == (2 * 14 + 1,) * 2
        # Windows lie around the cells, which are bright.
        assert row.cell[14, 14] > 3000
        assert row.nearest[row.right][14, 14] > 3000


def test_the_table_has_a_row_per_network_cells_and_way(tmp_path, capsys, given, found):
    names = ("celltrack rcnn", "without spatial head")
    tested = [results.TestedModel(name, MODEL, found["anything"], given) for name in names]
    write_results(tmp_path, tested)
    with (tmp_path / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == HEADER
    assert [(row["model"], row["cells"], row["links"]) for row in rows] == [
        (name, cells, links) for name in names for cells in ("found", "given") for links in WAYS
    ]
    perfect = {"SEG": "1.0000", "TRA": "1.0000", "division_F_0": "1.0000", "division_TP_1": "1"}
    assert perfect.items() <= rows[2].items()
    for row in rows:
        assert float(row["DET_minus_TRA"]) == pytest.approx(float(row["DET"]) - float(row["TRA"]), abs=2e-4)
    summary = (tmp_path / "summary.md").read_text()
    assert "Table 1 of the paper (RAW264.7):" in summary
    assert summary.count("without spatial head") == 4
    shown = capsys.readouterr().out
    assert all(line in shown for line in summary.splitlines() if line.startswith("celltrack rcnn"))
