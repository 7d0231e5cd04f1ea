"""``cellmotion measure``: shapes, protrusions and motion of tracked cells."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import tyro

from cellmotion_jax.cli.movies import open_for_command
from cellmotion_jax.cli.options import parse_options
from cellmotion_jax.data.label_images import open_tracked_masks
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.data.movie_options import MovieOptions
from cellmotion_jax.files import output_folder
from cellmotion_jax.pipeline.measure import MeasureSettings, draw_on_movie, measure_tracks, write_measures
from cellmotion_jax.report.summary import counted
from cellmotion_jax.settings import Seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class _MeasureOptions(MeasureSettings):
    """Measures shapes, protrusions and motion of tracked cells.

    Writes cells.csv (shape, protrusions and motion by track and frame), tips.csv (tips of protrusions,
    tracked through time), behaviour.png and time_courses.png (shape against motion, and through time) and,
    with the movie, segmentation.gif (contours and tips over the movie) and protrusions.png (skeleton and
    geodesic distance of the cell with the longest protrusion). Protrusions are measured only if the pixel
    size is known.
    """

    result: tyro.conf.Positional[pathlib.Path]
    """Folder of the Cell Tracking Challenge: maskT.tif and res_track.txt, as `cellmotion track` writes them,
    or man_trackT.tif and man_track.txt."""
    movie: tyro.conf.Positional[pathlib.Path | None] = None
    """The movie of which RESULT is the tracking result: folder of TIFF frames, or one TIFF stack. It is used
    for the pictures and for the pixel size."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    frame_interval_s: Seconds | None = None
    """Seconds between frames; needed where the files do not state it, or state a wrong value. With it and the
    pixel size, speeds are in um/min, without them in pixels per frame."""
    reading: tyro.conf.OmitArgPrefixes[MovieOptions] = dataclasses.field(default_factory=MovieOptions)
    """What the movie's files do not say."""


def measure_cells(arguments: list[str]) -> None:
    """Measures the tracked cells of a movie."""
    options = parse_options(_MeasureOptions, arguments, prog="cellmotion measure")
    with output_folder(options.out) as folder:
        movie = None
        if options.movie is not None:
            movie = open_for_command(options.movie, options.reading)
        result = open_tracked_masks(options.result, movie)
        stated = [source for source in (movie, result.masks) if source is not None]
        size = _known(
            "pixel-size-um",
            options.reading.pixel_size_um,
            [(source.pixel_size_um, source) for source in stated],
        )
        interval = _known(
            "frame-interval-s",
            options.frame_interval_s,
            [(source.frame_interval_s, source) for source in stated],
        )
        measures = measure_tracks(
            result, settings=options, pixel_size_um=size.value, frame_interval_s=interval.value
        )
        write_measures(folder, measures)
        if movie is not None:
            draw_on_movie(folder, movie, result.masks, measures, protrusions=options.protrusions)
    tips = (
        "protrusions were not measured, since the size of a pixel is not known"
        if measures.tips is None
        else f"{counted(len(measures.tips), 'tip')} of protrusions"
    )
    tracks, frames = counted(len(result.tracks), "track"), counted(len(result.masks), "frame")
    for known, unit in ((size, "um"), (interval, "s")):
        if known.value is not None:
            print(f"{known.option} is {known.value:g} {unit}, from {known.source}")  # noqa: T201
    print(f"Wrote {options.out}: {tracks} in {frames}; {tips}")  # noqa: T201


class _Known(NamedTuple):
    """A number that the user gives, or else a file states."""

    option: str
    value: float | None
    source: str = ""


def _known(option: str, given: float | None, stated: Sequence[tuple[float | None, Movie]]) -> _Known:
    """The number of an option, or else the first that a movie's files state, and where it is from."""
    if given is not None:
        return _Known(option, given, "the command line")
    for value, movie in stated:
        if value is not None:
            return _Known(option, value, f"the metadata of {movie.path}")
    return _Known(option, None)
