"""``cellmotion track``: a movie and its first cells in, a whole folder out, or one sentence and nothing."""

import csv
import json
import re
import shutil

import numpy as np
import PIL.Image
import pytest
import tifffile

from cellmotion_jax import cli
from cellmotion_jax.methods.celltrack_embedding.model_file import save_model as save_embedding
from cellmotion_jax.methods.deep_distance.model_file import save_model as save_cell_model
from cellmotion_jax.methods.deepcell.model_file import save_model as save_nuclei_network
from cellmotion_jax.methods.recognet.model_file import save_model as save_recognet
from cellmotion_jax.weights.kinds import FILTERS_KEY
from cellmotion_jax.weights.safetensors_files import read_metadata, read_safetensors
from tests.blank_frames import KINDS, blank
from tests.blob_movies import draw, straight
from tests.cell_models import tiny_cell_model
from tests.nuclei_networks import tiny_nuclei_network
from tests.recognet_models import tiny_recognet
from tests.tracking_embeddings import tiny_embedding

PATHS = np.stack([straight((20, 16), (1, 2), 6), straight((44, 50), (0, -1), 6)], axis=1)
IDS = (7, 3)
FAST = ("--window", "32", "--no-compete")
OUTPUTS = ["filters.safetensors", *(f"mask00{t}.tif" for t in range(6)), "res_track.txt", "tracks.csv"]


