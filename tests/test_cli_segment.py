"""``cellmotion segment``: a movie and a model file in, a complete folder out, or one sentence and nothing."""

import re

import numpy as np
import pytest
import tifffile

from cellmotion_jax import cli
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.convlstm.instances import InstanceSettings
from cellmotion_jax.methods.convlstm.model_file import save_model as save_video_model
from cellmotion_jax.methods.convlstm.segmenter import ConvLSTMSegmenter, ConvLSTMSettings
from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.methods.deep_distance.model_file import save_model as save_cell_model
from cellmotion_jax.methods.deepcell.model_file import save_model as save_nuclei_network
from cellmotion_jax.methods.recognet.model_file import save_model as save_recognet
from tests.cell_models import SHAPE, cell_model, tiny_cell_model, tiny_network
from tests.imported_weights import imported
from tests.movies_of_discs import FRAMES, cells, rows_of, write_movie
from tests.movies_of_discs import SHAPE as DISCS_SHAPE
from tests.nuclei_networks import tiny_nuclei_network
from tests.recognet_models import tiny_recognet
from tests.video_models import tiny_video_model, video_model


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


@pytest.fixture
def bright_model(monkeypatch):
    """A ConvLSTM model that is right on movies of discs stands in for the one in the file."""
    right = video_model()

    def opened(paths, *, cell_diameter=None):
        return ConvLSTMSegmenter(model=right, settings=ConvLSTMSettings(instances=right.instances))

    monkeypatch.setattr("cellmotion_jax.cli.segment.open_segmenter", opened)
    return "bright.safetensors"


def segment(movie, model, out, *options):
    cli.main(["segment", str(movie), "--model", str(model), "--out", str(out), *map(str, options)])


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        segment(*arguments)
    assert exit_.value.code == 2
    return re.sub(r"[\s│]+", " ", capsys.readouterr().err)  # Tyro puts what it says into a box.


def test_a_folder_of_frames_becomes_masks_a_table_and_a_picture(capsys, tmp_path, movie, model):
    out = tmp_path / "results" / "01_RES"
    segment(movie, model, out)
    names = ["detections.csv", "mask000.tif", "mask001.tif", "mask002.tif", "overview.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    rows = rows_of(out / "detections.csv")
    assert f"Wrote {out}: {len(rows):,} detections in 3 frames" in capsys.readouterr().out
    assert float(rows[0]["y_um"]) == pytest.approx(0.5 * float(rows[0]["y"]))
    assert tifffile.imread(out / "mask000.tif").shape == tifffile.imread(movie / "t000.tif").shape
    assert [path.name for path in out.parent.iterdir()] == ["01_RES"]


def test_a_higher_h_finds_fewer_cells_and_smaller_tiles_nearly_the_same(tmp_path, movie, model):
    def cells(name, *options):
        segment(movie, model, tmp_path / name, *options)
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
    assert "is a TIFF image; it should be a safetensors file" in refusal(
        capsys, movie, movie / "t000.tif", tmp_path / "out"
    )
    with pytest.raises(InputError, match=r"channels is 5; it must be one of 1, 3"):
        cell_model(*tiny_network(channels=5), channels=5)


def test_movies_have_the_colours_of_the_training(capsys, tmp_path, movie, model):
    rgb_model = tmp_path / "rgb.safetensors"
    detection = DetectionSettings(h=0.02, floor=0.0)
    save_cell_model(rgb_model, cell_model(*tiny_network(channels=3), channels=3, detection=detection))
    message = refusal(capsys, movie, rgb_model, tmp_path / "out")
    assert "was trained on images of 3 channels, red, green and blue" in message
    assert "01 is grey" in message
    rgb = np.random.default_rng(0).integers(0, 255, (2, *SHAPE, 3), np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", rgb, photometric="rgb")
    assert "has colours or channels" in refusal(capsys, tmp_path / "rgb.tif", model, tmp_path / "out")
    segment(tmp_path / "rgb.tif", rgb_model, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("mask*.tif"))) == 2
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(rgb):
        tifffile.imwrite(tmp_path / "frames" / f"t00{number}.tif", frame, photometric="rgb")
    segment(tmp_path / "frames", rgb_model, tmp_path / "same")
    for name in ("mask000.tif", "mask001.tif"):
        np.testing.assert_array_equal(
            tifffile.imread(tmp_path / "out" / name), tifffile.imread(tmp_path / "same" / name)
        )
    message = refusal(capsys, tmp_path / "frames", rgb_model, tmp_path / "x", "--drift", "subpixel")
    assert "drift is measured in grey movies" in message


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [("--detection.h", "0", "detection.h is 0"), ("--tiling.margin", "300", "twice the margin of 300")],
)
def test_settings_out_of_range_are_refused(capsys, tmp_path, movie, model, option, value, named):
    assert named in refusal(capsys, movie, model, tmp_path / "out", option, value)


