"""The options of every command that opens a movie, and what is said of the sizes that its files state."""

import re

import numpy as np
import pytest
import tifffile

from cellmotion_jax import cli
from cellmotion_jax.methods.deep_distance.model_file import save_model
from tests.cell_models import tiny_cell_model
from tests.movies_of_discs import FRAMES, cells, rows_of

MASKS = np.stack([cells(frame) for frame in range(FRAMES)]).astype(np.uint16)
IMAGES = np.where(MASKS > 0, 4000, 1000).astype(np.uint16)
BOTH = np.stack([np.full_like(IMAGES, 7), IMAGES], axis=1)
CALIBRATED = {"unit": "um", "finterval": 120.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movies")
    options = {"imagej": True, "resolution": (1 / 0.8, 1 / 0.8)}
    tifffile.imwrite(folder / "grey.tif", IMAGES, metadata={"axes": "TYX", **CALIBRATED}, **options)
    tifffile.imwrite(folder / "both.tif", BOTH, metadata={"axes": "TCYX", **CALIBRATED}, **options)
    tifffile.imwrite(folder / "slices.tif", IMAGES, metadata={"axes": "ZYX", **CALIBRATED}, **options)
    tifffile.imwrite(folder / "masks.tif", MASKS, photometric="minisblack")
    tifffile.imwrite(folder / "start.tif", MASKS[0])
    (folder / "RES").mkdir()
    for frame, mask in enumerate(MASKS):
        tifffile.imwrite(folder / "RES" / f"mask{frame:03d}.tif", mask)
    (folder / "RES" / "res_track.txt").write_text("1 0 4 0\n2 0 4 0\n3 0 1 0\n")
    save_model(folder / "model.safetensors", tiny_cell_model())
    return folder


COMMANDS = {
    "segment": ("segment", "MOVIE", "--model", "model.safetensors"),
    "track by filters": ("track", "MOVIE", "--start", "start.tif"),
    "track by linking": ("track", "MOVIE", "--by", "linking", "--segmentation", "masks.tif"),
    "track by rcnn": ("track", "MOVIE", "--by", "rcnn", "--model", "model.safetensors"),
    "measure": ("measure", "RES", "MOVIE"),
}


def run(command, movie, out, *options):
    cli.main(
        [movie if part == "MOVIE" else part for part in COMMANDS[command]] + ["--out", str(out), *options]
    )


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        run(*arguments)
    assert exit_.value.code == 2
    return re.sub(r"\s+", " ", capsys.readouterr().err)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_options_and_names_them_where_they_are_needed(
    capsys, monkeypatch, tmp_path, folder, command
):
    monkeypatch.chdir(folder)
    out = tmp_path / "out"
    assert "choose one by --channel: 0 or 1." in refusal(capsys, command, "both.tif", out)
    assert "give --axes TYX." in refusal(capsys, command, "slices.tif", out)
    assert "has the channels 0 or 1." in refusal(capsys, command, "both.tif", out, "--channel", "5")
    assert "give a letter for each." in refusal(capsys, command, "slices.tif", out, "--axes", "TZYX")
    assert "is no folder of TIFF files" in refusal(capsys, command, "grey.tif", out, "--pattern", "t*.tif")
    assert "650 nm is 0.65" in refusal(capsys, command, "grey.tif", out, "--pixel-size-um", "650")
    assert not out.exists()


@pytest.mark.parametrize("command", ["track by filters", "track by linking", "measure"])
def test_a_chosen_channel_and_told_slices_give_what_the_plain_movie_gives(
    monkeypatch, tmp_path, folder, command
):
    monkeypatch.chdir(folder)
    run(command, "grey.tif", tmp_path / "plain")
    run(command, "both.tif", tmp_path / "channel", "--channel", "1")
    run(command, "slices.tif", tmp_path / "slices", "--axes", "TYX")
    tables = [path.name for path in (tmp_path / "plain").glob("*.csv")]
    assert tables
    for table in tables:
        expected = (tmp_path / "plain" / table).read_text()
        assert (tmp_path / "channel" / table).read_text() == expected
        assert (tmp_path / "slices" / table).read_text() == expected


def test_the_interval_of_the_file_is_used_unless_the_user_knows_better(capsys, monkeypatch, tmp_path, folder):
    monkeypatch.chdir(folder)
    run("measure", "grey.tif", tmp_path / "file")
    said = capsys.readouterr().out
    assert "frame-interval-s is 120 s, from the metadata of grey.tif" in said
    assert "pixel-size-um is 0.8 um, from the metadata of grey.tif" in said
    run("measure", "grey.tif", tmp_path / "told", "--frame-interval-s", "60", "--pixel-size-um", "0.4")
    said = capsys.readouterr().out
    assert "frame-interval-s is 60 s, from the command line" in said
    assert "pixel-size-um is 0.4 um, from the command line" in said
    speeds = [
        [float(row["speed_um_per_min"] or "nan") for row in rows_of(tmp_path / name / "cells.csv")]
        for name in ("file", "told")
    ]
    np.testing.assert_allclose(speeds[0], speeds[1], rtol=1e-5)  # Half as long pixels, half the time
    assert np.nanmax(speeds[0]) == pytest.approx(1.2, rel=0.05)


def test_without_a_known_size_none_is_said(capsys, tmp_path, folder):
    cli.main(["measure", str(folder / "RES"), "--out", str(tmp_path / "r")])
    said = capsys.readouterr().out
    assert "frame-interval-s" not in said
    assert "pixel-size-um" not in said


@pytest.mark.parametrize(
    ("size", "questioned"), [("0.01", True), ("0.02", False), ("0.65", False), ("5", False), ("6.5", True)]
)
def test_unlikely_sizes_are_questioned_and_used(capsys, monkeypatch, tmp_path, folder, size, questioned):
    monkeypatch.chdir(folder)
    run("track by linking", "grey.tif", tmp_path / "out", "--pixel-size-um", size)
    asked = f"pixel-size-um is {size}, at which a cell of 10 um is" in capsys.readouterr().err
    assert asked is questioned
    row = rows_of(tmp_path / "out" / "tracks.csv")[0]
    assert float(row["y_um"]) == pytest.approx(float(row["y"]) * float(size))
