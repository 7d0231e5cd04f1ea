"""``cellmotion evaluate``: a result folder in, a table and a file of numbers out, or one sentence."""

import csv
import json
import re

import numpy as np
import pytest

from cellmotion_jax import cli
from tests.ctc_folders import TABLE, masks, write_dataset, write_result


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A dataset with a result in which a daughter is forgotten, one without tracks and one without a cell."""
    root = tmp_path_factory.mktemp("evaluate") / "Set"
    write_dataset(root, gold=(1, 2))
    images = masks()
    images[3][images[3] == 2] = 0
    write_result(root / "01_RES", images, TABLE.replace("2 2 3 1", "2 2 2 1"))
    write_result(root / "numbers", masks(), None)
    return root


def evaluate(*arguments):
    cli.main(["evaluate", *map(str, arguments)])


def refusal(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as exit_:
        evaluate(*arguments)
    assert exit_.value.code == 2
    return re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def test_a_table_and_a_file_of_all_numbers(capsys, tmp_path, root):
    evaluate(root / "01_RES", root, "--out", tmp_path / "new" / "scores.json")
    out = capsys.readouterr().out
    assert re.search(r"SEG +1\.0000 +gold: 5 outlines in 2 frames", out)
    assert "silver" not in out
    assert re.search(r"DET +0\.9000 +of 10 markers: 1 missed \(FN\), 0 spurious \(FP\), 0 to split", out)
    assert re.search(r"LNK +0\.8750 +of 8 links: 1 missed \(EA\)", out)
    assert re.search(r"TRA +0\.8973 +AOGM 11\.5", out)
    numbers = json.loads((tmp_path / "new" / "scores.json").read_text())
    assert numbers["sequence"] == "Set/01"
    assert numbers["TRA"] == pytest.approx(1 - 11.5 / 112)
    assert numbers["OP_CTB_gold"] == pytest.approx((1 + numbers["TRA"]) / 2)
    assert numbers["SEG_silver"] is None


def test_one_row_of_csv_and_a_part_of_the_movie(tmp_path, root):
    evaluate(root / "01_RES", root / "01", "--frames", 0, 2, "--margin", 2, "--out", tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (float(row["TRA"]), int(row["FN"]), row["SEG_silver"]) == (1, 0, "")


def test_a_part_of_the_movie_needs_masks_of_that_part_alone(capsys, tmp_path, root):
    write_result(tmp_path / "01_RES", masks()[:2], "1 0 1 0\n4 0 1 0\n")
    evaluate(tmp_path / "01_RES", root / "01", "--frames", 0, 1)
    assert re.search(r"TRA +1\.0000", capsys.readouterr().out)
    assert "mask002.tif is missing" in refusal(capsys, tmp_path / "01_RES", root / "01")


def test_a_result_without_tracks(capsys, root):
    evaluate(root / "numbers", root)
    out = capsys.readouterr().out
    assert re.search(r"DET +1\.0000", out)
    assert "LNK, TRA: the result has no res_track.txt" in out


def test_the_sequence_is_the_one_that_the_result_is_named_after(capsys, tmp_path):
    for name in ("01", "02"):
        write_dataset(tmp_path / "Two", name=name)
    empty = np.zeros_like(masks())
    evaluate(write_result(tmp_path / "02_RES", empty, ""), tmp_path / "Two")
    out = capsys.readouterr().out
    assert out.startswith("Two/02\n")
    assert re.search(r"TRA +0\.0000", out)
    (tmp_path / "02_RES").rename(tmp_path / "run17")
    (tmp_path / "02_RES").symlink_to(tmp_path / "run17")
    evaluate(tmp_path / "02_RES", tmp_path / "Two")
    assert capsys.readouterr().out == out
    result = write_result(tmp_path / "result", masks())
    assert "Two has the sequences 01, 02; name one" in refusal(capsys, result, tmp_path / "Two")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nowhere", "."), "nowhere does not exist"),
        (("01_RES", "nowhere"), "nowhere does not exist"),
        (("01_RES", ".", "--out", "scores.txt"), "scores.txt; the name of the file ends in .json or .csv"),
        (("01_RES", ".", "--margin", "6"), "margin is 6"),
        (("01_RES", ".", "--frames", "2", "9"), "frames are 2 to 9"),
        (("01_GT/TRA", "."), "TRA is no result"),
    ],
)
def test_bad_input_is_refused(capsys, root, monkeypatch, arguments, named):
    monkeypatch.chdir(root)
    assert named in refusal(capsys, *arguments)
    assert not (root / "scores.txt").exists()
