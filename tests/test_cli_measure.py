"""``cellmotion measure``: a tracked result in, tables and pictures out, or one sentence and nothing."""

import re

import numpy as np
import PIL.Image
import pytest
import tifffile

from cellmotion_jax import cli
from cellmotion_jax.data.ctc import write_ctc
from cellmotion_jax.data.track_table import TrackTable
from tests.movies_of_discs import FRAMES, cells, rows_of, write_movie

TABLE = "1 0 4 0\n2 0 4 0\n3 0 1 0\n"
TABLES = ["behaviour.png", "cells.csv", "time_courses.png"]


def write_result(folder, frames=range(FRAMES), table=TABLE):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        tifffile.imwrite(folder / f"mask{number:03d}.tif", cells(frame).astype(np.uint16))
    if table is not None:
        (folder / "res_track.txt").write_text(table)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measure")
    write_movie(folder / "01")
    write_result(folder / "01_RES")
    return folder


def measure(*arguments):
    cli.main(["measure", *map(str, arguments)])


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        measure(*arguments)
    assert exit_.value.code == 2
    return re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def test_cells_are_measured_and_drawn(tmp_path, capsys, folder):
    out = tmp_path / "r"
    options = ("--pixel-size-um", 0.8, "--frame-interval-s", 60)
    measure(folder / "01_RES", folder / "01", "--out", out, *options)
    names = sorted([*TABLES, "protrusions.png", "segmentation.gif", "tips.csv"])
    assert sorted(path.name for path in out.iterdir()) == names
    moving = [row for row in rows_of(out / "cells.csv") if row["track"] == "1"]
    assert moving[0]["speed_um_per_min"] == ""
    assert [float(row["speed_um_per_min"]) for row in moving[1:]] == pytest.approx([2.4] * 4, rel=0.02)
    assert [float(row["heading_rad"]) % (2 * np.pi) for row in moving[1:]] == pytest.approx([0] * 4, abs=0.01)
    tips = rows_of(out / "tips.csv")
    assert {row["track"] for row in tips} == {"2"}
    assert [int(row["frame"]) for row in tips] == list(range(FRAMES))
    assert {row["tip"] for row in tips} == {"1"}
    for row in tips:
        assert float(row["x"]) == pytest.approx(41, abs=4)
        assert float(row["length_from_centre_um"]) == pytest.approx(0.8 * 49, rel=0.1)
        assert float(row["orientation_rad"]) == pytest.approx(np.pi, abs=0.1)
    with PIL.Image.open(out / "segmentation.gif") as picture:
        assert getattr(picture, "n_frames", 1) == FRAMES
    for name in ("behaviour.png", "time_courses.png", "protrusions.png"):
        assert (out / name).stat().st_size > 10_000
    assert "3 tracks in 5 frames; 5 tips of protrusions" in capsys.readouterr().out


def test_without_the_size_of_a_pixel_protrusions_are_left_out_and_said_so(tmp_path, capsys, folder):
    measure(folder / "01_RES", "--out", tmp_path / "r")
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == TABLES
    row = rows_of(tmp_path / "r" / "cells.csv")[-1]
    assert row["protrusions"] == row["longest_protrusion_from_body_um"] == ""
    assert "speed_px_per_frame" in row
    assert "size of a pixel is not known" in capsys.readouterr().out


def test_lengths_and_parents_are_there_under_names_that_say_what_they_are(tmp_path, folder):
    write_result(tmp_path / "r", table="1 0 4 0\n2 0 1 0\n3 0 1 0\n")
    for frame in (2, 3, 4):
        mask = cells(frame).astype(np.uint16)
        mask[mask == 2] = 9
        tifffile.imwrite(tmp_path / "r" / f"mask{frame:03d}.tif", mask)
    (tmp_path / "r" / "res_track.txt").write_text("1 0 4 0\n2 0 1 0\n3 0 1 0\n9 2 4 2\n")
    measure(tmp_path / "r", "--out", tmp_path / "m", "--pixel-size-um", 0.5)
    rows = rows_of(tmp_path / "m" / "cells.csv")
    assert {(row["track"], row["parent"]) for row in rows} == {("1", "0"), ("2", "0"), ("3", "0"), ("9", "2")}
    for row in rows:
        assert float(row["area_um2"]) == pytest.approx(0.25 * float(row["area_px2"]), rel=1e-4)
        assert float(row["perimeter_um"]) == pytest.approx(0.5 * float(row["perimeter_px"]), rel=1e-4)
        lengths = [float(row[f"longest_protrusion_from_{end}_um"]) for end in ("body", "centre")]
        assert (lengths == [0, 0]) == (row["protrusions"] == "0")
    for row in rows_of(tmp_path / "m" / "tips.csv"):
        assert 0 < float(row["length_from_body_um"]) < float(row["length_from_centre_um"])


def test_an_annotation_is_measured_as_a_result_is(tmp_path, folder):
    masks = [cells(frame).astype(np.uint16) for frame in range(FRAMES)]
    write_ctc(tmp_path / "TRA", masks, TrackTable(*np.array([r.split() for r in TABLE.splitlines()], int).T))
    measure(tmp_path / "TRA", "--out", tmp_path / "annotation", "--pixel-size-um", 0.8)
    measure(folder / "01_RES", folder / "01", "--out", tmp_path / "result", "--pixel-size-um", 0.8)
    for name in ("cells.csv", "tips.csv"):
        assert rows_of(tmp_path / "annotation" / name) == rows_of(tmp_path / "result" / name)
    assert not (tmp_path / "annotation" / "segmentation.gif").exists()


def test_a_single_frame_and_other_settings(tmp_path):
    write_result(tmp_path / "one", [0], "1 0 0 0\n2 0 0 0\n3 0 0 0\n")
    measure(
        tmp_path / "one", "--out", tmp_path / "r", "--pixel-size-um", 0.8, "--protrusions.shortest-um", 90
    )
    assert {row["frame"] for row in rows_of(tmp_path / "r" / "cells.csv")} == {"0"}
    assert rows_of(tmp_path / "r" / "tips.csv") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("01_RES", "01", "--pixel-size-um", "0"), "pixel-size-um is 0"),
        (("01_RES", "--pixel-size-um", "-2"), "pixel-size-um is -2"),
        (("01_RES", "--frame-interval-s", "-1"), "frame-interval-s is -1"),
        (("01_RES", "--tip-gate-um", "0"), "tip-gate-um is 0"),
        (
            ("01_RES", "--motion.persistence-frames", "1"),
            "motion.persistence-frames is 1; it must be a whole number from 2",
        ),
        (("nowhere",), "nowhere does not exist"),
        (("01",), "neither res_track.txt nor man_track.txt"),
        (("01_RES", "elsewhere"), "elsewhere does not exist"),
        (("01_RES", "shorter"), "01_RES holds 5 label images of 96 x 128 pixels, but"),
        (("longer",), "lets track 2 end in frame 5"),
        (("lacking",), "mask002.tif (frame 2) lacks label 3"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    write_movie(tmp_path / "01")
    write_movie(tmp_path / "shorter", [0, 1])
    write_result(tmp_path / "01_RES")
    write_result(tmp_path / "longer", table=TABLE.replace("2 0 4", "2 0 5"))
    write_result(tmp_path / "lacking", table=TABLE.replace("3 0 1", "3 0 2"))
    before = sorted(tmp_path.iterdir())
    assert words in refusal(capsys, *arguments, "--out", "out")
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_with_something_in_it_is_left_alone(capsys, tmp_path, folder):
    (tmp_path / "note.txt").write_text("mine")
    assert "is not empty" in refusal(capsys, folder / "01_RES", "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
