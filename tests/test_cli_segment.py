"""``cellmotion segment``: what it writes for small movies, and what it refuses."""

import csv

import numpy as np
import PIL.Image
import pytest
import tifffile

from cellmotion_jax.cli import main
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.track_table import read_man_track
from cellmotion_jax.methods.convlstm.model_file import save_model as save_video_model
from cellmotion_jax.methods.deep_distance.model_file import save_model as save_cell_model
from tests.cell_models import tiny_cell_model
from tests.label_images import discs
from tests.video_models import tiny_video_model, video_model

SHAPE = (96, 128)
FRAMES = 5


def cells(frame):
    """A disc that moves right by 3 pixels a frame, one that rests with a long arm, and one that leaves."""
    labels = discs(SHAPE, (24, 20 + 3 * frame, 9), (64, 90, 12))
    labels[62:67, 40:90] = 2
    if frame < 2:
        labels[discs(SHAPE, (80, 18, 8)) > 0] = 3
    return labels


def write_movie(folder, frames=range(FRAMES), *, image=lambda labels: 1000 + 3000 * (labels > 0)):
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number, frame in enumerate(frames):
        picture = image(cells(frame)) + noise.normal(0, 20, SHAPE)
        tifffile.imwrite(folder / f"t{number:03d}.tif", picture.astype(np.uint16))
    return folder


@pytest.fixture(autouse=True)
def bright_model(monkeypatch):
    """A model that is right on these movies stands in for the one in the file."""
    monkeypatch.setattr("cellmotion_jax.cli.segment.load_video_model", lambda path: video_model())
    monkeypatch.setattr("cellmotion_jax.cli.segment.enable_compilation_cache", lambda: None)


def segment(movie, out, *options):
    main(["segment", str(movie), "--model", "model.safetensors", "--out", str(out), *options])


