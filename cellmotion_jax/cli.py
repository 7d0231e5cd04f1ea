"""The ``cellmotion`` command: ``train`` and ``simulate``.

Whatever is wrong with what the user handed in arrives here as an ``InputError`` and leaves as one
sentence with exit code 2.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import pathlib
import sys
from collections.abc import Sequence

import jax
import tyro

from cellmotion_jax.data.simulate import Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.training.experiments import DEFAULT, EXPERIMENTS
from cellmotion_jax.training.loop import TrainingDiverged

USAGE = """usage: cellmotion COMMAND ...

  train [EXPERIMENT] [--overrides]   train, evaluate and draw an experiment (`train --list` names them)
  simulate --out FOLDER [--options]  write a simulated movie with its exact truth

`cellmotion COMMAND --help` lists every option with its meaning."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command line; exits with 2 on bad input and 1 on a run that diverged."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    commands = {"train": _train, "simulate": _simulate}
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(USAGE)  # noqa: T201
        else:
            commands[_closest(arguments[0], list(commands), kind="command")](arguments[1:])
    except InputError as error:
        _leave(error, 2)
    except TrainingDiverged as error:
        _leave(error, 1)


def _leave(error: Exception, code: int) -> None:
    print(f"cellmotion: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _closest(name: str, known: list[str], *, kind: str) -> str:
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise InputError(f"There is no {kind} {name!r}; did you mean {near!r}? Known: {', '.join(known)}.")


def _train(arguments: list[str]) -> None:
    if arguments[:1] == ["--list"]:
        width = max(map(len, EXPERIMENTS))
        for name, entry in EXPERIMENTS.items():
            print(f"{name:<{width}}  {entry.reproduces}")  # noqa: T201
        return
    name = DEFAULT
    if arguments and not arguments[0].startswith("-"):
        name = _closest(arguments.pop(0), list(EXPERIMENTS), kind="experiment")
    entry = EXPERIMENTS[name]
    experiment = tyro.cli(
        type(entry.experiment),
        default=entry.experiment,
        args=arguments,
        prog=f"train.py {name}",
        description=f"{entry.reproduces}. Other experiments: {', '.join(EXPERIMENTS)}.",
        config=(tyro.conf.AvoidSubcommands,),
    )
    if experiment.run.folder is None:
        run = dataclasses.replace(experiment.run, folder=pathlib.Path("runs") / name)
        experiment = dataclasses.replace(experiment, run=run)
    _keep_compiled_programs()
    experiment.train()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SimulateOptions:
    """Writes a simulated movie in Cell Tracking Challenge layout with its exact truth."""

    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    simulation: tyro.conf.OmitArgPrefixes[Simulation] = dataclasses.field(default_factory=Simulation)
    """What to simulate."""


def _simulate(arguments: list[str]) -> None:
    options = tyro.cli(_SimulateOptions, args=arguments, prog="cellmotion simulate")
    write_simulation(simulate(options.simulation), options.out)
    print(f"Wrote {options.out}")  # noqa: T201


def _keep_compiled_programs() -> None:
    """Lets the next run of the same program start without compiling it again.

    Not on a CPU: compiling takes seconds there, and XLA warns of every program it loads that it may
    crash on this machine, which it would on another one that shares the home folder.
    """
    if jax.default_backend() == "cpu":
        return
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "cellmotion_jax" / "xla"
    jax.config.update("jax_compilation_cache_dir", str(cache))
