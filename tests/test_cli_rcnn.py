"""``cellmotion track --by rcnn``: a movie and a model file in, tracks out, or one sentence and nothing."""

import csv
import re

import jax
import numpy as np
import pytest
import tifffile

from cellmotion_jax import cli
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.track_table import read_man_track
from cellmotion_jax.methods.celltrack_rcnn.model_file import save_model
from cellmotion_jax.methods.celltrack_rcnn.pair_features import DIVISION_FEATURES, LogisticModel
from cellmotion_jax.methods.deep_distance.model_file import save_model as save_cell_model
from cellmotion_jax.models.backbones import fpn
from tests.cell_models import tiny_cell_model
from tests.rcnn_models import SHAPE, OneLayer, tiny_model
from tests.rcnn_movies import FRAMES, picture, tracks_at

MASKS = [f"mask{frame:03d}.tif" for frame in range(FRAMES)]
OUTPUTS = [*MASKS, "res_track.txt", "tracks.csv", "trajectories.png"]
ANYTHING = ("--cells.score", 0, "--cells.proposals", 50, "--cell-diameter", 15)


@pytest.fixture(scope="module", autouse=True)
def cheap_programs():
    """Networks of one layer, also from files, compiled with few optimisations: in a quarter of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fpn, "MobileNetV2", OneLayer)  # In the annotation that files are restored by.
        yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A movie, its label images, numbered at random in every frame, and a model."""
    folder = tmp_path_factory.mktemp("rcnn")
    rng = np.random.default_rng(0)
    for name in ("01", "labels", "empty"):
        (folder / name).mkdir()
    for frame in range(FRAMES):
        labels = tracks_at(frame)
        numbers = np.concatenate([[0], 1 + rng.choice(60_000, 5, replace=False)]).astype(np.uint16)
        tifffile.imwrite(folder / "01" / f"t{frame:03d}.tif", picture(labels, seed=frame))
        tifffile.imwrite(folder / "labels" / f"m{frame}.tif", numbers[labels])
        tifffile.imwrite(folder / "empty" / f"m{frame}.tif", 0 * numbers[labels])
    # A mother that covers a good part of two cells has divided into them.
    weights = dict.fromkeys(DIVISION_FEATURES, 0.0) | {"overlap": 60.0}
    division = LogisticModel(weights=tuple(weights.values()), bias=-12.0)
    # At the scale that the diameter of the cells of this movie asks for, frames keep their size.
    save_model(folder / "model.safetensors", tiny_model(cell_diameter=15.0, division=division))
    return folder


def track(folder, out, *options, movie=None):
    model = () if "--model" in options else ("--model", folder / "model.safetensors")
    arguments = ["track", movie or folder / "01", "--by", "rcnn", "--out", out, *model, *options]
    cli.main(list(map(str, arguments)))


def refusal(capsys, folder, out, *options, **others):
    with pytest.raises(SystemExit) as exit_:
        track(folder, out, *options, **others)
    assert exit_.value.code == 2
    assert not out.exists()
    assert not [path for path in out.parent.iterdir() if path.name.startswith((".", out.name))]
    return re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def rows_of(out):
    with (out / "tracks.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def check_result(out):
    """The files fit one another."""
    assert sorted(path.name for path in out.iterdir()) == OUTPUTS
    table, rows = read_man_track(out / "res_track.txt"), rows_of(out)
    masks = open_movie(out, labels=True)
    seen = {(int(row["track"]), int(row["frame"])): row for row in rows}
    assert list(seen) == sorted(seen)
    for frame in range(FRAMES):
        tracks = np.unique(masks[frame][masks[frame] > 0]).tolist()
        assert tracks == table.alive(frame).tolist() == sorted(track for track, at in seen if at == frame)
        for track_id in tracks:
            row = seen[track_id, frame]
            assert int(row["area_px2"]) == np.count_nonzero(masks[frame] == track_id)
            assert (row["probability"] == "") == (frame == 0)
            if frame:
                assert 0 <= float(row["probability"]) <= 1
    return table, rows


def test_given_cells_are_linked_with_divisions(tmp_path, capsys, folder):
    out = tmp_path / "results" / "01_RES"
    track(folder, out, "--masks", folder / "labels", "--pixel-size-um", 0.5)
    table, rows = check_result(out)
    assert [path.name for path in out.parent.iterdir()] == ["01_RES"]
    assert "Wrote " in (shown := capsys.readouterr().out)
    assert "5 tracks of 13 outlines in 4 frames" in shown
    spans = sorted(zip(table.begin.tolist(), table.end.tolist()))
    assert spans == [(0, 1), (0, 3), (1, 3), (2, 3), (2, 3)]
    mother = table.label[table.end == 1]
    assert table.parent[table.begin == 2].tolist() == [*mother, *mother]
    masks = open_movie(out, labels=True)
    for frame in range(FRAMES):
        np.testing.assert_array_equal(masks[frame] > 0, tracks_at(frame) > 0)
    assert list(rows[0]) == [
        *("track", "frame", "y", "x", "area_px2", "parent", "probability", "y_um", "x_um", "area_um2"),
    ]
    assert (out / "trajectories.png").stat().st_size > 10_000


def test_cells_are_found_and_linked_by_the_network(tmp_path, capsys, folder):
    """By a random one, which finds anything."""
    for rule in ("ASSIGNMENT", "FUSION"):
        out = tmp_path / rule
        track(folder, out, *ANYTHING, "--links.rule", rule)
        table, rows = check_result(out)
        assert len(table) > 3
        assert f"tracks of {len(rows)} outlines in 4 frames" in capsys.readouterr().out


def test_a_stack_and_a_single_frame_are_movies(tmp_path, folder):
    frames = np.stack([picture(tracks_at(frame), seed=frame) for frame in range(FRAMES)])
    labels = np.stack([tracks_at(frame) for frame in range(FRAMES)]).astype(np.uint16)
    for name, stack in (("movie.tif", frames), ("labels.tif", labels)):
        tifffile.imwrite(tmp_path / name, stack, photometric="minisblack", metadata={"axes": "TYX"})
    track(folder, tmp_path / "r", "--masks", tmp_path / "labels.tif", movie=tmp_path / "movie.tif")
    assert len(check_result(tmp_path / "r")[0]) == 5
    for name, image in (("one", frames[0]), ("cells", labels[0])):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "t000.tif", image)
    track(folder, tmp_path / "s", "--masks", tmp_path / "cells", movie=tmp_path / "one")
    assert [row["probability"] for row in rows_of(tmp_path / "s")] == ["", ""]


