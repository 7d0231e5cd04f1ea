import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.errors import InputError
from cellmotion_jax.metrics import CtcScores, ctc_scores, edge_errors, match_frame, segmentation_score
from tests.metrics.ctc_cases import Tracked, drawn, random_case

SEEDS = st.integers(0, 2**32 - 1)
NOTHING = TrackTable(*np.zeros((4, 0), np.int64))


def score(reference: Tracked, result: Tracked, **options) -> CtcScores:
    return ctc_scores(reference.frames, result.frames, reference.tracks, result.tracks, **options)


def measures(scores: CtcScores):
    return scores.seg, scores.det, scores.lnk, scores.tra


DIVISION = drawn("111111 111111 22..33 22..33", {2: 1, 3: 1})
# name: reference, result, (NS, FN, FP), (ED, EA, EC), AOGM
BY_HAND = {
    "perfect": (DIVISION, DIVISION, (0, 0, 0), (0, 0, 0), 0),
    "a daughter goes on as the mother": (
        DIVISION,
        drawn("111111 111111 11..33 11..33"),
        (0, 0, 0),
        (0, 1, 1),
        1.5 + 1,
    ),
    "an early division": (
        DIVISION,
        drawn("111111 222..3 22..33 22..33", {2: 1, 3: 1}),
        # The big cell matches neither half of 3 to 3 pixels.
        (0, 1, 2),
        (0, 3, 0),
        10 + 2 + 4.5,
    ),
    "missed once, not linked": (drawn("11 11 11"), drawn("11 .. 22"), (0, 1, 0), (0, 2, 0), 10 + 3),
    "missed once, linked over the gap": (
        drawn("11 11 11"),
        drawn("11 .. 22", {2: 1}),
        (0, 1, 0),
        (1, 2, 0),
        10 + 1 + 3,
    ),
    "a gap in both": (drawn("11 .. 22", {2: 1}), drawn("55 .. 44", {4: 5}), (0, 0, 0), (0, 0, 0), 0),
    "a gap not linked": (drawn("11 .. 22", {2: 1}), drawn("55 .. 44"), (0, 0, 0), (0, 1, 0), 1.5),
    "a gap filled": (drawn("11 .. 22", {2: 1}), drawn("55 55 55"), (0, 0, 1), (0, 1, 0), 1 + 1.5),
    "spurious, whose links cost nothing": (
        drawn("11... 11..."),
        drawn("11.22 11.22"),
        (0, 0, 2),
        (0, 0, 0),
        2,
    ),
    "two in one": (drawn("1122 1122"), drawn("1111 1111"), (2, 0, 0), (0, 2, 0), 10 + 3),
    "three in one": (drawn("112233"), drawn("111111"), (2, 0, 0), (0, 0, 0), 10),
    "one in two": (drawn("1111 1111"), drawn("1112 1112"), (0, 0, 2), (0, 0, 0), 2),
    "exchanged": (drawn("11.22 11.22"), drawn("11.22 22.11"), (0, 0, 0), (2, 2, 0), 2 + 3),
    "an only child instead of a track": (
        drawn("11 11"),
        drawn("11 22", {2: 1}),
        (0, 0, 0),
        (0, 0, 1),
        1,
    ),
    "half is not enough": (drawn("1111"), drawn("11.."), (0, 1, 1), (0, 0, 0), 11),
    "more than half is": (drawn("11111"), drawn("111.."), (0, 0, 0), (0, 0, 0), 0),
    "empty frames": (drawn(".. 11 .. 22"), drawn("33 .. .. 22"), (0, 1, 1), (0, 0, 0), 11),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_operations_by_hand(name):
    reference, result, nodes, edges, aogm = BY_HAND[name]
    scores = score(reference, result)
    assert scores.nodes[:3] == nodes
    assert scores.edges is not None
    assert scores.edges[:3] == edges
    assert scores.aogm == aogm


def test_measures_by_hand():
    # 6 nodes and 5 links from scratch are 60 and 7.5.
    scores = score(DIVISION, drawn("111111 1111.. 22..33 22...3", {2: 1, 3: 1}))
    assert (scores.nodes.reference, scores.edges.reference) == (6, 5)
    assert (scores.nodes[:3], scores.edges[:3]) == ((0, 1, 1), (0, 1, 0))
    assert scores.seg == pytest.approx((1 + 4 / 6 + 3 * 1 + 0) / 6)
    assert scores.det == pytest.approx(1 - 11 / 60)
    assert scores.lnk == pytest.approx(1 - 1.5 / 7.5)
    assert scores.tra == pytest.approx(1 - 12.5 / 67.5)
    assert scores.op_csb == pytest.approx((scores.seg + scores.det) / 2)
    assert scores.op_ctb == pytest.approx((scores.seg + scores.tra) / 2)


@given(SEEDS)
def test_the_truth_is_perfect_and_nothing_is_worth_nothing(seed):
    reference = random_case(seed).reference
    assert measures(score(reference, reference)) == (1, 1, 1, 1)
    empty = Tracked(np.zeros_like(reference.frames), NOTHING)
    assert measures(score(reference, empty)) == (0, 0, 0, 0)
    assert np.isnan(measures(score(empty, reference))).all()
    assert np.isnan(measures(score(empty, empty))).all()


@given(SEEDS)
def test_names_and_types_of_labels_and_the_order_of_tables_do_not_count(seed):
    reference, result = random_case(seed)
    rng = np.random.default_rng(seed)
    scores = score(reference, result)
    assert all(0 <= measure <= 1 for measure in measures(scores))
    for dtype, largest in ((np.uint16, 65535), (np.int64, 10**15)):
        sides = []
        for frames, tracks in (reference, result):
            names = np.concatenate([[0], rng.permutation(len(tracks)) + largest - len(tracks)]).astype(dtype)
            rows = rng.permutation(len(tracks))
            label, parent = (names[it[rows]].astype(np.int64) for it in (tracks.label, tracks.parent))
            table = TrackTable(label, tracks.begin[rows], tracks.end[rows], parent)
            sides.append(Tracked(names[frames], table))
        renamed = score(*sides)
        assert renamed[1:] == scores[1:]
        assert renamed.seg == pytest.approx(scores.seg, rel=1e-12)


@given(SEEDS, st.integers(0, 3), st.integers(1, 3))
def test_some_frames_are_scored_like_a_movie_of_them(seed, first, length):
    case = random_case(seed)
    frames = slice(first, first + length)
    matches = [match_frame(*pair) for pair in zip(case.reference.frames[frames], case.result.frames[frames])]
    cut = []
    for images, tracks in case:
        begin, end = (np.clip(it - first, 0, length - 1) for it in (tracks.begin, tracks.end))
        alive = np.isin(tracks.label, images[frames])
        linked = (tracks.begin - first == begin) & np.isin(
            tracks.parent, tracks.label[alive & (tracks.end - first == end)]
        )
        parent = np.where(linked, tracks.parent, 0)
        cut.append(TrackTable(*(it[alive] for it in (tracks.label, begin, end, parent))))
    whole = edge_errors(matches, case.reference.tracks, case.result.tracks, first_frame=first)
    assert whole == edge_errors(matches, *cut)


def test_outlines_may_be_of_some_frames_and_other_cells():
    reference, result = drawn("1.... 1...."), drawn("111.. 111..")
    outlines = [None, np.array([[7, 7, 7, 7, 0]])]
    scores = score(reference, result, outlines=outlines)
    assert scores.segmentation == (0.75, 1, 1)
    assert scores.tra == 1
    none = score(reference, result, outlines=[None, None])
    assert np.isnan(none.seg)
    assert none.segmentation[1:] == (0, 0)


def test_without_tracks_there_is_segmentation_and_detection():
    reference, result = drawn("11.22 11.22"), drawn("11.22 22.11")
    scores = ctc_scores(reference.frames, result.frames, reference.tracks, None)
    assert (scores.seg, scores.det) == (1, 1)
    assert np.isnan([scores.lnk, scores.tra, scores.aogm, scores.op_ctb]).all()


def test_cells_wholly_in_the_margin_are_left_out_of_both():
    frame = np.zeros((9, 9), int)
    frame[0:2, 0:9], frame[0:3, 8], frame[4:6, 1:4] = 1, 1, 2
    truth = frame.copy()
    truth[7:9, 7:9] = 5
    matches = match_frame(truth, frame, margin=2)
    assert (matches.reference.tolist(), matches.result.tolist(), matches.partner.tolist()) == ([2], [2], [2])
    assert match_frame(truth, frame, margin=1).reference.tolist() == [1, 2, 5]
    with pytest.raises(InputError, match="margin is 5; in an image of 9 x 9 pixels it is 0 to 4"):
        match_frame(truth, frame, margin=5)


def test_a_track_with_a_cell_in_the_margin_loses_that_cell_and_its_links():
    pixels = np.zeros((3, 5, 5), int)
    pixels[[0, 2], 2, 2] = pixels[1, 0, 0] = 1
    movie = Tracked(pixels, TrackTable(*np.array([[1, 0, 2, 0]]).T))
    scores = score(movie, movie, margin=1)
    assert (scores.nodes.reference, scores.edges.reference) == (2, 0)
    assert scores.tra == 1
    assert np.isnan(scores.lnk)


def test_no_annotated_frame_and_no_frame():
    assert np.isnan(segmentation_score([]).seg)
    assert np.isnan(measures(ctc_scores([], [], NOTHING, NOTHING))).all()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[1, 0, 1, 0], [1, 0, 1, 0]], "result tracks list label 1 twice"),
        ([[1, 0, 1, 9]], "the tracks give track 1 the parent 9, which they do not list"),
        ([[1, 0, 0, 0]], "result frame 1 holds label 1, which the result tracks do not let live there"),
        ([[2, 0, 1, 0]], "result frame 0 holds label 1"),
        ([[1, 1, 0, 0]], "result tracks let track 1 last from frame 1 to 0"),
    ],
)
def test_tables_that_contradict_themselves_or_the_images_are_refused(rows, sentence):
    movie = drawn("11. 11.")
    with pytest.raises(InputError, match=sentence):
        score(movie, Tracked(movie.frames, TrackTable(*np.array(rows).T)))


def test_streams_of_different_length_and_shape_are_refused():
    movie, longer = drawn("11. 11."), drawn("11. 11. 11.")
    with pytest.raises(InputError, match="reference_frames ends after 2 frames"):
        score(movie, longer)
    with pytest.raises(InputError, match="outlines ends after 1 frames"):
        score(movie, movie, outlines=[None])
    with pytest.raises(ValueError, match=r"result has shape \(1, 2\), but reference has \(1, 3\)"):
        score(movie, drawn("11 11"))
