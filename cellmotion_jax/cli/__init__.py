"""The ``cellmotion`` command, one file per subcommand.

Whatever is wrong with what the user handed in arrives here as an ``InputError`` and leaves as one
sentence with exit code 2.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from cellmotion_jax.cli.evaluate import evaluate_result
from cellmotion_jax.cli.import_weights import convert_weights
from cellmotion_jax.cli.names import closest
from cellmotion_jax.cli.predict import predict_cells
from cellmotion_jax.cli.segment import segment_cells
from cellmotion_jax.cli.simulate import write_simulated
from cellmotion_jax.cli.track import follow_cells
from cellmotion_jax.cli.train import train_experiment
from cellmotion_jax.errors import InputError
from cellmotion_jax.training.loop import TrainingDiverged

USAGE = """usage: cellmotion COMMAND ...

  train [EXPERIMENT] [--overrides]   train, evaluate and draw an experiment (`train --list` names them)
  predict MOVIE --model FILE --out FOLDER [--options]
                                     detect and outline the cells of a movie (TIFF frames or a stack)
  track MOVIE --out FOLDER [--start FILE] [--options]
                                     follow the cells of a movie from where they are at first
  segment MOVIE --model FILE --out FOLDER [--options]
                                     segment, link and measure the cells of a phase-contrast movie
  evaluate RESULT REFERENCE [--options]
                                     score a result by the measures of the Cell Tracking Challenge
  simulate --out FOLDER [--options]  write a simulated movie with its exact truth
  import-weights SOURCE --model NAME --out FILE
                                     convert published weights of a backbone (Keras, torch, safetensors, npz)

`cellmotion COMMAND --help` lists every option with its meaning."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command line; exits with 2 on bad input and 1 on a run that diverged."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    commands = {
        "train": train_experiment,
        "predict": predict_cells,
        "track": follow_cells,
        "segment": segment_cells,
        "evaluate": evaluate_result,
        "simulate": write_simulated,
        "import-weights": convert_weights,
    }
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(USAGE)  # noqa: T201
        else:
            commands[closest(arguments[0], list(commands), kind="command")](arguments[1:])
    except InputError as error:
        _leave(error, 2)
    except TrainingDiverged as error:
        _leave(error, 1)


def _leave(error: Exception, code: int) -> None:
    print(f"cellmotion: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