def test_the_model_segments_as_well(tmp_path, folder):
    out = tmp_path / "masks"
    model = folder / "model.safetensors"
    cli.main(
        [
            *("segment", str(folder / "01"), "--model", str(model), "--out", str(out)),
            *("--score", "0", "--proposals", "50", "--cell-diameter", "15"),
        ]
    )
    masks = sorted(path.name for path in out.iterdir() if path.suffix == ".tif")
    assert masks == MASKS
    assert open_movie(out, labels=True).shape == SHAPE


def test_the_options_are_explained(capsys):
    shown = {}
    for option in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as exit_:
            cli.main(["track", "--by", "rcnn", option])
        assert exit_.value.code == 0
        shown[option] = capsys.readouterr().out
    for option in ("--masks", "--model", "--cell-diameter"):
        assert option in shown["--help"]
    for option in ("--cells.score", "--links.rule", "--links.alpha", "--links.costs.birth"):
        assert option in shown["--help-all"]


def test_what_cannot_be_tracked_is_refused(tmp_path, capsys, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    assert "none.safetensors does not exist" in refusal(capsys, folder, out, "--model", "none.safetensors")
    save_cell_model("cells.safetensors", tiny_cell_model())
    message = refusal(capsys, folder, out, "--model", "cells.safetensors")
    assert "cells.safetensors holds" in message
    assert "CellTrack R-CNN" in message
    tifffile.imwrite("small.tif", np.zeros((FRAMES, 60, 90), np.uint8), photometric="minisblack")
    message = refusal(capsys, folder, out, "--masks", "small.tif")
    assert "small.tif holds 4 label images of 60 x 90 pixels, but" in message
    assert "4 frames of 64 x 96" in message
    message = refusal(capsys, folder, out, "--masks", folder / "empty")
    assert "no cell was found in any of 4 frames" in message
    message = refusal(capsys, folder, out, "--cells.score", 1, "--cells.proposals", 50, "--cell-diameter", 15)
    assert "no cell was found in any of 4 frames" in message
    assert "nowhere does not exist" in refusal(capsys, folder, out, movie=tmp_path / "nowhere")
    assert "cell-diameter is 0" in refusal(capsys, folder, out, "--cell-diameter", 0)
    assert "cells.score is 2.0" in refusal(capsys, folder, out, "--cells.score", 2)
    assert "links.alpha is -1.0" in refusal(capsys, folder, out, "--links.alpha", -1)
    assert "of memory, but" in refusal(capsys, folder, out, "--cell-diameter", 0.02)


def test_a_frame_that_cannot_be_used_is_named(tmp_path, capsys, folder):
    movie = tmp_path / "movie"
    movie.mkdir()
    for frame in range(3):
        image = picture(tracks_at(frame)).astype(np.float32)
        image[4, 4] = np.nan if frame == 1 else 0
        tifffile.imwrite(movie / f"t{frame:03d}.tif", image)
    message = refusal(capsys, folder, tmp_path / "out", *ANYTHING, movie=movie)
    assert "t001.tif" in message
    assert "NaN" in message


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, capsys, folder):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(SystemExit):
        track(folder, tmp_path, "--masks", folder / "labels")
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
