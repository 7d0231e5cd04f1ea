"""SEG, DET, LNK and TRA beside py-ctcmetrics and traccuracy, where these are defined.

Not compared, since the peers differ from the challenge's own programs or stop: an empty result and an empty
first frame of the reference (both), labels whose sum exceeds 65535 and images without background
(py-ctcmetrics), the links of only children and three cells in one (traccuracy).
"""

import logging
import pathlib
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from cellmotion_jax.metrics import ctc_scores
from tests.metrics.ctc_cases import Case, Tracked, drawn, random_case

DIVISION = drawn("111111. 111111. 22..33. 22..33.", {2: 1, 3: 1})
CANONICAL = {
    "perfect": Case(DIVISION, DIVISION),
    "division missed": Case(DIVISION, drawn("111111. 111111. 11..33. 11..33.")),
    "division early": Case(DIVISION, drawn("111111. 2222.3. 22..33. 22..33.", {2: 1, 3: 1})),
    "gap in both": Case(drawn("11.33 ...33 22.33", {2: 1}), drawn("55.66 ...66 44.66")),
    "missing": Case(drawn("11. 11. 11."), drawn("11. ... 22.")),
    "spurious": Case(drawn("11... 11..."), drawn("11.22 11.22")),
    "merged": Case(drawn("1122. 1122. 1122."), drawn("1122. 1111. 1133.")),
    "exchanged": Case(drawn("11.22 11.22 11.22"), drawn("11.22 11.22 22.11")),
    "half": Case(drawn("1111.2 1111.2"), drawn("11...2 111..2")),
    "empty in the middle": Case(drawn("11. 11. ... 22. 22."), drawn("33. 33. 33. .44 .44")),
}


@pytest.fixture(scope="module")
def peers():
    """Both packages; what they warn of while they are imported is not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ctc_metrics import evaluate_sequence
        from traccuracy import run_metrics
        from traccuracy.loaders import load_ctc_data
        from traccuracy.matchers import CTCMatcher
        from traccuracy.metrics import CTCMetrics
    logging.getLogger("traccuracy").setLevel(logging.ERROR)

    def traccuracy(truth: pathlib.Path, result: pathlib.Path) -> dict:
        sides = (load_ctc_data(str(truth / "TRA")), load_ctc_data(str(result)))
        (outcome,), _ = run_metrics(*sides, CTCMatcher(), [CTCMetrics()])
        return outcome["results"]

    def py_ctcmetrics(truth: pathlib.Path, result: pathlib.Path) -> dict:
        names = ["Valid", "SEG", "DET", "LNK", "TRA"]
        return evaluate_sequence(str(result), str(truth), metrics=names, threads=1)

    return SimpleNamespace(traccuracy=traccuracy, py_ctcmetrics=py_ctcmetrics)


def written(case: Case, root: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The case as ``01_GT``, outlined in every frame, and ``01_RES``."""
    truth, result = root / "01_GT", root / "01_RES"
    for tracked, folder, stem in (
        (case.reference, truth / "TRA", "man_track"),
        (case.reference, truth / "SEG", "man_seg"),
        (case.result, result, "mask"),
    ):
        folder.mkdir(parents=True)
        for frame, image in enumerate(tracked.frames):
            tifffile.imwrite(folder / f"{stem}{frame:03d}.tif", np.repeat(image, 3, axis=0))
        name = {"man_track": "man_track.txt", "mask": "res_track.txt"}.get(stem)
        if name:
            (folder / name).write_text(tracked.tracks.text())
    return truth, result


def ours(case: Case):
    (truth, true_tracks), (result, result_tracks) = case
    return ctc_scores(truth, result, true_tracks, result_tracks)


def check_py_ctcmetrics(case: Case, theirs: dict) -> None:
    scores = ours(case)
    assert theirs["Valid"] == 1
    counted = [theirs[f"AOGM_{name}"] for name in ("NS", "FN", "FP", "ED", "EA", "EC")]
    assert counted == [*scores.nodes[:3], *scores.edges[:3]]
    names = ("SEG", "DET", "LNK", "TRA", "AOGM", "OP_CSB", "OP_CTB")
    values = [getattr(scores, name.lower()) for name in names]
    np.testing.assert_allclose(values, [theirs[name] for name in names], rtol=0, atol=1e-6)


def check_traccuracy(case: Case, theirs: dict) -> None:
    scores = ours(case)
    counted = [theirs[f"{name}_nodes"] for name in ("ns", "fn", "fp")]
    counted += [theirs[f"{name}_edges"] for name in ("fp", "fn", "ws")]
    assert counted == [*scores.nodes[:3], *scores.edges[:3]]
    values = [scores.det, scores.lnk, scores.tra, scores.aogm]
    expected = [theirs[name] for name in ("DET", "LNK", "TRA", "AOGM")]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-6)


def call(peer, folders) -> dict:
    # Both warn of empty frames, which are legal.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peer(*folders)


@pytest.mark.parametrize("name", CANONICAL)
def test_canonical_cases(name, peers, tmp_path):
    case = CANONICAL[name]
    folders = written(case, tmp_path)
    check_py_ctcmetrics(case, call(peers.py_ctcmetrics, folders))
    if name != "gap in both":  # its only child is a parent link to the challenge, a track link to traccuracy
        check_traccuracy(case, call(peers.traccuracy, folders))


@pytest.mark.parametrize("seed", range(10))
def test_random_cases(seed, peers, tmp_path):
    case = random_case(seed)
    check_py_ctcmetrics(case, call(peers.py_ctcmetrics, written(case, tmp_path / "any")))
    case = random_case(seed, only_children=False)
    check_traccuracy(case, call(peers.traccuracy, written(case, tmp_path / "divisions")))


def test_random_cases_have_every_kind_of_error():
    scores = [ours(random_case(seed, only_children=only)) for seed in range(10) for only in (True, False)]
    assert (np.sum([[*score.nodes[:3], *score.edges[:2]] for score in scores], axis=0) > 10).all()
    assert sum(score.edges.wrong_kind for score in scores) > 0


def test_where_the_peers_go_wrong_the_truth_is_still_perfect(peers, tmp_path):
    """Labels above 32767 and an empty first frame: FIELD.md's matrix of the behaviour of both."""
    frames = np.where(DIVISION.frames == 1, 40000, DIVISION.frames)
    tracks = DIVISION.tracks
    renamed = [np.where(column == 1, 40000, column) for column in (tracks.label, tracks.parent)]
    large = Tracked(frames, type(tracks)(renamed[0], tracks.begin, tracks.end, renamed[1]))
    late = drawn(".... 11.2 11.2")
    for movie in (large, late):
        assert ours(Case(movie, movie)).tra == 1
    assert call(peers.py_ctcmetrics, written(Case(large, large), tmp_path / "large"))["DET"] < 0.9
    assert call(peers.traccuracy, written(Case(late, late), tmp_path / "late"))["TRA"] < 0.9
