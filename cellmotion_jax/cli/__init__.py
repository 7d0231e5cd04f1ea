"""The ``cellmotion`` command, one file per subcommand, each imported only when it is chosen.

Every error in the user's input is raised as an ``InputError``; it is caught here, printed as one sentence,
and the exit code is 2.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from collections.abc import Sequence

import cellmotion_jax
from cellmotion_jax.cli.names import closest
from cellmotion_jax.errors import AlreadyComplete, InputError, TrainingDiverged

USAGE = """usage: cellmotion COMMAND ...

  analyze MOVIE --out FOLDER [--options]
                                     find, track and measure the cells of a movie; needs no training
  segment MOVIE --model FILE --out FOLDER [--options]
                                     outline the cells of a movie (TIFF frames or stack) by a trained model
  track MOVIE --out FOLDER [--by filters|linking] [--options]
                                     follow cells by correlation filters, or link label images frame to frame
  measure RESULT [MOVIE] --out FOLDER [--options]
                                     shapes, protrusions and motion of tracked cells
  evaluate RESULT REFERENCE [--options]
                                     score a result by the measures of the Cell Tracking Challenge
  train [EXPERIMENT] [--overrides]   train, evaluate and draw an experiment (`train --list` names them)
  simulate --out FOLDER [--options]  write a simulated movie with its exact truth
  models                             list the trained networks that come with the package
  import-weights SOURCE --model NAME --out FILE
                                     convert published weights of a network (Keras, torch, safetensors, npz)

`cellmotion COMMAND --help` lists every option with its meaning, `cellmotion --version` the version."""

COMMANDS = {
    "analyze": ("cellmotion_jax.cli.analyze", "analyze"),
    "segment": ("cellmotion_jax.cli.segment", "segment_cells"),
    "track": ("cellmotion_jax.cli.track", "track_cells"),
    "measure": ("cellmotion_jax.cli.measure", "measure_cells"),
    "evaluate": ("cellmotion_jax.cli.evaluate", "evaluate_result"),
    "train": ("cellmotion_jax.cli.train", "train_experiment"),
    "simulate": ("cellmotion_jax.cli.simulate", "write_simulated"),
    "models": ("cellmotion_jax.cli.models", "list_models"),
    "import-weights": ("cellmotion_jax.cli.import_weights", "convert_weights"),
}
"""Module and function of every command; a module is imported when its command is chosen."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command line.

    Exits with 2 on bad input or where an output cannot be written, with 1 on a run that diverged, and with
    128 and the number of the signal that ended it (130 for Ctrl-C, 143 for SIGTERM).

    Args:
        arguments: The command and its options. None takes those of the process, which ends after it.
    """
    last = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)  # noqa: T201
        return
    if arguments[0] == "--version":
        print(f"cellmotion_jax {cellmotion_jax.__version__}")  # noqa: T201
        return
    # Here, since the answers above need none of it.
    from cellmotion_jax.files import interruption
    from cellmotion_jax.files.locks import command_runs

    with interruption.handled(last=last):
        try:
            with command_runs(arguments):
                _run(arguments)
                sys.stdout.flush()
            return
        except AlreadyComplete as error:
            print(error)  # noqa: T201
            return
        except InputError as error:
            message, code = str(error), 2
        except TrainingDiverged as error:
            message, code = str(error), 1
        except interruption.Interrupted as error:
            message, code = str(error), 128 + error.number
        except KeyboardInterrupt:  # Where signals are not handled: not on the main thread, or on Windows
            message, code = "Interrupted.", 130
        except OSError as error:
            message, code = _where(error), 2
        interruption.claim_end()
        # Names of files may hold line breaks and worse.
        sentence = re.sub(r"[\x00-\x1f\x7f]", lambda found: repr(found[0])[1:-1], message)
        print(f"cellmotion: {sentence}", file=sys.stderr)  # noqa: T201
        sys.exit(code)


def _run(arguments: list[str]) -> None:
    module, function = COMMANDS[closest(arguments[0], list(COMMANDS), kind="command")]
    getattr(importlib.import_module(module), function)(arguments[1:])


def _where(error: OSError) -> str:
    """The sentence for what the operating system reports of a file that no command has looked after."""
    if error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}."
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try once more at its end, and print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return f"what the command prints cannot be written: {error.strerror}."
    return f"a file or the network failed: {error.strerror}."
