"""Checkpoints and the configuration they belong to."""

import chex
import jax
import jax.numpy as jnp

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
