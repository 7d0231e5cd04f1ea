"""``cellmotion measure``: shapes, protrusions and motion of tracked cells."""

from __future__ import annotations

import dataclasses
import pathlib

import tyro

from cellmotion_jax.cli.options import parse_options
from cellmotion_jax.data.label_images import open_tracked_masks
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.files import output_folder
from cellmotion_jax.pipeline.measure import MeasureSettings, draw_on_movie, measure_tracks, write_measures
from cellmotion_jax.report.summary import counted
from cellmotion_jax.settings import MicronsPerPixel, Seconds


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
    pixel_size_um: MicronsPerPixel | None = None
    """Side of a pixel in micrometres; needed where the files do not state it, or state a wrong value."""
    frame_interval_s: Seconds | None = None
    """Seconds between frames. With it and the pixel size, speeds are in um/min, without them in pixels per
    frame."""


def measure_cells(arguments: list[str]) -> None:
    """Measures the tracked cells of a movie."""
    options = parse_options(_MeasureOptions, arguments, prog="cellmotion measure")
    interval = options.frame_interval_s
    with output_folder(options.out) as folder:
        movie = None
        if options.movie is not None:
            movie = open_movie(options.movie, pixel_size_um=options.pixel_size_um)
        result = open_tracked_masks(options.result, movie)
        in_movie = None if movie is None else movie.pixel_size_um
        pixel_size_um = options.pixel_size_um or in_movie or result.masks.pixel_size_um
        measures = measure_tracks(
            result, settings=options, pixel_size_um=pixel_size_um, frame_interval_s=interval
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
    print(f"Wrote {options.out}: {tracks} in {frames}; {tips}")  # noqa: T201
