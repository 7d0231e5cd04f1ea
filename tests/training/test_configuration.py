"""Settings as JSON: written, compared, read back."""

import dataclasses
import json

import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.experiments import EXPERIMENTS
from cellmotion_jax.methods.direction.objective import AngleLoss, AngleObjective
from cellmotion_jax.models.direction import ProbingCNN
from cellmotion_jax.settings import Settings
from cellmotion_jax.training import checkpoint
from cellmotion_jax.training.config import AdaDelta, AdamW, Optimizer, Phase, Run
from cellmotion_jax.training.configuration import describe, flatten, free_folder, restore, write_or_compare
from cellmotion_jax.training.experiment import open_run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Settings):
    model: ProbingCNN = ProbingCNN()
    objectives: tuple[AngleObjective, ...] = (AngleObjective(),)
    optimizer: Optimizer = AdamW()
    phases: tuple[Phase, ...] = (Phase(steps=5), Phase(steps=6))
    run: Run = Run()


def with_checkpoint(folder, config):
    write_or_compare(folder / "config.json", config, may_differ=())
    checkpoint.save(folder / "checkpoints", 1, {"step": 1})


def test_a_configuration_is_flattened_to_every_setting():
    flat = flatten(describe(Config()))
    assert flat["model.type"] == "ProbingCNN"
    assert flat["model.neurons"] == "2"
    assert flat["objectives.0.loss"] == "cosine"
    assert flat["phases.0.steps"] == "5"
    assert not any("parent" in name for name in flat)


def test_once_there_is_a_checkpoint_changed_settings_are_named_unless_harmless(tmp_path):
    path = tmp_path / "config.json"
    write_or_compare(path, Config(), may_differ=("run.log_every",))
    assert json.loads(path.read_text())["optimizer"]["b1"] == 0.9
    write_or_compare(path, Config(run=Run(seed=5)), may_differ=())
    write_or_compare(path, Config(), may_differ=())
    checkpoint.save(tmp_path / "checkpoints", 1, {"step": 1})
    write_or_compare(path, Config(run=Run(log_every=3)), may_differ=("run.log_every",))
    changed = Config(
        model=ProbingCNN(neurons=1),
        optimizer=AdamW(b1=0.8),
        objectives=(AngleObjective(loss=AngleLoss.linear),),
    )
    with pytest.raises(InputError) as refusal:
        write_or_compare(path, changed, may_differ=("run.log_every",))
    message = str(refusal.value)
    assert "model.neurons (was 2, now 1)" in message
    assert "optimizer.b1 (was 0.9, now 0.8)" in message
    assert "objectives.0.loss (was cosine, now linear)" in message
    assert "run." not in message.split("cannot be resumed")[1].split("; restore")[0]


@pytest.mark.parametrize("contents", ["", "{", "[1]", "\0", '{"a": ' * 5000, '{"run": 1' + "0" * 6000 + "}"])
def test_a_damaged_or_missing_configuration_of_a_run_is_named(tmp_path, contents):
    with_checkpoint(tmp_path, Config())
    path = tmp_path / "config.json"
    path.write_text(contents)
    with pytest.raises(InputError, match=r"config\.json"):
        write_or_compare(path, Config(), may_differ=())
    assert path.read_text() == contents
    path.unlink()
    with pytest.raises(InputError, match=r"config\.json does not exist"):
        write_or_compare(path, Config(), may_differ=())


def test_only_the_last_phase_may_be_made_longer(tmp_path):
    with_checkpoint(tmp_path, Config())
    path = tmp_path / "config.json"
    write_or_compare(path, Config(phases=(Phase(steps=5), Phase(steps=60))), may_differ=())
    assert json.loads(path.read_text())["phases"][1]["steps"] == 60
    for phases in ((Phase(steps=5), Phase(steps=6)), (Phase(steps=50), Phase(steps=60))):
        with pytest.raises(InputError, match=r"phases\.\d\.steps"):
            write_or_compare(path, Config(phases=phases), may_differ=())


def test_a_run_without_a_folder_goes_beside_runs_with_other_settings_and_is_found_again(tmp_path):
    first, second = Config(), Config(run=Run(seed=1))
    for _ in range(2):
        for config, name in ((first, "NAME"), (second, "NAME-2")):
            folder = free_folder(tmp_path, "NAME", config, may_differ=())
            assert folder == tmp_path / name
            folder.mkdir(exist_ok=True)
            with_checkpoint(folder, config)


def test_a_folder_where_a_result_will_be_is_said_before_the_training(tmp_path):
    experiment = EXPERIMENTS["recognet"].experiment
    (tmp_path / "results.csv").mkdir()
    run = dataclasses.replace(experiment.run, folder=tmp_path)
    with (
        pytest.raises(InputError, match=r"results.csv is a folder, and a file is written there"),
        open_run(dataclasses.replace(experiment, run=run), name="recognet"),
    ):
        pass


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_settings_of_every_experiment_come_back_from_json(name):
    experiment = EXPERIMENTS[name].experiment
    described = json.loads(json.dumps(describe(experiment)))
    assert restore(described, experiment, source="config.json") == experiment


def test_what_is_read_back_is_checked_like_any_setting():
    config = Config(optimizer=AdaDelta(rho=0.5), phases=(Phase(epochs=3),), run=Run(seed=7))
    described = describe(config)
    assert restore(described, Config(), source="FILE") == config
    for path, value, message in (
        (("run", "seed"), -1, r"FILE cannot be used: run\.seed is -1"),
        (("run", "seed"), "7", r"run\.seed is '7'; it must be a whole number"),
        (("run", "seed"), True, r"run\.seed is True"),
        (("optimizer", "rho"), float("nan"), r"optimizer\.rho is nan"),
        (("optimizer", "type"), "LBFGS", r"optimizer must describe a AdamW"),
        (("objectives",), [{"type": "AngleObjective", "loss": "no"}], r"objectives\.0\.loss is 'no'"),
        (("phases",), [], r"phases"),
        (("run",), None, r"run must describe a Run"),
        (("more",), 1, r"more is not known to this version"),
    ):
        changed = json.loads(json.dumps(described))
        inner = changed
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value
        if path == ("phases",):
            assert restore(changed, Config(), source="FILE").phases == ()
            continue
        with pytest.raises(InputError, match=message):
            restore(changed, Config(), source="FILE")
