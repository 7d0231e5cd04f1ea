"""The command line: lists, helps, and refuses in one sentence with exit code 2."""

import pathlib

import numpy as np
import pytest

from cellmotion_jax import cli
from cellmotion_jax.experiments import EXPERIMENTS
from tests.imported_weights import torch_tensors


def refusal(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_list_names_every_experiment_and_what_it_reproduces(capsys):
    cli.main(["train", "--list"])
    out = capsys.readouterr().out
    assert all(name in out and entry.reproduces in out for name, entry in EXPERIMENTS.items())


def test_help_lists_every_setting(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "direction", "--help-all"])
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    for option in ("--data.root", "--optimizer.b1", "--phases.0.steps", "--run.patience", "--precision"):
        assert option in out


def test_an_unknown_experiment_or_command_is_answered_with_the_closest(capsys):
    assert "did you mean 'direction-grid'" in refusal(capsys, "train", "direction-gird")
    assert "did you mean 'train'" in refusal(capsys, "trian")


def ctc_folder(root: pathlib.Path) -> list[str]:
    return ["train", "direction", "--data.root", str(root), "--run.folder", str(root.parent / "run")]


def test_a_folder_that_is_not_there_is_refused(capsys, tmp_path):
    assert str(tmp_path / "nowhere") in refusal(capsys, *ctc_folder(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []  # Not even a folder for the run


def test_a_folder_without_frames_is_refused(capsys, tmp_path):
    (tmp_path / "empty" / "01").mkdir(parents=True)
    assert "empty" in refusal(capsys, *ctc_folder(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--run.batch-size", "0", "batch-size"),
        ("--folds", "0", "folds"),
        ("--data.movies", "0", "movies"),
        ("--phases.0.steps", "0", "steps"),
        ("--phases.0.epochs", "3", "epochs"),
        ("--phases.0.statistics-momentum", "1.5", "statistics-momentum"),
    ],
)
def test_settings_out_of_range_are_refused(capsys, tmp_path, option, value, named):
    sentence = refusal(capsys, "train", "--run.folder", str(tmp_path / "run"), option, value)
    assert named in sentence
    assert value in sentence


def test_weights_are_imported_by_one_command_and_refused_by_the_wrong_experiment(capsys, tmp_path):
    source, out = tmp_path / "source.npz", tmp_path / "yolo.safetensors"
    np.savez(source, **torch_tensors())
    cli.main(["import-weights", str(source), "--model", "yolov8-n", "--out", str(out)])
    assert "135 tensors of 1,277,680 values" in capsys.readouterr().out
    run = ["--run.folder", str(tmp_path / "run")]
    message = refusal(capsys, "train", "direction-mobilenet-v2-0.35", "--weights", str(out), *run)
    assert "yolo.safetensors holds yolov8-n" in message
    assert "choose the experiment direction-yolov8-n" in message
    message = refusal(capsys, "train", "direction-mobilenet-v2-0.35", "--weights", str(source), *run)
    assert "cellmotion import-weights" in message
    assert "missing" in refusal(
        capsys, "import-weights", str(source), "--model", "mobilenet-v2-0.35", "--out", str(tmp_path / "o")
    )


def test_a_source_that_is_not_there_is_refused(capsys, tmp_path):
    arguments = [str(tmp_path / "none.h5"), "--model", "yolov8-n", "--out", str(tmp_path / "o")]
    assert "none.h5 does not exist" in refusal(capsys, "import-weights", *arguments)
