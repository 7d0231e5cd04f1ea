"""The loop: resumption to the bit, phases, freezing, early stopping, divergence, logs."""

import csv
import os
import pathlib
import subprocess
import sys
import warnings

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from cellmotion_jax.errors import InputError
from cellmotion_jax.training import checkpoint, loop
from cellmotion_jax.training.config import Phase, Run
from cellmotion_jax.training.loop import TrainingDiverged
from tests.training import toy


class Killed(BaseException):
    """Stands for a SIGKILL between two updates: nothing in the library may catch it."""


def dying_batches(after: int):
    def iterator(start):
        for step, batch in enumerate(toy.batches(2)(start), start=start):
            if step >= after and start < after:
                raise Killed
            yield batch

    return iterator


def final_state(folder: pathlib.Path):
    """Everything the last checkpoint of a run holds, as NumPy arrays."""
    steps = sorted((folder / "checkpoints").glob("*.json"))
    with warnings.catch_warnings():  # Orbax warns that no sharding is asked for.
        warnings.simplefilter("ignore", UserWarning)
        tree = ocp.load(steps[-1].with_suffix(""))
    return jax.tree.map(
        lambda leaf: np.asarray(
            jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        ),
        tree,
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, toy.toy_fit(folder)


@pytest.mark.parametrize("killed_after", [1, 3, 4, 7, 11])
def test_an_interrupted_run_ends_with_the_same_bits_and_the_same_log(tmp_path, uninterrupted, killed_after):
    reference, best = uninterrupted
    with pytest.raises(Killed):
        toy.toy_fit(tmp_path, batches=dying_batches(killed_after))
    resumed = toy.toy_fit(tmp_path)
    chex.assert_trees_all_equal(resumed, best)
    chex.assert_trees_all_equal(final_state(tmp_path), final_state(reference))
    assert (tmp_path / "metrics.csv").read_text() == (reference / "metrics.csv").read_text()


def test_a_finished_run_started_again_returns_the_same(uninterrupted):
    folder, best = uninterrupted
    before = (folder / "metrics.csv").read_text()
    chex.assert_trees_all_equal(toy.toy_fit(folder), best)
    assert (folder / "metrics.csv").read_text() == before


@pytest.mark.parametrize("damage", ["truncate", "delete", "flip"])
def test_a_damaged_checkpoint_falls_back_to_the_previous_one(tmp_path, uninterrupted, caplog, damage):
    reference, best = uninterrupted
    with pytest.raises(Killed):
        toy.toy_fit(tmp_path, batches=dying_batches(11))
    newest = tmp_path / "checkpoints" / "00000009"
    victim = max((file for file in newest.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = victim.read_bytes()
    if damage == "delete":
        victim.unlink()
    elif damage == "truncate":
        victim.write_bytes(content[: len(content) // 2])
    else:
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    resumed = toy.toy_fit(tmp_path)
    assert "checkpoint at step 9 is damaged" in caplog.text
    assert "falling back to the one at step 6" in caplog.text
    chex.assert_trees_all_equal(resumed, best)
    chex.assert_trees_all_equal(final_state(tmp_path), final_state(reference))


def test_frozen_then_unfrozen_in_one_run(tmp_path):
    seen = {}

    def evaluate(state):
        seen[int(state.step[0])] = jax.device_get((state.params, state.batch_stats))
        return toy.evaluate(state)

    phases = (Phase(steps=4, frozen=("encoder",)), Phase(steps=4, learning_rate=1e-2))
    toy.toy_fit(tmp_path, phases=phases, evaluate=evaluate, run=Run(batch_size=8, evaluate_every=2))
    (at_2, stats_2), (at_4, stats_4), (at_8, stats_8) = seen[2], seen[4], seen[8]
    chex.assert_trees_all_equal(at_2["encoder"], at_4["encoder"])
    chex.assert_trees_all_equal(stats_2, stats_4)
    assert not np.array_equal(at_2["head"]["kernel"], at_4["head"]["kernel"])
    assert not np.array_equal(at_4["encoder"]["dense"]["kernel"], at_8["encoder"]["dense"]["kernel"])
    assert not np.array_equal(stats_4["encoder"]["norm"]["mean"], stats_8["encoder"]["norm"]["mean"])


def test_a_phase_that_freezes_nothing_known_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"frozen names 'backbone'.*encoder.*head"):
        toy.toy_fit(tmp_path, phases=(Phase(steps=1, frozen=("backbone",)),))


def test_the_best_parameters_are_on_disk_as_they_are_returned(uninterrupted):
    folder, best = uninterrupted
    _, saved = checkpoint.restore_latest(folder / "best", best)
    chex.assert_trees_all_equal(saved, best)


def test_early_stopping_keeps_the_best(tmp_path):
    def rising(state):
        return {"norm": np.asarray(state.step, np.float32)}

    run = Run(batch_size=8, evaluate_every=2, patience=2, log_every=2, checkpoint_every=50)
    best = toy.toy_fit(tmp_path, phases=(Phase(steps=100),), evaluate=rising, run=run)
    assert best.step.tolist() == [2, 2]
    with (tmp_path / "metrics.csv").open() as stream:
        assert max(int(row["step"]) for row in csv.DictReader(stream)) == 6


def test_divergence_names_the_step_and_keeps_the_last_good_checkpoint(tmp_path):
    with pytest.raises(TrainingDiverged, match=r"member 0 is not finite at step 8;"):
        toy.toy_fit(tmp_path, batches=toy.batches(2, poison=8))
    assert [path.stem for path in sorted((tmp_path / "checkpoints").glob("*.json"))] == [
        "00000003",
        "00000006",
    ]
    assert np.all(np.isfinite(final_state(tmp_path)["state"]["params"]["head"]["kernel"]))


def test_the_log_has_every_metric_of_every_member(uninterrupted):
    folder, _ = uninterrupted
    with (folder / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    train = {(row["step"], row["member"], row["metric"]) for row in rows if row["split"] == "train"}
    names = ("loss", "gradient_norm", "mse", "learning_rate")
    expected = {
        (str(step), f"member {m}", name) for step in range(2, 13, 2) for m in range(2) for name in names
    }
    assert train == expected
    validated = {row["step"] for row in rows if row["split"] == "validation"}
    assert validated == {"4", "8", "12"}
    assert list((folder / "tensorboard").glob("events*"))


def test_a_batch_that_cannot_be_divided_among_the_devices_is_refused(tmp_path, monkeypatch):
    class Mesh:
        size = 3

    monkeypatch.setattr(loop, "_mesh", Mesh)
    with pytest.raises(InputError, match=r"8 cannot be divided among 3 devices; use a multiple of 3"):
        toy.toy_fit(tmp_path)


DEVICES = """
import pathlib, sys, numpy as np, jax
from tests.training import toy
best = toy.toy_fit(pathlib.Path(sys.argv[1]))
leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves((best.params, best.batch_stats))]
np.save(sys.argv[1] + "/best.npy", np.concatenate(leaves))
assert jax.local_device_count() == int(sys.argv[2])
"""


@pytest.mark.parametrize("devices", [2, 4])
def test_the_result_does_not_depend_on_the_number_of_devices(tmp_path, uninterrupted, devices):
    _, best = uninterrupted
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
    }
    subprocess.run(
        [sys.executable, "-c", DEVICES, str(tmp_path), str(devices)], check=True, env=environment, timeout=300
    )
    leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves((best.params, best.batch_stats))]
    np.testing.assert_allclose(np.load(tmp_path / "best.npy"), np.concatenate(leaves), atol=1e-5)


def test_a_pretrained_part_is_where_training_starts_and_what_a_frozen_phase_keeps(tmp_path):
    example = jnp.zeros((8, 3))
    given = toy.Toy().init(jax.random.key(99), example, train=False)
    pretrained = {kind: {"encoder": tree["encoder"]} for kind, tree in given.items()}
    best = toy.toy_fit(tmp_path, phases=(Phase(steps=4, frozen=("encoder",)),), pretrained=pretrained)
    for member in range(2):
        of_member = jax.tree.map(lambda leaf, member=member: leaf[member], best)
        chex.assert_trees_all_equal(of_member.params["encoder"], given["params"]["encoder"])
        chex.assert_trees_all_equal(of_member.batch_stats["encoder"], given["batch_stats"]["encoder"])
    heads = best.params["head"]["kernel"]
    assert not np.array_equal(heads[0], heads[1])


@pytest.mark.parametrize("pretrained", [{"elsewhere": jnp.zeros(3)}, {"head": {"kernel": jnp.zeros(3)}}])
def test_pretrained_variables_that_the_model_does_not_have_are_named(tmp_path, pretrained):
    with pytest.raises(ValueError, match=r"pretrained params/\w+"):
        toy.toy_fit(tmp_path, pretrained={"params": pretrained})
