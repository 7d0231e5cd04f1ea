"""Steps that all experiments share: opening a run, training a network, and reading the best variables.

An `Experiment` is a frozen dataclass of settings with a method ``train``. Data, network, objective,
evaluation and results are the method's own.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from cellmotion_jax.data import records
from cellmotion_jax.data.pipeline import Source, member_batches
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import interruption, run_folder
from cellmotion_jax.files.folders import remove_leftovers
from cellmotion_jax.report.figures import plot_curves
from cellmotion_jax.settings import Settings
from cellmotion_jax.training import checkpoint
from cellmotion_jax.training.config import RESUMABLE_CHANGES, AdamW, Optimizer, Phase, Precision, Run
from cellmotion_jax.training.configuration import any_saved, write_or_compare
from cellmotion_jax.training.loop import Evaluate, fit
from cellmotion_jax.training.state import Best
from cellmotion_jax.training.step import Augment, Objective

FILES_OF_A_RUN = (".json", ".csv", ".md", ".png", ".gif", ".safetensors")
"""Suffixes of what experiments write into the folder of a run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(Settings, abc.ABC):
    """The settings that all experiments have; a method adds its own, with other defaults."""

    METHOD: ClassVar[str]
    """Name of the method, and of the folder in ``runs`` if the settings name none."""

    optimizer: Optimizer = AdamW()
    """Optimiser."""
    phases: tuple[Phase, ...] = ()
    """Phases of training, one after another."""
    precision: Precision = Precision.float32
    """Floating-point type of the network's computations."""
    run: Run = Run()
    """Settings of the run: batch size, seed, evaluation, checkpoints, folder."""

    def check_together(self) -> None:
        """Refuses a training without a phase."""
        if not self.phases:
            self.refuse("phases", "name at least one")

    def train(self) -> None:
        """Trains, evaluates and draws; continues where an earlier call with these settings stopped."""
        with open_run(self, name=self.METHOD) as folder:
            self.train_in(folder)

    @abc.abstractmethod
    def train_in(self, folder: pathlib.Path) -> None:
        """As `train`, in the folder of the run, which exists."""


class Entry(NamedTuple):
    """An experiment with its description for ``train.py --list``."""

    reproduces: str
    """Paper and table or section that it reproduces, in one line."""
    experiment: Experiment
    """The experiment with default settings."""


class TrainingData(NamedTuple):
    """Training batches of a network."""

    batches: Callable[[int], Iterator[Mapping[str, np.ndarray]]]
    """``start_step -> iterator`` of batches with leading axes [member, batch]."""
    samples: int
    """Number of samples per epoch, of the member with the most samples."""


@contextlib.contextmanager
def open_run(experiment: Experiment, *, name: str) -> Iterator[pathlib.Path]:
    """Makes or finds the folder of a run and checks that it belongs to these settings.

    Within the block no other process writes there. A run that is refused before its first checkpoint leaves
    no folder behind.

    Args:
        experiment: All settings.
        name: Name of the folder in ``runs``, if the settings name no folder.

    Yields:
        The folder, absolute.

    Raises:
        InputError: If the folder holds a run with other settings, which are named, or cannot be used, or
            another process trains there.
    """
    named = experiment.run.folder or pathlib.Path("runs") / name
    with run_folder(named, worth_keeping=any_saved) as folder:
        config = folder / "config.json"
        for child in folder.iterdir():
            # Said now, and not when the training is done.
            if child.suffix in FILES_OF_A_RUN and child.is_dir():
                raise InputError(f"{child} is a folder, and a file is written there; move it away.")

        def clean() -> None:
            remove_leftovers(folder, checkpoint.TEMPORARY, records.TEMPORARY)

        if config.exists():
            clean()
        write_or_compare(config, experiment, may_differ=RESUMABLE_CHANGES)
        with interruption.undone_at_end(clean):
            yield folder


def training_data(
    source: Source, run: Run, *, indices: Sequence[int] | np.ndarray | None = None
) -> TrainingData:
    """Batches of one training, whose leading axis ``member`` has length 1.

    Args:
        source: Samples.
        run: Batch size and seed.
        indices: Indices of the samples to train on; None for all.

    Returns:
        The batches and the number of samples.
    """
    chosen = np.arange(len(source)) if indices is None else np.asarray(indices)

    def batches(start: int) -> Iterator[dict[str, np.ndarray]]:
        return member_batches(
            source, members=[chosen], batch_size=run.batch_size, seed=run.seed, start_step=start
        )

    return TrainingData(batches, len(chosen))


def train_network(
    settings: Experiment,
    *,
    folder: pathlib.Path,
    network: nn.Module,
    objective: Objective,
    augment: Augment,
    data: TrainingData,
    members: Sequence[str],
    evaluate: Evaluate,
    best_metric: str = "loss",
    pretrained: Mapping[str, Any] | None = None,
) -> Best:
    """Trains a network, or several members together, and draws the training curves.

    Args:
        settings: Optimiser, phases and run.
        folder: Folder for checkpoints, log and ``curves.png``; made if it is absent. A training found there
            is resumed.
        network: Linen module.
        objective: ``(outputs, batch) -> (loss, terms)``.
        augment: ``(key, batch) -> batch``, inside the compiled step.
        data: Training batches.
        members: Names of the members.
        evaluate: Validation metrics of shape ``[member]`` for a state with a leading member axis.
        best_metric: The validation metric that decides which parameters are best; smaller is better.
        pretrained: ``params`` and ``batch_stats`` of parts of the network, where every member starts.

    Returns:
        The best parameters, with a leading member axis.

    Raises:
        InputError: See `cellmotion_jax.training.loop.fit`.
        TrainingDiverged: See there.
    """
    folder.mkdir(exist_ok=True)
    batch_size = settings.run.batch_size
    best = fit(
        model=network,
        objective=objective,
        augment=augment,
        optimizer=settings.optimizer,
        phases=[phase.in_steps(samples=data.samples, batch_size=batch_size) for phase in settings.phases],
        run=settings.run,
        folder=folder,
        members=members,
        batches=data.batches,
        evaluate=evaluate,
        best_metric=best_metric,
        pretrained=pretrained,
    )
    plot_curves(folder / "metrics.csv", folder / "curves.png")
    return best


def variables_of(best: Best, *, member: int = 0) -> dict[str, Any]:
    """The best ``params`` and ``batch_stats`` of a member, as NumPy arrays."""
    variables = {"params": best.params, "batch_stats": best.batch_stats}
    return jax.tree.map(lambda leaf: np.asarray(leaf[member]), variables)
