"""``cellmotion track --by linking``: label images, or a model's file, in and tracks out."""

import re

import numpy as np
import pytest
import tifffile

from cellmotion_jax import cli
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.track_table import read_man_track
from cellmotion_jax.methods.convlstm.model_file import save_model as save_video_model
from cellmotion_jax.methods.convlstm.segmenter import ConvLSTMSegmenter, ConvLSTMSettings
from cellmotion_jax.methods.deep_distance.model_file import save_model as save_cell_model
from cellmotion_jax.models.deep_distance import Task
from tests.cell_models import cell_model, tiny_network
from tests.movies_of_discs import FRAMES, SHAPE, cells, rows_of, write_movie
from tests.video_models import tiny_video_model, video_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A movie and its cells, numbered at random in every frame."""
    folder = tmp_path_factory.mktemp("link")
    write_movie(folder / "01")
    (folder / "labels").mkdir()
    rng = np.random.default_rng(0)
    for frame in range(FRAMES):
        numbers = np.concatenate([[0], 1 + rng.choice(60_000, 3, replace=False)]).astype(np.uint16)
        tifffile.imwrite(folder / "labels" / f"m{frame}.tif", numbers[cells(frame)])
    return folder


def link(movie, segmentation, out, *options):
    named = ["--by", "linking", "--segmentation", str(segmentation), "--out", str(out)]
    cli.main(["track", str(movie), *named, *map(str, options)])


def refusal(capsys, movie, segmentation, out, *options):
    with pytest.raises(SystemExit) as exit_:
        link(movie, segmentation, out, *options)
    assert exit_.value.code == 2
    assert not out.exists()
    assert not list(out.parent.glob(".*"))
    return re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def check_tracks(out):
    table = read_man_track(out / "res_track.txt")
    spans = sorted(zip(table.begin.tolist(), table.end.tolist()))
    assert spans == [(0, 1), (0, 4), (0, 4)]
    masks = open_movie(out)
    for frame in range(FRAMES):
        np.testing.assert_array_equal(masks[frame] > 0, cells(frame) > 0)
    assert masks[0][24, 20] == masks[4][24, 32]
    assert masks[0][64, 90] == masks[4][64, 90]


def test_given_label_images_are_linked(tmp_path, capsys, folder):
    out = tmp_path / "results" / "01_RES"
    link(folder / "01", folder / "labels", out, "--pixel-size-um", 0.5)
    check_tracks(out)
    names = [*(f"mask00{frame}.tif" for frame in range(FRAMES)), "res_track.txt", "tracks.csv"]
    assert sorted(path.name for path in out.iterdir()) == [*names, "trajectories.png"]
    assert [path.name for path in out.parent.iterdir()] == ["01_RES"]
    rows = rows_of(out / "tracks.csv")
    assert list(rows[0]) == ["track", "frame", "y", "x", "area_px2", "parent", "y_um", "x_um", "area_um2"]
    order = [(int(row["track"]), int(row["frame"])) for row in rows]
    assert order == sorted(order)
    assert len(order) == 12
    mover = [row for row in rows if row["track"] == str(open_movie(out)[0][24, 20])]
    assert [float(row["x"]) for row in mover] == pytest.approx([20 + 3 * frame for frame in range(FRAMES)])
    assert float(mover[2]["x_um"]) == pytest.approx(0.5 * 26)
    assert float(mover[0]["area_um2"]) == pytest.approx(0.25 * np.count_nonzero(cells(0) == 1))
    assert "3 tracks of 12 outlines in 5 frames" in capsys.readouterr().out


def test_links_have_settings_and_a_stack_is_as_good_as_a_folder(tmp_path, folder):
    stack = np.stack([cells(0), np.zeros(SHAPE, int), cells(2)]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "labels.tif", stack, photometric="minisblack", metadata={"axes": "TYX"})
    movie = write_movie(tmp_path / "movie", [0, 1, 2])
    tracks = {}
    for longest in (0, 2):
        link(movie, tmp_path / "labels.tif", tmp_path / f"{longest}", "--links.longest-gap", longest)
        tracks[longest] = read_man_track(tmp_path / f"{longest}" / "res_track.txt").parent
    assert not tracks[0].any()
    assert np.count_nonzero(tracks[2]) == 2


def test_fresh_label_images_of_a_model_are_linked(tmp_path, monkeypatch, folder):
    """A ConvLSTM model that is right on these movies stands in for the one in the file."""
    right = video_model()
    segmenter = ConvLSTMSegmenter(model=right, settings=ConvLSTMSettings(instances=right.instances))
    opened = "cellmotion_jax.cli.track_by_linking.open_segmenter"
    monkeypatch.setattr(opened, lambda paths, *, cell_diameter=None: segmenter)
    link(folder / "01", "model.safetensors", tmp_path / "r", "--memory", "window")
    check_tracks(tmp_path / "r")


def test_the_file_of_a_model_is_all_that_is_needed(tmp_path, capsys):
    save_video_model(tmp_path / "model.safetensors", tiny_video_model())
    movie = write_movie(tmp_path / "movie", [0, 1])
    link(movie, tmp_path / "model.safetensors", tmp_path / "r", "--instances.threshold", 0)
    assert "1 track of 2 outlines in 2 frames" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(
            ["track", "--by", "linking", "--segmentation", str(tmp_path / "model.safetensors"), "--help"]
        )
    assert "--instances.threshold" in capsys.readouterr().out


def test_what_cannot_be_linked_is_refused(tmp_path, capsys, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    movie, labels, out = folder / "01", folder / "labels", tmp_path / "out"
    (tmp_path / "fewer").mkdir()
    for frame in range(2):
        tifffile.imwrite(tmp_path / "fewer" / f"m{frame}.tif", cells(frame).astype(np.uint16))
    message = refusal(capsys, movie, "fewer", out)
    assert "fewer holds 2 label images of 96 x 128 pixels, but" in message
    tifffile.imwrite("real.tif", np.full((FRAMES, *SHAPE), 0.5, np.float32), photometric="minisblack")
    assert "labels are whole numbers" in refusal(capsys, movie, "real.tif", out)
    tifffile.imwrite("none.tif", np.zeros((FRAMES, *SHAPE), np.uint8), photometric="minisblack")
    assert "none.tif: no cell was found in any of 5 frames" in refusal(capsys, movie, "none.tif", out)
    below = np.full((FRAMES, *SHAPE), -1, np.int16)
    tifffile.imwrite("below.tif", below, photometric="minisblack")
    assert "below.tif, frame 0, holds label -1" in refusal(capsys, movie, "below.tif", out)
    assert "nowhere does not exist" in refusal(capsys, movie, "nowhere", out)
    assert "none.safetensors does not exist" in refusal(capsys, movie, "none.safetensors", out)
    assert "holds label images" in refusal(capsys, movie, labels, out, "--cell-diameter", 5)
    assert "links.longest-gap is -1" in refusal(capsys, movie, labels, out, "--links.longest-gap", -1)
    assert "pixel-size-um is 0.0" in refusal(capsys, movie, labels, out, "--pixel-size-um", 0)
    places = cell_model(*tiny_network(tasks=(Task.inner,)))
    save_cell_model("places.safetensors", places)
    assert "places of cells without outlines" in refusal(capsys, movie, "places.safetensors", out)
    with pytest.raises(SystemExit):
        cli.main(["track", str(movie), "--by", "linking", "--out", str(out)])
    assert "--segmentation" in capsys.readouterr().err


def test_a_folder_with_something_in_it_is_left_alone(capsys, tmp_path, folder):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(SystemExit):
        link(folder / "01", folder / "labels", tmp_path)
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
