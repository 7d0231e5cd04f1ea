"""``cellmotion predict``: a movie and a model file in, a complete folder out, or one sentence and nothing."""

import csv
import re

import numpy as np
import pytest
import tifffile

from cellmotion_jax import cli
from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.model_file import save_model as save_cell_model
from tests.cell_models import SHAPE, cell_model, tiny_cell_model, tiny_network


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """Three frames of noise in which a network with random weights sees many cells."""
    folder = tmp_path_factory.mktemp("movie") / "01"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.integers(0, 4000, SHAPE, np.uint16)
        pixel = {"resolution": (2, 2), "metadata": {"unit": "um"}}
        tifffile.imwrite(folder / f"t00{number}.tif", image, imagej=True, **pixel)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_cell_model(path, tiny_cell_model(detection=DetectionSettings(h=0.02, floor=0.0)))
    return path


def predict(movie, model, out, *options):
    cli.main(["predict", str(movie), "--model", str(model), "--out", str(out), *options])


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        predict(*arguments)
    assert exit_.value.code == 2
    return re.sub(r"[\s│]+", " ", capsys.readouterr().err)  # Tyro puts what it says into a box.


def test_a_folder_of_frames_becomes_masks_a_table_and_a_picture(capsys, tmp_path, movie, model):
    out = tmp_path / "results" / "01_RES"
    predict(movie, model, out)
    names = ["detections.csv", "mask000.tif", "mask001.tif", "mask002.tif", "overview.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    with (out / "detections.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"Wrote {out}: {len(rows)} cells in 3 frames" in capsys.readouterr().out
    assert float(rows[0]["y_um"]) == pytest.approx(0.5 * float(rows[0]["y"]))
    assert tifffile.imread(out / "mask000.tif").shape == tifffile.imread(movie / "t000.tif").shape
    assert [path.name for path in out.parent.iterdir()] == ["01_RES"]


def test_a_higher_h_finds_fewer_cells_and_smaller_tiles_nearly_the_same(tmp_path, movie, model):
    def cells(name, *options):
        predict(movie, model, tmp_path / name, *options)
        return len((tmp_path / name / "detections.csv").read_text().splitlines()) - 1

    as_trained = cells("a")
    rows = (tmp_path / "a" / "detections.csv").read_text().splitlines()[1:]
    highest = max(float(row.split(",")[4]) for row in rows)
    assert 0 < cells("b", "--detection.floor", f"{0.8 * highest}") < as_trained
    assert cells("d", "--detection.h", f"{0.8 * highest}") < as_trained
    assert (
        cells("c", "--tiling.tile", "64", "--tiling.margin", "24", "--tiling.batch-size", "3") == as_trained
    )


def test_a_folder_with_something_in_it_is_left_alone(capsys, tmp_path, movie, model):
    (tmp_path / "note.txt").write_text("mine")
    assert "is not empty" in refusal(capsys, movie, model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_what_goes_wrong_leaves_nothing_behind(capsys, tmp_path, model):
    frames = np.zeros((3, *SHAPE), np.float32)
    frames[2, 1, 1] = np.inf
    tifffile.imwrite(tmp_path / "bad.tif", frames, photometric="minisblack")
    assert "bad.tif page 2" in refusal(capsys, tmp_path / "bad.tif", model, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tif"]


def test_a_movie_or_model_that_is_not_one_is_refused(capsys, tmp_path, movie, model):
    assert "nowhere does not exist" in refusal(capsys, tmp_path / "nowhere", model, tmp_path / "out")
    assert "no safetensors file" in refusal(capsys, movie, movie / "t000.tif", tmp_path / "out")
    rgb = cell_model(*tiny_network(channels=3), channels=3)
    save_cell_model(tmp_path / "rgb.safetensors", rgb)
    message = refusal(capsys, movie, tmp_path / "rgb.safetensors", tmp_path / "out")
    assert "was trained on images of 3 channels, and movies are grey" in message


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [("--detection.h", "0", "detection.h is 0"), ("--tiling.margin", "300", "twice the margin of 300")],
)
def test_settings_out_of_range_are_refused(capsys, tmp_path, movie, model, option, value, named):
    assert named in refusal(capsys, movie, model, tmp_path / "out", option, value)


def test_cells_of_another_size_are_downsampled_to_those_of_the_training(capsys, tmp_path, movie, model):
    predict(movie, model, tmp_path / "same")
    predict(movie, model, tmp_path / "half", "--cell-diameter", str(2 * tiny_cell_model().cell_diameter))
    found = [int(number) for number in re.findall(r"(\d+) cells", capsys.readouterr().out)]
    # In noise every few pixels are a peak, and there is a quarter of the pixels.
    assert 3 < found[0] / found[1] < 5
    shapes = {tifffile.imread(tmp_path / name / "mask000.tif").shape for name in ("same", "half")}
    assert shapes == {SHAPE}
    assert "cell-diameter is -3.0" in refusal(capsys, movie, model, tmp_path / "x", "--cell-diameter", "-3")
