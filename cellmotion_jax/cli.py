"""The ``cellmotion`` command: ``train``, ``predict``, ``simulate`` and ``import-weights``.

Whatever is wrong with what the user handed in arrives here as an ``InputError`` and leaves as one
sentence with exit code 2.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import logging
import os
import pathlib
import sys
from collections.abc import Sequence

import jax
import tyro

from cellmotion_jax.data.annotated import shrink_for
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.data.simulate import Simulation, simulate, write_simulation
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.inference.model_file import load_cell_model
from cellmotion_jax.inference.predict_movie import predict_movie
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.report.cells import plot_overview
from cellmotion_jax.training.experiments import DEFAULT, EXPERIMENTS
from cellmotion_jax.training.loop import TrainingDiverged
from cellmotion_jax.weights.catalogue import CATALOGUE
from cellmotion_jax.weights.convert import import_weights

USAGE = """usage: cellmotion COMMAND ...

  train [EXPERIMENT] [--overrides]   train, evaluate and draw an experiment (`train --list` names them)
  predict MOVIE --model FILE --out FOLDER [--options]
                                     detect and outline the cells of a movie (TIFF frames or a stack)
  simulate --out FOLDER [--options]  write a simulated movie with its exact truth
  import-weights SOURCE --model NAME --out FILE
                                     convert published weights of a backbone (Keras, torch, safetensors, npz)

`cellmotion COMMAND --help` lists every option with its meaning."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command line; exits with 2 on bad input and 1 on a run that diverged."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    commands = {
        "train": _train,
        "predict": _predict,
        "simulate": _simulate,
        "import-weights": _import_weights,
    }
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
class _DetectionOptions:
    """What of the model's detection to change."""

    h: float | None = None
    """Height by which a peak stands out; without one, the height that was chosen in training. Without effect
    on a network that has a boundary map, whose cells are no peaks."""
    floor: float | None = None
    """Value that a peak exceeds; without one, that of the training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _PredictOptions:
    """Detects and outlines the cells of every frame of a movie.

    Writes maskT.tif (label images, uint16; labels are numbers within a frame, not tracks), detections.csv
    (places and areas) and overview.png (contours over the first, the middle and the last frame). A network
    that has not learned outlines gives detections only.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, or one TIFF stack; grey."""
    model: pathlib.Path
    """The model.safetensors that training wrote."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    pixel_size_um: float | None = None
    """Side of a pixel in micrometres, where the movie's files do not say it or say it wrong."""
    cell_diameter: float | None = None
    """Pixels across a typical cell of the movie, if these are other cells, or another magnification, than the
    network was trained on: images are shrunken accordingly. They are not enlarged for smaller cells."""
    detection: _DetectionOptions = dataclasses.field(default_factory=_DetectionOptions)
    tiling: Tiling = dataclasses.field(default_factory=Tiling)


def _predict(arguments: list[str]) -> None:
    options = tyro.cli(_PredictOptions, args=arguments, prog="cellmotion predict")
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise InputError(f"{options.out} exists and is not empty; give a folder that can be made.")
    model = load_cell_model(options.model)
    if model.channels != 1:
        raise InputError(
            f"{options.model} was trained on images of {model.channels} channels, and movies are grey; "
            "cellmotion_jax.inference.cells.find_cells takes images of any number in Python."
        )
    given = {name: it for name, it in dataclasses.asdict(options.detection).items() if it is not None}
    model = dataclasses.replace(model, detection=dataclasses.replace(model.detection, **given))
    if options.cell_diameter is not None:
        if not 0 < options.cell_diameter < float("inf"):
            raise InputError(f"cell-diameter is {options.cell_diameter}; it is a positive number of pixels.")
        model = dataclasses.replace(model, shrink=shrink_for(options.cell_diameter, model.cell_diameter))
    movie = open_movie(options.movie, pixel_size_um=options.pixel_size_um)
    _keep_compiled_programs()
    with written_beside(options.out) as partial:
        partial.mkdir()
        prediction = predict_movie(movie, model, partial, tiling=options.tiling)
        plot_overview(prediction.shown, partial / "overview.png")
    print(f"Wrote {options.out}: {prediction.cells} cells in {prediction.frames} frames")  # noqa: T201


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ImportOptions:
    """Converts published weights of a backbone into one safetensors file under our parameter paths.

    Every tensor of the source is accounted for; one that is missing, unknown or of another shape refuses
    the import. Nothing in the source is ever run: pickles are read as data, neither Keras nor torch is
    needed.
    """

    source: tyro.conf.Positional[pathlib.Path]
    """Keras .h5, .weights.h5 or .keras, torch state dict, safetensors or npz."""
    model: str
    """The network that the weights are of, by its name in the list above."""
    out: pathlib.Path
    """The safetensors file to write."""
    licence: str = ""
    """Licence of the weights, kept in the file."""


def _import_weights(arguments: list[str]) -> None:
    options = tyro.cli(
        _ImportOptions,
        args=arguments,
        prog="cellmotion import-weights",
        description=f"{inspect.getdoc(_ImportOptions)}\n\nModels: {', '.join(CATALOGUE)}.",
    )
    report = import_weights(options.source, model=options.model, out=options.out, licence=options.licence)
    print(  # noqa: T201
        f"Wrote {options.out}: {report.model}, {report.tensors} tensors of {report.values:,} values "
        f"({', '.join(report.source_types)} in the source)."
    )
    if report.left_out:
        print(f"Left out, the network has no such parts: {', '.join(report.left_out)}.")  # noqa: T201


def _keep_compiled_programs() -> None:
    """Lets the next run of the same program start without compiling it again.

    Not on a CPU: compiling takes seconds there, and XLA warns of every program it loads that it may
    crash on this machine, which it would on another one that shares the home folder.
    """
    if jax.default_backend() == "cpu":
        return
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "cellmotion_jax" / "xla"
    jax.config.update("jax_compilation_cache_dir", str(cache))
