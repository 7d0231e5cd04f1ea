"""``cellmotion analyze``: from a movie to tracks, measures and pictures by one command."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from typing import Any

import tyro

from cellmotion_jax.cli.backend import prepare_backend
from cellmotion_jax.cli.linked_movie import say_written
from cellmotion_jax.cli.movies import open_for_command
from cellmotion_jax.cli.options import parse_early, parse_options
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.movie_options import MovieOptions
from cellmotion_jax.files import run_folder
from cellmotion_jax.inference.cell_size import estimate_cell_diameter
from cellmotion_jax.inference.linking.linker import LinkSettings
from cellmotion_jax.inference.scaled import at_cell_diameter
from cellmotion_jax.inference.segmenter import Segmenter, describe_needs
from cellmotion_jax.pipeline.analyze import (
    AnalysisSettings,
    Step,
    analyze_movie,
    worth_keeping,
)
from cellmotion_jax.pipeline.measure import MeasureSettings
from cellmotion_jax.pipeline.modality import Modality, proposed_modality
from cellmotion_jax.pipeline.segmenters import open_segmenter
from cellmotion_jax.settings import Positive, Seconds, Settings
from cellmotion_jax.weights.shipped import model_file

PROG = "cellmotion analyze"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ModelOptions(Settings):
    """Options that determine which settings exist, and their default values."""

    model: str | None = None
    modality: Modality | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _AnalyzeOptions(Settings):
    """Finds, tracks and measures the cells of a movie; no training is needed.

    Writes tracks/ (maskT.tif and res_track.txt, a result of the Cell Tracking Challenge), tracks.csv,
    cells.csv and, of phase contrast with a known pixel size, tips.csv, with pictures: overview, trajectories,
    lineage, behaviour, time_courses, segmentation.gif. A command that was ended goes on if it is given again.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, or one TIFF stack."""
    out: pathlib.Path
    """Folder to write; new, empty, or of the same analysis, which was ended."""
    model: str | None = None
    """Name of a model of `cellmotion models`, or the model.safetensors of an own training; default: the one
    of the modality."""
    modality: Modality | None = None
    """Kind of microscopy; default: proposed from the grey values of three frames, and said."""
    cell_diameter: Positive | None = None
    """Diameter of a typical cell of the movie in pixels; default: estimated from the movie, and said."""
    reading: tyro.conf.OmitArgPrefixes[MovieOptions] = dataclasses.field(default_factory=MovieOptions)
    """What the movie's files do not say."""
    frame_interval_s: Seconds | None = None
    """Seconds between frames; default: what the files say. With it and the pixel size, speeds are in um/min,
    without them in pixels per frame."""
    steps: tuple[Step, ...] | None = None
    """What is done with the tracks; default: everything, of nuclei without protrusions."""
    skip_blank: bool = True
    """Leave out frames without information (black, white, saturated, of camera noise alone, or, unlike the
    others, far out of focus): they have no cells, and tracks go on after them. They are listed in
    blank_frames.csv. --no-skip-blank uses all frames."""
    links: LinkSettings = dataclasses.field(default_factory=LinkSettings)
    """How cells are linked; lengths are in cell diameters."""
    measures: MeasureSettings = dataclasses.field(default_factory=MeasureSettings)
    """How cells are measured."""
    settings: tyro.conf.Suppress[Any] = None
    """Settings of the model: how it finds cells. They depend on the model file."""


def analyze(arguments: list[str]) -> None:
    """Finds, tracks and measures the cells of a movie."""
    early, _ = parse_early(_ModelOptions, arguments, prog=PROG)
    segmenter = None
    if early.model or early.modality:
        prepare_backend()
        segmenter = open_segmenter([_file(early.model, early.modality)])
    options = parse_options(
        _AnalyzeOptions,
        arguments,
        prog=PROG,
        settings=None if segmenter is None else segmenter.settings,
        more_help=(
            "--modality KIND --help lists the settings of its model."
            if segmenter is None
            else describe_needs(segmenter)
        ),
    )
    prepare_backend()
    keeps = "the cells that were found"
    with run_folder(options.out, worth_keeping=worth_keeping, keeps=keeps) as folder:
        _analyze(options, segmenter, folder)


def _analyze(options: _AnalyzeOptions, segmenter: Segmenter | None, folder: pathlib.Path) -> None:
    modality = options.modality
    if modality is None and options.model is None:
        modality = proposed_modality(options.reading.open(options.movie))
        print(f"{options.movie} looks like {_called(modality)}; --modality says otherwise.")  # noqa: T201
    file = _file(options.model, modality)
    segmenter = segmenter or open_segmenter([file])
    if options.settings is not None:
        segmenter = segmenter.with_settings(options.settings)
    movie = open_for_command(options.movie, options.reading, segmenter)
    segmenter, diameter = _fitted(segmenter, movie, options.cell_diameter)
    without = Step.PROTRUSIONS if modality is Modality.NUCLEI else None
    steps = options.steps if options.steps is not None else tuple(s for s in Step if s is not without)
    found = analyze_movie(
        movie,
        segmenter,
        folder,
        settings=AnalysisSettings(
            skip_blank=options.skip_blank, steps=steps, links=options.links, measures=options.measures
        ),
        frame_interval_s=options.frame_interval_s or movie.frame_interval_s,
        about={
            "model": options.model or file.stem,
            "model_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "cell_diameter_px": diameter,
        },
    )
    say_written(options.out, movie, found.linked)


def _file(model: str | None, modality: Modality | None) -> pathlib.Path:
    """The file of a model that is named, of a user's own, or of the modality."""
    return model_file(model or (modality or Modality.NUCLEI).value)


def _fitted(segmenter: Segmenter, movie: Movie, diameter: float | None) -> tuple[Segmenter, float | None]:
    """The segmenter at the scale of the movie, and the diameter of its cells."""
    if segmenter.cell_diameter is None:
        return segmenter, diameter
    if diameter is None:
        diameter = round(estimate_cell_diameter(segmenter, movie), 1)
        print(f"Cells are about {diameter:g} pixels across; --cell-diameter says otherwise.")  # noqa: T201
    return at_cell_diameter(segmenter, diameter), diameter


def _called(modality: Modality) -> str:
    return {Modality.NUCLEI: "nuclei in fluorescence", Modality.PHASE_CONTRAST: "phase contrast"}[modality]
