"""The whole experiment on a few simulated cells: files, members, resumption, refusals."""

import csv
import dataclasses
import pathlib
import shutil
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.data.simulate import Simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.direction.augmentation import DirectionAugmentation
from cellmotion_jax.methods.direction.data import DirectionData, Protocol, load_samples, make_members
from cellmotion_jax.methods.direction.experiment import DirectionExperiment
from cellmotion_jax.methods.direction.objective import AngleObjective, VonMisesObjective
from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.direction import FineTunedCNN
from cellmotion_jax.ops.angles import absolute_difference, rotate_heading
from cellmotion_jax.training.config import Phase, Run

DATA = DirectionData(
    simulation=Simulation(frames=8, cells=8, height=384, width=384, mean_speed_um_per_min=0.5),
    movies=4,
    image_size=24,
)


def experiment(folder, **changes) -> DirectionExperiment:
    settings = {
        "data": DATA,
        "phases": (Phase(steps=6),),
        "test_time_rotations": 2,
        "run": Run(batch_size=4, log_every=2, evaluate_every=3, checkpoint_every=3, folder=folder),
        **changes,
    }
    return DirectionExperiment(**settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    experiment(
        folder,
        objectives=(VonMisesObjective(), AngleObjective()),
        protocols=(Protocol.by_movie, Protocol.by_image),
        folds=1,
    ).train()
    return folder


def test_every_objective_is_tested_on_every_fold_of_every_protocol(finished):
    with (finished / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    seen = {(row["protocol"], row["fold"], row["configuration"], row["versions"]) for row in rows}
    assert len(seen) == len(rows) == 2 * 2 * 2
    assert all(0 <= float(row["E_deg"]) <= 180 for row in rows)


def test_architectures_train_in_folders_of_their_own_and_the_pictures_are_there(finished):
    for group in ("neurons-1", "neurons-2-kappa"):
        assert (finished / group / "curves.png").stat().st_size > 10_000
    for protocol in ("by-movie", "by-image"):
        for picture in ("arrows", "rose", "calibration", "rotations"):
            assert (finished / f"{picture}-{protocol}.png").stat().st_size > 10_000
    assert (finished / "grid.png").exists()


def test_the_summary_says_what_it_was_measured_on(finished):
    summary = (finished / "summary.md").read_text()
    for words in (
        "simulated cells",
        "in 4 movies",
        "| by movie | 2N von Mises |",
        "guessing 90",
        "33.41",
        "55.89",
    ):
        assert words in summary


def test_a_changed_objective_is_named(finished):
    with pytest.raises(InputError, match=r"objectives.0.type \(was VonMisesObjective, now AngleObjective\)"):
        experiment(finished, objectives=(AngleObjective(),)).train()


def test_a_batch_larger_than_the_training_set_is_refused(tmp_path):
    run = Run(batch_size=4096, folder=tmp_path)
    with pytest.raises(InputError, match="4096"):
        experiment(tmp_path, run=run).train()


def test_a_threshold_that_no_cell_reaches_is_refused(tmp_path):
    with pytest.raises(InputError, match="900"):
        experiment(tmp_path, data=dataclasses.replace(DATA, threshold_um=900.0)).train()


def test_augmentation_turns_image_and_label_together():
    # A bright half in front of a dark one: the centre of brightness tells the heading.
    rows, columns = (np.float32(side) - 31.5 for side in np.indices((64, 64)))
    angle = np.linspace(0, 6, 40, dtype=np.float32)
    ahead = columns[None] * np.cos(angle)[:, None, None] - rows[None] * np.sin(angle)[:, None, None]
    images = np.where(np.hypot(rows, columns) < 20, ahead, 0)[..., None]
    augment = jax.jit(DirectionAugmentation(shift=0.0).__call__)
    batch = augment(jax.random.key(0), {"image": images, "angle": angle, "extra": angle})
    bright = np.asarray(batch["image"][..., 0]) * (np.hypot(rows, columns) < 16)
    seen = np.arctan2(-np.sum(bright * rows, (1, 2)), np.sum(bright * columns, (1, 2)))
    assert np.all(absolute_difference(seen, batch["angle"]) < 0.05)
    np.testing.assert_array_equal(batch["extra"], angle)
    assert np.mean(absolute_difference(batch["angle"], angle)) > 0.5


def test_without_augmentation_nothing_moves():
    still = DirectionAugmentation(rotation=0.0, shift=0.0, scale=0.0, mirror=False)
    images = jax.random.normal(jax.random.key(0), (3, 16, 16, 1))
    angle = jnp.array([0.1, 3.0, 6.2])
    batch = jax.jit(still.__call__)(jax.random.key(1), {"image": images, "angle": angle})
    np.testing.assert_allclose(batch["angle"], rotate_heading(angle, 0.0), atol=1e-6)
    np.testing.assert_allclose(jnp.std(batch["image"], axis=(1, 2, 3)), 1.0, rtol=1e-4)


class TinyBackbone(nn.Module):
    dtype: Any = None

    @nn.compact
    def __call__(self, images, *, train: bool):
        x = nn.Conv(4, (3, 3), 4, name="conv")(images)
        return (nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(x)),)


@pytest.mark.slow
def test_fine_tuning_in_epochs_takes_the_steps_that_they_have(finished, tmp_path, caplog):
    shutil.copytree(finished / "data", tmp_path / "data")  # What took longest to make.
    scaling = InputScaling(mean=(127.5,) * 3, std=(127.5,) * 3)
    experiment(
        tmp_path,
        model=FineTunedCNN(backbone=TinyBackbone(), scaling=scaling),
        phases=(Phase(epochs=1), Phase(steps=2, frozen=("backbone",))),
        test_time_rotations=1,
        run=Run(batch_size=8, evaluate_every=100, checkpoint_every=100, folder=tmp_path),
    ).train()
    assert "starts from random values" in caplog.text
    with (tmp_path / "metrics.csv").open() as stream:
        last = max(int(row["step"]) for row in csv.DictReader(stream))
    with (tmp_path / "results.csv").open() as stream:
        tested = len(list(csv.DictReader(stream)))
    assert tested == 1
    samples = load_samples(DATA, cache=tmp_path / "data", seed=0)
    (member,) = make_members(samples, protocols=(Protocol.by_movie,), folds=1, objectives=("",), seed=0)
    assert last == -(-len(member.split.train) // 8) + 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": dataclasses.replace(DATA, image_size=8)}, r"image-size 8 .*\(1, 8, 8, 1\).* below 12"),
        (
            {"weights": pathlib.Path("w.safetensors")},
            "w.safetensors has no use: the ProbingCNN has no backbone",
        ),
    ],
)
def test_what_does_not_suit_the_network_is_refused_before_any_image_is_cut_out(tmp_path, changes, told):
    with pytest.raises(InputError, match=told):
        experiment(tmp_path, **changes).train()
    assert not (tmp_path / "data").exists()
