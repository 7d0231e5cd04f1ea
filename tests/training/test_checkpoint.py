"""Checkpoints and the configuration they belong to."""

import dataclasses
import json

import chex
import jax
import jax.numpy as jnp
import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.direction.objective import AngleLoss, AngleObjective
from cellmotion_jax.models.direction import ProbingCNN
from cellmotion_jax.training import checkpoint
from cellmotion_jax.training.config import AdamW, Phase, Run


def tree(value: float):
    return {"a": jnp.full((5, 3), value), "step": jnp.int32(value), "key": jax.random.key(3)}


def unkeyed(state):
    return {**state, "key": jax.random.key_data(state["key"])}


def test_the_newest_checkpoints_are_kept_and_come_back_as_they_were(tmp_path):
    for step in (10, 20, 30):
        checkpoint.save(tmp_path, step, tree(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "00000020", "00000020.json", "00000030", "00000030.json"
    ]  # fmt: skip
    step, restored = checkpoint.restore_latest(tmp_path, tree(0))
    assert step == 30
    chex.assert_trees_all_equal(unkeyed(restored), unkeyed(tree(30)))


def test_a_checkpoint_without_its_record_was_never_finished(tmp_path):
    checkpoint.save(tmp_path, 10, tree(10))
    checkpoint.save(tmp_path, 20, tree(20))
    (tmp_path / "00000020.json").unlink()
    assert checkpoint.restore_latest(tmp_path, tree(0))[0] == 10
    checkpoint.save(tmp_path, 20, tree(21))
    assert float(checkpoint.restore_latest(tmp_path, tree(0))[1]["a"][0, 0]) == 21


def test_without_an_intact_checkpoint_there_is_none(tmp_path, caplog):
    assert checkpoint.restore_latest(tmp_path / "nowhere", tree(0)) is None
    checkpoint.save(tmp_path, 10, tree(10))
    (tmp_path / "00000010.json").write_text("{")
    assert checkpoint.restore_latest(tmp_path, tree(0)) is None
    assert "starting from the beginning" in caplog.text


@pytest.mark.parametrize(
    "record", ["[]", "[1, 2]", '{"a": 1}', '{"a": ["x", 2]}', "null", "\x00\xff", "{" * 9999]
)
def test_a_damaged_record_is_reported_and_the_checkpoint_before_is_taken(tmp_path, caplog, record):
    checkpoint.save(tmp_path, 10, tree(10))
    checkpoint.save(tmp_path, 20, tree(20))
    (tmp_path / "00000020.json").write_text(record)
    (tmp_path / "00000030x.json").write_text("of somebody else")
    step, restored = checkpoint.restore_latest(tmp_path, tree(0))
    assert (step, float(restored["a"][0, 0])) == (10, 10)
    assert "The checkpoint at step 20 is damaged" in caplog.text
    assert "falling back to the one at step 10" in caplog.text


def test_a_checkpoint_of_an_interruption_gives_way_to_the_next_one(tmp_path):
    for step in (4, 8):
        checkpoint.save(tmp_path, step, tree(step), every=4)
    for step in (9, 11):
        checkpoint.save(tmp_path, step, tree(step), every=4, interrupted=True)
    assert checkpoint.restore_latest(tmp_path, tree(0))[0] == 11
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == ["00000004", "00000008", "00000011"]
    checkpoint.save(tmp_path, 12, tree(12), every=4)
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == ["00000008", "00000012"]


def test_a_checkpoint_that_fails_leaves_the_older_ones_and_nothing_of_itself(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 10, tree(10))
    before = sorted(tmp_path.rglob("*"))

    def fails(path, tree):
        (tmp_path / "00000020.orbax-checkpoint-tmp").mkdir()
        raise ValueError("RESOURCE_EXHAUSTED: No space left on device")

    monkeypatch.setattr(checkpoint.ocp, "save", fails)
    with pytest.raises(ValueError, match="RESOURCE_EXHAUSTED"):
        checkpoint.save(tmp_path, 20, tree(20))
    assert sorted(tmp_path.rglob("*")) == before


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    model: ProbingCNN = ProbingCNN()
    objectives: tuple = (AngleObjective(),)
    optimizer: AdamW = AdamW()
    phases: tuple = (Phase(steps=5),)
    run: Run = Run()


def test_a_configuration_is_flattened_to_every_setting():
    flat = checkpoint.flat_configuration(Config())
    assert flat["model.type"] == "ProbingCNN"
    assert flat["model.neurons"] == "2"
    assert flat["objectives.0.loss"] == "cosine"
    assert flat["phases.0.steps"] == "5"
    assert not any("parent" in name for name in flat)


def test_once_there_is_a_checkpoint_changed_settings_are_named_unless_harmless(tmp_path):
    path = tmp_path / "config.json"
    checkpoint.check_same_configuration(path, Config(), may_differ=("run.log_every",))
    assert json.loads(path.read_text())["optimizer.b1"] == "0.9"
    replaced = Config(run=Run(seed=5))
    checkpoint.check_same_configuration(path, replaced, may_differ=())
    checkpoint.check_same_configuration(path, Config(), may_differ=())
    checkpoint.save(tmp_path / "checkpoints", 1, tree(1))
    harmless = Config(run=Run(log_every=3))
    checkpoint.check_same_configuration(path, harmless, may_differ=("run.log_every",))
    changed = Config(
        model=ProbingCNN(neurons=1),
        optimizer=AdamW(b1=0.8),
        objectives=(AngleObjective(loss=AngleLoss.linear),),
    )
    with pytest.raises(InputError) as refusal:
        checkpoint.check_same_configuration(path, changed, may_differ=())
    message = str(refusal.value)
    assert "model.neurons (was 2, now 1)" in message
    assert "optimizer.b1 (was 0.9, now 0.8)" in message
    assert "objectives.0.loss (was cosine, now linear)" in message
    assert "run." not in message.split("cannot be resumed")[1].split("; restore")[0]


@pytest.mark.parametrize(
    ("text", "how"), [(None, "missing"), ("{", "damaged"), ("[]", "damaged"), ("\0", "damaged")]
)
def test_with_checkpoints_but_no_sound_configuration_nothing_is_resumed(tmp_path, text, how):
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    checkpoint.check_same_configuration(path, Config(), may_differ=())  # There is nothing to resume.
    checkpoint.save(tmp_path / "checkpoints", 1, tree(1))
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=f"holds checkpoints, but config.json is {how}"):
        checkpoint.check_same_configuration(path, Config(), may_differ=())
