"""The command line: lists, helps, and refuses in one sentence with exit code 2."""

import pathlib

import pytest

from cellmotion_jax import cli
from cellmotion_jax.training.experiments import EXPERIMENTS


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
        cli.main(["train", "direction", "--help"])
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
    ],
)
def test_settings_out_of_range_are_refused(capsys, tmp_path, option, value, named):
    sentence = refusal(capsys, "train", "--run.folder", str(tmp_path / "run"), option, value)
    assert named in sentence
    assert value in sentence
