"""``cellmotion train``: runs an experiment: training, evaluation, tables and pictures."""

from __future__ import annotations

import dataclasses
import pathlib

from cellmotion_jax.cli.compilation_cache import enable_compilation_cache
from cellmotion_jax.cli.names import closest
from cellmotion_jax.cli.options import parse_over
from cellmotion_jax.experiments import DEFAULT, EXPERIMENTS


def train_experiment(arguments: list[str]) -> None:
    """Trains one of the experiments."""
    if arguments[:1] == ["--list"]:
        width = max(map(len, EXPERIMENTS))
        for name, entry in EXPERIMENTS.items():
            print(f"{name:<{width}}  {entry.reproduces}")
        return
    name = DEFAULT
    if arguments and not arguments[0].startswith("-"):
        name = closest(arguments.pop(0), list(EXPERIMENTS), kind="experiment")
    entry = EXPERIMENTS[name]
    experiment = parse_over(
        entry.experiment,
        arguments,
        prog=f"train.py {name}",
        description=f"{entry.reproduces}. `train.py --list` names the other experiments.",
        first=("data", "run"),
    )
    if experiment.run.folder is None:
        run = dataclasses.replace(experiment.run, folder=pathlib.Path("runs") / name)
        experiment = dataclasses.replace(experiment, run=run)
    enable_compilation_cache()
    experiment.train()