def test_cells_of_another_size_are_downsampled_to_those_of_the_training(capsys, tmp_path, movie, model):
    segment(movie, model, tmp_path / "same")
    segment(movie, model, tmp_path / "half", "--cell-diameter", str(2 * tiny_cell_model().cell_diameter))
    told = re.findall(r"([\d,]+) detections", capsys.readouterr().out)
    found = [int(number.replace(",", "")) for number in told]
    # In noise every few pixels are a peak, and there is a quarter of the pixels.
    assert 3 < found[0] / found[1] < 5
    shapes = {tifffile.imread(tmp_path / name / "mask000.tif").shape for name in ("same", "half")}
    assert shapes == {SHAPE}
    assert "cell-diameter is -3.0" in refusal(capsys, movie, model, tmp_path / "x", "--cell-diameter", "-3")


def test_frames_are_segmented_with_those_before(tmp_path, capsys, bright_model):
    out = tmp_path / "result"
    segment(write_movie(tmp_path / "movie"), bright_model, out)
    masks = open_movie(out)
    for frame in range(FRAMES):
        np.testing.assert_array_equal(masks[frame] > 0, cells(frame) > 0)
    rows = rows_of(out / "detections.csv")
    assert [int(row["frame"]) for row in rows] == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4]
    for row in rows:
        assert int(row["area_px2"]) == np.count_nonzero(masks[int(row["frame"])] == int(row["label"]))
        assert 0.9 < float(row["score"]) <= 1
    assert "12 detections in 5 frames" in capsys.readouterr().out


def test_a_movie_shorter_than_the_window_and_other_settings(tmp_path, bright_model):
    out, movie = tmp_path / "result", write_movie(tmp_path / "movie", [0])
    segment(movie, bright_model, out, "--instances.smallest-area", "300", "--memory", "window")
    assert [row["frame"] for row in rows_of(out / "detections.csv")] == ["0"]


def test_a_depth_of_zero_parts_no_cells(tmp_path, bright_model):
    movie = write_movie(tmp_path / "movie", [0])
    segment(movie, bright_model, tmp_path / "none", "--instances.split-depth", "0")
    segment(movie, bright_model, tmp_path / "some", "--instances.split-depth", "2")
    found = [len(rows_of(tmp_path / name / "detections.csv")) for name in ("none", "some")]
    assert found[0] == 3 <= found[1]


def test_the_drift_of_the_microscope_is_taken_back_on_demand(tmp_path, bright_model):
    rng = np.random.default_rng(1)
    wide = np.kron(rng.normal(0, 300, (70, 80)), np.ones((2, 2))) + 2000
    wide[60:90, 70:100] = 20_000
    folder = tmp_path / "movie"
    folder.mkdir()
    for frame in range(4):
        top, left = 10 + 2 * frame, 12 - 3 * frame
        part = wide[top : top + DISCS_SHAPE[0], left : left + DISCS_SHAPE[1]].astype(np.uint16)
        tifffile.imwrite(folder / f"t{frame:03d}.tif", part)
    out = tmp_path / "result"
    segment(folder, bright_model, out, "--drift", "whole_pixels", "--pixel-size-um", "0.65")
    moved = rows_of(out / "drift.csv")
    assert [round(float(row["dy_px"])) for row in moved] == [0, -2, -4, -6]
    assert [round(float(row["dx_px"])) for row in moved] == [0, 3, 6, 9]
    masks, corrected = open_movie(out), open_movie(out / "corrected")
    assert masks.shape == corrected.shape == (DISCS_SHAPE[0] - 6, DISCS_SHAPE[1] - 9)
    assert corrected.frame_names == ("t000.tif", "t001.tif", "t002.tif", "t003.tif")
    assert corrected.pixel_size_um == pytest.approx(0.65)
    for frame in range(1, 4):
        np.testing.assert_array_equal(masks[frame], masks[0])
        np.testing.assert_array_equal(corrected[frame], corrected[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--pixel-size-um", "0"), "pixel-size-um is 0.0; it must be a number from 0.001 to 50"),
        (("--instances.smallest-area", "100000"), "no cell was found in any of 2 frames"),
        (("--instances.threshold", "2"), "threshold is 2"),
        (("--tiling.tile", "300"), "tiling.tile is 300; for this network it is a multiple of 32"),
    ],
)
def test_settings_that_leave_nothing_are_refused(tmp_path, capsys, bright_model, options, words):
    movie = write_movie(tmp_path / "movie", range(2))
    assert words in refusal(capsys, movie, bright_model, tmp_path / "result", *options)
    assert list(tmp_path.iterdir()) == [movie]


def test_a_frame_that_cannot_be_used_is_named_and_nothing_is_written(tmp_path, capsys, bright_model):
    movie = write_movie(tmp_path / "movie", range(3))
    for number in range(3):
        frame = tifffile.imread(movie / f"t{number:03d}.tif").astype(np.float32)
        frame[3, 4] = np.nan if number == 1 else 0
        tifffile.imwrite(movie / f"t{number:03d}.tif", frame)
    assert "t001.tif: the image holds NaN" in refusal(capsys, movie, bright_model, tmp_path / "result")
    assert list(tmp_path.iterdir()) == [movie]