def squares(frame, *, labels=IDS, first=0):
    image = np.zeros((64, 64), np.uint16)
    for label, (y, x) in list(zip(labels, PATHS[frame]))[first:]:
        image[y - 8 : y + 9, x - 8 : x + 9] = label
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two moving cells, their labels, and segments numbered afresh, of the second cell from frame 3 on."""
    folder = tmp_path_factory.mktemp("track")
    for name in ("01", "labels", "segments"):
        (folder / name).mkdir()
    for number, frame in enumerate(draw(PATHS)):
        pixel = {"resolution": (2, 2), "metadata": {"unit": "um"}}
        image = np.round(1000 + 300 * frame).astype(np.uint16)
        tifffile.imwrite(folder / "01" / f"t00{number}.tif", image, imagej=True, **pixel)
        tifffile.imwrite(folder / "labels" / f"man_track00{number}.tif", squares(number))
        segments = np.where(squares(number) == 3, 2 * (number >= 3), squares(number) > 0).astype(np.uint16)
        tifffile.imwrite(folder / "segments" / f"mask00{number}.tif", segments)
    (folder / "places.csv").write_text("id,y,x,frame\n3,44,50,0\n7,22,20,2\n")
    return folder


def track(folder, out, *options):
    cli.main(["track", str(folder / "01"), "--out", str(out), *map(str, options), *FAST])


def refusal(capsys, folder, out, *options):
    with pytest.raises(SystemExit) as exit_:
        track(folder, out, *options)
    assert exit_.value.code == 2
    assert not out.exists()
    assert not list(out.parent.glob(".*partial*"))
    return re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def table(out):
    with (out / "tracks.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_label_image_becomes_tracks_masks_filters_and_pictures(capsys, tmp_path, folder):
    out = tmp_path / "results" / "01_RES"
    track(folder, out, "--start", folder / "labels" / "man_track000.tif", "--live", 7)
    names = sorted([*OUTPUTS, "live.gif", "trajectories.png"])
    assert sorted(path.name for path in out.iterdir()) == names
    assert [path.name for path in out.parent.iterdir()] == ["01_RES"]
    assert f"Wrote {out}: 2 tracks in 6 frames, 0.0% of their places reported lost" in capsys.readouterr().out
    rows = table(out)
    assert [int(row["track"]) for row in rows] == [3] * 6 + [7] * 6
    places = np.array([[float(row["y"]), float(row["x"])] for row in rows]).reshape(2, 6, 2)
    assert np.abs(places - PATHS.transpose(1, 0, 2)[::-1]).max() < 1
    assert float(rows[1]["x_um"]) == pytest.approx(0.5 * float(rows[1]["x"]), rel=1e-4)
    assert (out / "res_track.txt").read_text().splitlines() == ["3 0 5 0", "7 0 5 0"]
    mask = tifffile.imread(out / "mask005.tif")
    assert [mask[tuple(place)] for place in PATHS[5]] == list(IDS)
    tensors = read_safetensors(out / "filters.safetensors")
    assert tensors["identity"].tolist() == [3, 7]
    assert tensors["layer_0/numerator"].shape == (2, 1, 32, 17, 2)
    described = json.loads(read_metadata(out / "filters.safetensors")[FILTERS_KEY])
    assert described["form"] == "LinearFilter"
    assert described["window"] == 32
    with PIL.Image.open(out / "live.gif") as live:
        assert getattr(live, "n_frames", 1) == 6


def test_a_chosen_few_by_id_or_by_place(tmp_path, folder):
    start = ("--start", folder / "labels" / "man_track000.tif")
    track(folder, tmp_path / "id", *start, "--ids", 3)
    track(folder, tmp_path / "place", *start, "--at", 46, 52)
    for name in ("id", "place"):
        assert {row["track"] for row in table(tmp_path / name)} == {"3"}
    assert "trajectories.png" in [path.name for path in (tmp_path / "id").iterdir()]


def test_places_without_masks_need_a_diameter(capsys, tmp_path, folder):
    start = ("--start", folder / "places.csv")
    assert "cell-diameter is needed" in refusal(capsys, folder, tmp_path / "no", *start)
    track(folder, tmp_path / "csv", *start, "--cell-diameter", 19)
    assert [(row["track"], row["frame"]) for row in table(tmp_path / "csv")] == [
        *(("3", str(frame)) for frame in range(6)),
        *(("7", str(frame)) for frame in range(2, 6)),
    ]
    track(folder, tmp_path / "at", "--at", 20, 16, 44, 50, "--cell-diameter", 19)
    assert {row["track"] for row in table(tmp_path / "at")} == {"1", "2"}


def test_points_beside_the_cells_are_warned_of(caplog, tmp_path):
    image = np.random.default_rng(0).normal(500, 20, (6, 64, 64))
    image[:, 15:30, 15:30] += 1000
    tifffile.imwrite(tmp_path / "movie.tif", image.astype(np.uint16), photometric="minisblack")
    points = ("--at", "22", "22", "50", "50", "--cell-diameter", "16", "--window", "32")
    cli.main(["track", str(tmp_path / "movie.tif"), *points, "--out", str(tmp_path / "r")])
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "there is hardly more than noise at 50 50 (y x): are they on cells?"
    )
    assert {row["track"] for row in table(tmp_path / "r")} == {"1", "2"}


def test_identities_are_put_onto_segments_and_new_segments_begin_tracks(tmp_path, folder):
    segments = ("--segmentation", folder / "segments")
    track(folder, tmp_path / "first", *segments)
    assert {row["track"] for row in table(tmp_path / "first")} == {"1"}
    track(folder, tmp_path / "all", *segments, "--every-birth")
    assert [row["frame"] for row in table(tmp_path / "all") if row["track"] == "2"] == ["3", "4", "5"]
    mask = tifffile.imread(tmp_path / "all" / "mask005.tif")
    np.testing.assert_array_equal(mask, squares(5, labels=(1, 2)))


def test_every_new_label_of_a_folder_is_followed(capsys, tmp_path, folder):
    labels = tmp_path / "labels"
    labels.mkdir()
    for number in range(6):
        tifffile.imwrite(labels / f"m{number}.tif", squares(number, first=int(number == 0)))
    track(folder, tmp_path / "born", "--start", labels, "--every-birth")
    assert [row["frame"] for row in table(tmp_path / "born") if row["track"] == "7"] == list("12345")
    message = refusal(capsys, folder, tmp_path / "x", "--start", folder / "places.csv", "--every-birth")
    assert "every-birth needs to know of births" in message


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "start is missing"),
        (("--start", "nowhere.tif"), "nowhere.tif"),
        (("--start", "labels", "--ids", "5"), "ids has 5, but the cells to follow are 3, 7"),
        (("--start", "labels", "--at", "5", "60"), "the nearest cell"),
        (("--start", "labels", "--live", "4"), "live is 4"),
        (("--start", "labels", "--cell-diameter", "-1"), "cell-diameter is -1.0"),
        (("--start", "places.csv", "--every-birth"), "every-birth needs"),
        (("--segmentation", "places.csv"), "places.csv"),
        (("--segmentation", "model.safetensors"), "model.safetensors is a model's file"),
        (("--start", "labels", "--model", "labels/man_track000.tif"), "man_track000.tif"),
        (("--at", "70", "5", "--cell-diameter", "16"), "outside the image of 64 x 64"),
        (("--start", "labels", "--layers", "2"), "layers is 2, but intensities are one layer"),
        (("--start", "labels", "--layer-weights", "1", "0.5"), "filters look at 1 layers"),
        (
            ("--start", "labels", "--scales", "0", "1"),
            "scales is (0.0, 1.0); it must be a list, each a number from 0.1 to 10",
        ),
        (("--start", "labels", "--by", "hand"), "hand"),
    ],
)
def test_what_cannot_be_followed_is_refused(capsys, tmp_path, folder, monkeypatch, options, named):
    monkeypatch.chdir(folder)
    assert named in refusal(capsys, folder, tmp_path / "out", *options)


def test_a_folder_with_something_in_it_is_left_alone(capsys, tmp_path, folder):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(SystemExit):
        track(folder, tmp_path, "--start", folder / "labels")
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def described(out):
    return json.loads(read_metadata(out / "filters.safetensors")[FILTERS_KEY])


def test_filters_look_at_the_network_that_the_file_holds(capsys, tmp_path, folder):
    start = ("--start", folder / "labels" / "man_track000.tif")
    save_recognet(tmp_path / "recognet.safetensors", tiny_recognet())
    track(folder, tmp_path / "r", *start, "--model", tmp_path / "recognet.safetensors", "--layers", 3)
    assert described(tmp_path / "r")["features"] == "RecogNetFeatures"
    assert described(tmp_path / "r")["strides"] == [1, 1, 2]
    save_nuclei_network(tmp_path / "deepcell.safetensors", tiny_nuclei_network())
    options = ("--model", tmp_path / "deepcell.safetensors", "--layers", 2, "--layer-weights", 1, 0.5)
    track(folder, tmp_path / "d", *start, *options, "--scales", 0.95, 1, 1.05, "--scale-spread", 0.1)
    assert described(tmp_path / "d")["features"] == "DeepCellFeatures"
    assert described(tmp_path / "d")["zoom"] == 1
    assert len(table(tmp_path / "d")) == 12
    boxes = {float(row["y1"]) - float(row["y0"]) for row in table(tmp_path / "d")}
    assert len(boxes) > 1
    message = refusal(capsys, folder, tmp_path / "x", *start, *options[:2], "--layers", 4)
    assert "layers is 4, but" in message
    assert "a number from 1 to 3" in message
    save_cell_model(tmp_path / "cells.safetensors", tiny_cell_model())
    message = refusal(capsys, folder, tmp_path / "x", *start, "--model", tmp_path / "cells.safetensors")
    assert "`cellmotion segment` takes as --model" in message


def test_an_embedding_sets_the_defaults_of_its_training(capsys, tmp_path, folder):
    path = tmp_path / "embedding.safetensors"
    save_embedding(path, tiny_embedding())
    start = ("--start", folder / "labels" / "man_track000.tif")
    track(folder, tmp_path / "one", *start, "--model", path, "--centring.radius", 5)
    settings = described(tmp_path / "one")
    assert (settings["window"], settings["strides"]) == (32, [1])
    assert (settings["settings"]["sigma"], settings["settings"]["regularization"]) == (1.5, 0.013)
    track(
        folder, tmp_path / "two", *start, "--model", path, "--layers", 2, "--filter.sigma", 2, "--no-centre"
    )
    assert described(tmp_path / "two")["strides"] == [1, 1]
    assert described(tmp_path / "two")["settings"]["sigma"] == 2
    with pytest.raises(SystemExit):
        cli.main(["track", "--model", str(path), "--help"])
    shown = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert re.search(r"--sharpness FLOAT [^(]*\(default: 9.4\)", shown)


@pytest.mark.parametrize("kind", ["black", "white", "dark", "bright", "saturated"])
def test_a_frame_without_information_is_named_and_flagged_alone(capsys, tmp_path, folder, kind):
    """The gravest fault of all: one dark frame, and every cell was called lost from there to the end."""
    shutil.copytree(folder / "01", tmp_path / "01")
    good = tifffile.imread(tmp_path / "01" / "t003.tif")
    tifffile.imwrite(tmp_path / "01" / "t003.tif", blank(kind, good, noise=15.0))
    out = tmp_path / "result"
    track(tmp_path, out, "--start", folder / "labels" / "man_track000.tif")
    printed = capsys.readouterr().out
    assert f"1 frame has no information and was left out: t003.tif ({KINDS[kind].value})." in printed
    assert (out / "blank_frames.csv").read_text().splitlines()[1:] == [f"3,t003.tif,{KINDS[kind].value}"]
    rows = table(out)
    assert [(row["track"], row["frame"]) for row in rows if row["lost"] == "1"] == [("3", "3"), ("7", "3")]
    places = np.array([[float(row["y"]), float(row["x"])] for row in rows]).reshape(2, 6, 2)
    assert np.abs(places - PATHS.transpose(1, 0, 2)[::-1])[:, [0, 1, 2, 4, 5]].max() < 1
    assert (out / "res_track.txt").read_text().splitlines() == ["3 0 5 0", "7 0 5 0"]
    track(tmp_path, tmp_path / "all", "--start", folder / "labels" / "man_track000.tif", "--no-skip-blank")
    assert not (tmp_path / "all" / "blank_frames.csv").exists()


def test_segments_of_which_the_first_image_is_empty(tmp_path, folder):
    """Tracks begin in the first image that has cells, whose masks tell the size."""
    shutil.copytree(folder / "labels", tmp_path / "seg")
    tifffile.imwrite(tmp_path / "seg" / "man_track000.tif", np.zeros((64, 64), np.uint16))
    for options in ((), ("--every-birth",), ("--every-birth", "--cell-diameter", 19)):
        out = tmp_path / f"result{len(options)}"
        track(folder, out, "--segmentation", tmp_path / "seg", *options)
        assert sorted(line.split()[1:3] for line in (out / "res_track.txt").read_text().splitlines()) == [
            ["1", "5"],
            ["1", "5"],
        ]