def rows_of(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_cells_are_linked_measured_and_drawn(tmp_path, capsys):
    movie, out = write_movie(tmp_path / "movie"), tmp_path / "result"
    segment(movie, out, "--pixel-size-um", "0.8", "--frame-interval-s", "60")
    table = read_man_track(out / "res_track.txt")
    spans = sorted(zip(table.begin.tolist(), table.end.tolist()))
    assert spans == [(0, 1), (0, 4), (0, 4)]
    masks = open_movie(out)
    for frame in range(FRAMES):
        np.testing.assert_array_equal(masks[frame] > 0, cells(frame) > 0)
    mover, rester = int(masks[4][24, 32]), int(masks[0][64, 90])
    assert masks[0][24, 20] == mover

    moving = [row for row in rows_of(out / "cells.csv") if int(row["track"]) == mover]
    assert moving[0]["speed_um_per_min"] == ""
    assert [float(row["speed_um_per_min"]) for row in moving[1:]] == pytest.approx([2.4] * 4, rel=0.02)
    assert [float(row["heading"]) % (2 * np.pi) for row in moving[1:]] == pytest.approx([0] * 4, abs=0.01)
    tips = rows_of(out / "tips.csv")
    assert {int(row["track"]) for row in tips} == {rester}
    assert [int(row["frame"]) for row in tips] == list(range(FRAMES))
    assert {row["tip"] for row in tips} == {"1"}
    for row in tips:
        assert float(row["x"]) == pytest.approx(41, abs=4)
        assert float(row["length_um"]) == pytest.approx(0.8 * 49, rel=0.1)
        assert float(row["orientation"]) == pytest.approx(np.pi, abs=0.1)
    with PIL.Image.open(out / "segmentation.gif") as picture:
        assert picture.n_frames == FRAMES
    for name in ("behaviour.png", "time_courses.png", "protrusions.png"):
        assert (out / name).stat().st_size > 10_000
    assert "3 tracks in 5 frames; 5 tips of protrusions" in capsys.readouterr().out


def test_without_the_size_of_a_pixel_protrusions_are_left_out_and_said_so(tmp_path, capsys):
    out = tmp_path / "result"
    segment(write_movie(tmp_path / "movie", range(2)), out)
    assert not (out / "tips.csv").exists()
    row = rows_of(out / "cells.csv")[-1]
    assert row["protrusions"] == row["longest_um"] == ""
    assert "speed_px_per_frame" in row
    assert "size of a pixel is not known" in capsys.readouterr().out


def test_a_movie_shorter_than_the_window_and_other_settings(tmp_path):
    out = tmp_path / "result"
    segment(
        write_movie(tmp_path / "movie", [0]), out, "--instances.smallest-area", "300", "--memory", "window"
    )
    assert len(read_man_track(out / "res_track.txt")) == 1
    assert {int(row["frame"]) for row in rows_of(out / "cells.csv")} == {0}


def test_the_drift_of_the_microscope_is_taken_back_on_demand(tmp_path):
    rng = np.random.default_rng(1)
    wide = np.kron(rng.normal(0, 300, (70, 80)), np.ones((2, 2))) + 2000
    wide[60:90, 70:100] = 20_000
    folder = tmp_path / "movie"
    folder.mkdir()
    for frame in range(4):
        top, left = 10 + 2 * frame, 12 - 3 * frame
        part = wide[top : top + SHAPE[0], left : left + SHAPE[1]].astype(np.uint16)
        tifffile.imwrite(folder / f"t{frame:03d}.tif", part)
    out = tmp_path / "result"
    segment(folder, out, "--drift", "whole_pixels")
    moved = rows_of(out / "drift.csv")
    assert [round(float(row["dy"])) for row in moved] == [0, -2, -4, -6]
    assert [round(float(row["dx"])) for row in moved] == [0, 3, 6, 9]
    masks = open_movie(out)
    assert masks.shape == (SHAPE[0] - 6, SHAPE[1] - 9)
    for frame in range(1, 4):
        np.testing.assert_array_equal(masks[frame], masks[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--pixel-size-um", "0"), "pixel_size_um is 0"),
        (("--frame-interval-s", "-1"), "frame-interval-s is -1"),
        (("--instances.smallest-area", "100000"), "no cell was found in any of 2 frames"),
        (("--instances.threshold", "2"), "threshold is 2"),
    ],
)
def test_settings_that_leave_nothing_are_refused(tmp_path, capsys, options, words):
    out = tmp_path / "result"
    with pytest.raises(SystemExit) as refusal:
        segment(write_movie(tmp_path / "movie", range(2)), out, *options)
    assert refusal.value.code == 2
    message = capsys.readouterr().err
    assert words in message
    assert list(tmp_path.iterdir()) == [tmp_path / "movie"]


def test_a_frame_that_cannot_be_used_is_named_and_nothing_is_written(tmp_path, capsys):
    movie = write_movie(tmp_path / "movie", range(3))
    for number in range(3):
        frame = tifffile.imread(movie / f"t{number:03d}.tif").astype(np.float32)
        frame[3, 4] = np.nan if number == 1 else 0
        tifffile.imwrite(movie / f"t{number:03d}.tif", frame)
    with pytest.raises(SystemExit) as refusal:
        segment(movie, tmp_path / "result")
    assert refusal.value.code == 2
    assert "t001.tif: the image holds NaN" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [movie]


def test_files_of_other_models_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.undo()
    save_cell_model(tmp_path / "cells.safetensors", tiny_cell_model())
    movie = write_movie(tmp_path / "movie", [0])
    for name, words in (("cells", "not a video model"), ("none", "is no file")):
        with pytest.raises(SystemExit) as refusal:
            main(
                [
                    "segment",
                    str(movie),
                    "--model",
                    f"{tmp_path / name}.safetensors",
                    "--out",
                    str(tmp_path / "r"),
                ]
            )
        assert refusal.value.code == 2
        assert words in capsys.readouterr().err


def test_the_file_of_a_model_is_all_that_is_needed(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setattr("cellmotion_jax.cli.segment.enable_compilation_cache", lambda: None)
    save_video_model(tmp_path / "model.safetensors", tiny_video_model())
    movie = write_movie(tmp_path / "movie", [0, 1])
    command = ["segment", str(movie), "--model", str(tmp_path / "model.safetensors")]
    main([*command, "--out", str(tmp_path / "r"), "--instances.threshold", "0"])
    assert "1 tracks in 2 frames" in capsys.readouterr().out
