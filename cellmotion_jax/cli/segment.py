"""``cellmotion segment``: segments the cells of a movie with any trained model that finds cells."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import tyro

from cellmotion_jax.cli.backend import prepare_backend
from cellmotion_jax.cli.blank_frames import say_blank_frames
from cellmotion_jax.cli.movies import open_for_command
from cellmotion_jax.cli.options import parse_early, parse_options
from cellmotion_jax.data.blank_frames import every_frame, frame_test
from cellmotion_jax.data.ctc_masks import frame_digits
from cellmotion_jax.data.drift.correct import CorrectedMovie, Correction, drift_corrected, write_drift
from cellmotion_jax.data.movie_options import MovieOptions
from cellmotion_jax.data.movie_writer import write_movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import output_folder
from cellmotion_jax.inference.segmenter import describe_needs
from cellmotion_jax.pipeline.segment import segment_movie
from cellmotion_jax.pipeline.segmenters import open_segmenter
from cellmotion_jax.report.cells import plot_overview
from cellmotion_jax.report.summary import counted
from cellmotion_jax.settings import Positive, Settings

PROG = "cellmotion segment"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ModelOptions(Settings):
    """Options that determine which settings exist, and their default values."""

    model: tuple[pathlib.Path, ...] = ()
    cell_diameter: Positive | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SegmentOptions(Settings):
    """Segments the cells of every frame of a movie.

    Writes maskT.tif (label images, uint16; cells are numbered in each frame, not tracked), detections.csv
    (positions, scores and areas), overview.png (contours over the first, the middle and the last frame) and,
    with --drift, corrected/tT.tif (the drift-corrected movie, to which the masks belong) and drift.csv. A
    network without outlines gives detections only. `cellmotion track` links the cells to tracks.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, TIFF stack or OME-Zarr; grey, or RGB where the model was trained on RGB."""
    model: tuple[pathlib.Path, ...]
    """Name of a model of `cellmotion models`, the model.safetensors that `cellmotion train` wrote for
    deep-distance, convlstm, celltrack-rcnn or deepcell, or DeepCell networks that `cellmotion import-weights`
    wrote; several files (replicates) are used as an ensemble."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    cell_diameter: Positive | None = None
    """Diameter of a typical cell of the movie in pixels; needed if the cells or the magnification differ from
    the training data. Frames are downsampled accordingly; they are not enlarged for smaller cells."""
    reading: tyro.conf.OmitArgPrefixes[MovieOptions] = dataclasses.field(default_factory=MovieOptions)
    """What the movie's files do not say."""
    drift: Correction | None = None
    """Correct the drift of the microscope first, and crop every frame to the field of view that all frames
    share."""
    skip_blank: bool = True
    """Leave out frames without information (black, white, saturated, of camera noise alone, or, unlike the
    others, far out of focus): no cells are sought in them. They are listed in blank_frames.csv.
    --no-skip-blank uses all frames."""
    settings: tyro.conf.Suppress[Any] = None
    """Settings of the model: how it finds cells. They depend on the model file."""


def segment_cells(arguments: list[str]) -> None:
    """Segments the cells of a movie."""
    early, _ = parse_early(_ModelOptions, arguments, prog=PROG)
    if not early.model:
        more_help = "--model FILE --help lists the settings of a model."
        parse_options(_SegmentOptions, arguments, prog=PROG, more_help=more_help)
    prepare_backend()
    segmenter = open_segmenter(early.model, cell_diameter=early.cell_diameter)
    options = parse_options(
        _SegmentOptions,
        arguments,
        prog=PROG,
        settings=segmenter.settings,
        more_help=describe_needs(segmenter),
    )
    with output_folder(options.out) as folder:
        segmenter = segmenter.with_settings(options.settings)
        movie = open_for_command(options.movie, options.reading, segmenter)
        if options.drift is not None:
            if movie.channels != 1:
                raise InputError(f"drift is measured in grey movies, and {movie.path} is RGB; leave it out.")
            movie = drift_corrected(movie, correction=options.drift)
        result = segment_movie(
            movie, segmenter, folder, test=frame_test(movie) if options.skip_blank else every_frame
        )
        plot_overview(result.shown, folder / "overview.png", pixel_size_um=movie.pixel_size_um)
        if isinstance(movie, CorrectedMovie):
            write_movie(folder / "corrected", movie, digits=frame_digits(movie))
            write_drift(folder / "drift.csv", movie)
    found, frames = counted(result.detections, "detection"), counted(result.frames, "frame")
    print(f"Wrote {options.out}: {found} in {frames}")  # noqa: T201
    say_blank_frames(result.blank)
