"""``cellmotion segment``: the cells of a phase-contrast movie, segmented, linked and measured."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Iterator

import numpy as np
import tqdm
import tyro

from cellmotion_jax.cli.compilation_cache import enable_compilation_cache
from cellmotion_jax.data.drift.correct import CorrectedMovie, Correction, drift_corrected, write_drift
from cellmotion_jax.data.movie import Movie, open_movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import require_empty_folder, written_beside
from cellmotion_jax.methods.convlstm.model_file import load_model as load_video_model
from cellmotion_jax.methods.convlstm.segment_movie import SegmentSettings, segment_movie
from cellmotion_jax.models.backbones.mobilenet_v2 import SMALLEST_IMAGE
from cellmotion_jax.morphology.tip_table import TipTable, write_table
from cellmotion_jax.report.cell_behaviour import plot_behaviour, plot_time_courses
from cellmotion_jax.report.protrusions import plot_protrusions
from cellmotion_jax.report.video import VideoFrame, write_video


@dataclasses.dataclass(frozen=True, kw_only=True)
class _InstanceOptions:
    """What of the model's way from probabilities to cells to change."""

    threshold: float | None = None
    """Probability above which a pixel is foreground."""
    smallest_area: int | None = None
    """Fewest pixels of a cell."""
    largest_hole: int | None = None
    """Most pixels of a hole that is filled."""
    split_depth: float | None = None
    """Pixels by which the neck between two cells is nearer to their outlines than their middles are, for them
    to be parted there; 0 parts none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SegmentOptions(SegmentSettings):
    """Segments the cells of a movie with the frames before in mind, links them, and measures them.

    Writes maskT.tif and res_track.txt (a result of the Cell Tracking Challenge; the labels are tracks),
    cells.csv (shape, protrusions and motion by track and frame), tips.csv (tips of protrusions, followed
    through time), segmentation.gif (contours and tips over the movie), protrusions.png (skeleton and geodesic
    distance of the cell with the longest one), behaviour.png and time_courses.png (shape against motion, and
    through time) and, with --drift, drift.csv. Protrusions need the size of a pixel. `cellmotion evaluate`
    scores the result.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, or one TIFF stack; grey."""
    model: pathlib.Path
    """The model.safetensors that `cellmotion train convlstm` wrote."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    pixel_size_um: float | None = None
    """Side of a pixel in micrometres, where the movie's files do not say it or say it wrong."""
    frame_interval_s: float | None = None
    """Seconds from frame to frame, for speeds in um/min; without them they are in pixels per frame."""
    drift: Correction | None = None
    """Take back the drift of the microscope first and cut every frame to the field that all share: masks and
    places are then those of the corrected movie."""
    instances: _InstanceOptions = dataclasses.field(default_factory=_InstanceOptions)
    """What to change of how the model was fitted."""


def segment_cells(arguments: list[str]) -> None:
    """Segments, links and measures the cells of a movie."""
    options = tyro.cli(_SegmentOptions, args=arguments, prog="cellmotion segment")
    require_empty_folder(options.out)
    interval = options.frame_interval_s
    if interval is not None and not (math.isfinite(interval) and interval > 0):
        raise InputError(f"frame-interval-s is {interval}; it is a positive number of seconds.")
    model = load_video_model(options.model)
    given = {name: it for name, it in dataclasses.asdict(options.instances).items() if it is not None}
    if options.instances.split_depth == 0:
        given["split_depth"] = None
    model = dataclasses.replace(model, instances=dataclasses.replace(model.instances, **given))
    options.tiling.stride_for(SMALLEST_IMAGE)
    movie = open_movie(options.movie, pixel_size_um=options.pixel_size_um)
    if options.drift is not None:
        movie = drift_corrected(movie, correction=options.drift)
    enable_compilation_cache()
    with written_beside(options.out) as partial:
        result = segment_movie(movie, model, partial, settings=options, frame_interval_s=interval)
        write_table(partial / "cells.csv", result.cells)
        if result.tips is not None:
            write_table(partial / "tips.csv", result.tips)
        if isinstance(movie, CorrectedMovie):
            write_drift(partial / "drift.csv", movie)
        plot_behaviour(result.cells, partial / "behaviour.png", pixel_size_um=movie.pixel_size_um)
        plot_time_courses(
            result.cells,
            partial / "time_courses.png",
            pixel_size_um=movie.pixel_size_um,
            frame_interval_s=interval,
        )
        masks = open_movie(partial)
        if movie.pixel_size_um is not None and result.tips is not None and len(result.tips):
            longest = int(np.argmax(result.tips.length_um))
            frame, track = int(result.tips.frame[longest]), int(result.tips.track[longest])
            plot_protrusions(
                movie[frame],
                masks[frame],
                track,
                partial / "protrusions.png",
                pixel_size_um=movie.pixel_size_um,
                settings=options.protrusions,
                title=f"Frame {frame}, track {track}",
            )
        write_video(
            _video_frames(movie, masks, result.tips),
            partial / "segmentation.gif",
            pixel_size_um=movie.pixel_size_um,
            frame_interval_s=interval,
        )
    tips = (
        "protrusions were not measured, since the size of a pixel is not known"
        if result.tips is None
        else f"{len(result.tips)} tips of protrusions"
    )
    print(  # noqa: T201
        f"Wrote {options.out}: {len(result.links.table)} tracks in {len(movie)} frames; {tips}"
    )


def _video_frames(movie: Movie, masks: Movie, tips: TipTable | None) -> Iterator[VideoFrame]:
    """Frames with their tracks, and with the tips if they were measured."""
    for frame in tqdm.trange(len(movie), desc="video", unit="frame", leave=False):
        here = np.zeros((0, 2))
        if tips is not None:
            rows = tips.frame == frame
            here = np.stack([tips.y[rows], tips.x[rows]], axis=-1)
        yield VideoFrame(movie[frame], masks[frame], here)
