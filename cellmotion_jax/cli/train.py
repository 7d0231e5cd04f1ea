"""``cellmotion train``: runs an experiment: training, evaluation, tables and pictures."""

from __future__ import annotations

import dataclasses
import pathlib

from cellmotion_jax.cli.backend import prepare_backend
from cellmotion_jax.cli.names import closest
from cellmotion_jax.cli.options import parse_early, parse_over
from cellmotion_jax.errors import InputError
from cellmotion_jax.experiments import DEFAULT, EXPERIMENTS
from cellmotion_jax.input_files import read_json
from cellmotion_jax.settings import Settings
from cellmotion_jax.training.config import OPTIMIZERS, RESUMABLE_CHANGES
from cellmotion_jax.training.configuration import free_folder, restore
from cellmotion_jax.training.experiment import Experiment
from cellmotion_jax.weights.kinds import held_model

MORE_HELP = (
    "`train.py --list` names the other experiments. Two more options: `--config FILE`, the config.json of a "
    "run, whose settings replace the defaults of its experiment, and `--optimizer NAME` "
    f"({', '.join(OPTIMIZERS)}), whose settings are then options."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Basis(Settings):
    """Options that determine which settings exist, and their default values."""

    config: pathlib.Path | None = None
    optimizer: str | None = None


def train_experiment(arguments: list[str]) -> None:
    """Trains one of the experiments."""
    if arguments[:1] == ["--list"]:
        width = max(map(len, EXPERIMENTS))
        for name, entry in EXPERIMENTS.items():
            print(f"{name:<{width}}  {entry.reproduces}")
        return
    name = None
    if arguments and not arguments[0].startswith("-"):
        name = closest(arguments[0], list(EXPERIMENTS), kind="experiment")
        arguments = arguments[1:]
    basis, arguments = parse_early(_Basis, arguments, prog="train.py")
    name, defaults = _defaults(name, basis)
    experiment = parse_over(
        defaults,
        arguments,
        prog=f"train.py {name}",
        description=f"{EXPERIMENTS[name].reproduces}. {MORE_HELP}",
        first=("data", "run"),
    )
    folder = experiment.run.folder
    if folder is None:
        folder = free_folder(pathlib.Path("runs"), name, experiment, may_differ=RESUMABLE_CHANGES)
        run = dataclasses.replace(experiment.run, folder=folder)
        experiment = dataclasses.replace(experiment, run=run)
    prepare_backend()
    experiment.train()
    for path in sorted(folder.rglob("model*.safetensors")):
        held = held_model(path)
        print(f"Wrote {path}: {held.what}, which {held.use}.")


def _defaults(name: str | None, basis: _Basis) -> tuple[str, Experiment]:
    """The experiment whose settings the options replace, and its name."""
    if basis.config is None:
        name = name or DEFAULT
        defaults = EXPERIMENTS[name].experiment
    else:
        described = read_json(basis.config, what="the config.json of a run")
        kind = described.get("type") if isinstance(described, dict) else None
        fitting = [one for one, entry in EXPERIMENTS.items() if type(entry.experiment).__name__ == kind]
        if not fitting:
            raise InputError(
                f"{basis.config} holds no settings of an experiment; give the config.json of a run."
            )
        if name is None:
            name = fitting[0]
        if name not in fitting:
            raise InputError(f"{basis.config} holds the settings of {fitting[0]}, not of {name}.")
        defaults = restore(described, EXPERIMENTS[name].experiment, source=str(basis.config))
    if basis.optimizer is None:
        return name, defaults
    chosen = OPTIMIZERS[closest(basis.optimizer, list(OPTIMIZERS), kind="optimizer")]
    return name, dataclasses.replace(defaults, optimizer=chosen())