def test_a_file_that_finds_no_cells_is_refused_with_the_command_that_takes_it(tmp_path, capsys, movie, model):
    save_recognet(tmp_path / "recognet.safetensors", tiny_recognet())
    message = refusal(capsys, movie, tmp_path / "recognet.safetensors", tmp_path / "r")
    assert "holds a RecogNet" in message
    assert "`cellmotion track` takes as --model" in message
    assert "none.safetensors does not exist" in refusal(
        capsys, movie, tmp_path / "none.safetensors", tmp_path / "r"
    )
    save_video_model(tmp_path / "video.safetensors", tiny_video_model())
    with pytest.raises(SystemExit):
        cli.main(["segment", "m", "--model", str(model), str(tmp_path / "video.safetensors"), "--out", "r"])
    assert "a ConvLSTM model, but" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["segment", "m", "--model", str(model), str(model), "--out", "r"])
    assert "is a second file of a DeepDistance model" in capsys.readouterr().err


def test_the_file_of_a_convlstm_model_is_all_that_is_needed(tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    save_video_model(path, tiny_video_model(instances=InstanceSettings(smallest_area=40, split_depth=3.0)))
    segment(write_movie(tmp_path / "movie", [0, 1]), path, tmp_path / "r", "--instances.threshold", "0")
    assert "2 detections in 2 frames" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["segment", "--model", str(path), "--cell-diameter", "24", "--help"])
    shown = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    # Cells are twice as large as in training: four times the area, twice the depth.
    assert re.search(r"--instances.smallest-area INT [^(]*\(default: 160\)", shown)
    assert re.search(r"--instances.split-depth [^(]*\(default: 6.0\)", shown)


def test_replicates_of_a_nuclei_network_are_an_ensemble(tmp_path, capsys):
    files = []
    for member in range(2):
        files.append(tmp_path / f"member_{member}.safetensors")
        save_nuclei_network(files[-1], tiny_nuclei_network(seed=member))
    movie = write_movie(tmp_path / "movie", [0, 1])
    options = ["--seed", "0.02", "--extent", "0.01", "--smallest", "1"]
    command = ["segment", str(movie), "--model", *map(str, files)]
    cli.main([*command, "--out", str(tmp_path / "r"), *options])
    assert "detections in 2 frames" in capsys.readouterr().out
    rows = rows_of(tmp_path / "r" / "detections.csv")
    assert all(0.01 <= float(row["score"]) <= 1 for row in rows)
    assert tifffile.imread(tmp_path / "r" / "mask001.tif").shape == DISCS_SHAPE
    with pytest.raises(SystemExit):
        cli.main([*command, "--out", str(tmp_path / "s"), "--cell-diameter", "20"])
    message = re.sub(r"\s+", " ", capsys.readouterr().err)
    assert "does not say how large the cells were" in message
    assert "give downsample" in message


def test_imported_networks_of_deepcell_segment_and_backbones_do_not(tmp_path, capsys):
    files = [imported(tmp_path / f"{member}.safetensors", "deepcell-ecoli-31x31") for member in range(2)]
    movie = write_movie(tmp_path / "movie", [0])
    command = ["segment", str(movie), "--out", str(tmp_path / "r"), "--model"]
    # Zeros make every class as likely as the others, everywhere: the frame is one nucleus.
    cli.main([*command, *map(str, files), "--seed", "0.3", "--stride", "4"])
    (row,) = rows_of(tmp_path / "r" / "detections.csv")
    assert int(row["area_px2"]) == DISCS_SHAPE[0] * DISCS_SHAPE[1]
    assert float(row["score"]) == pytest.approx(1 / 3, abs=1e-4)
    assert "1 detection in 1 frame" in capsys.readouterr().out
    backbone = imported(tmp_path / "b.safetensors", "mobilenet-v2-0.35")
    message = refusal(capsys, movie, backbone, tmp_path / "s")
    assert "the weights of mobilenet-v2-0.35, which `cellmotion train` takes as --weights" in message
    other = imported(tmp_path / "c.safetensors", "deepcell-nuclei-61x61")
    with pytest.raises(SystemExit):
        cli.main([*command, str(files[0]), str(other)])
    assert "but" in capsys.readouterr().err


def test_help_lists_the_settings_of_the_model_that_is_given(capsys, model):
    shown = {}
    for given in ((), ("--model", str(model))):
        with pytest.raises(SystemExit) as exit_:
            cli.main(["segment", *given, "--help"])
        assert exit_.value.code == 0
        shown[bool(given)] = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "--model FILE --help lists the settings of a model" in shown[False]
    assert "--detection.h" not in shown[False]
    assert re.search(r"--detection.h FLOAT [^(]*\([^)]*\)\. \(default: 0.02\)", shown[True])
    assert "--memory" not in shown[True]
    assert "This model takes grey frames; it was trained on cells about 12 pixels across." in shown[True]
