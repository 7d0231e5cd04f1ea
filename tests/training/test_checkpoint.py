"""Checkpoints and the configuration they belong to."""

import chex
import jax
import jax.numpy as jnp
import pytest

from cellmotion_jax.training import checkpoint


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
