"""From a movie to tracks, measures and pictures in one folder; a killed analysis goes on where it was."""

from __future__ import annotations

import dataclasses
import enum
import json
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int32

import cellmotion_jax
from cellmotion_jax.data.blank_frames import (
    BLANK_FRAMES,
    BlankFrame,
    every_frame,
    frame_test,
    write_blank_frames,
)
from cellmotion_jax.data.ctc_masks import frame_digits
from cellmotion_jax.data.label_images import open_tracked_masks
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.errors import AlreadyComplete, InputError
from cellmotion_jax.files import write_text
from cellmotion_jax.files.folders import remove_leftovers
from cellmotion_jax.files.written import remove
from cellmotion_jax.inference.linking.linker import LinkSettings
from cellmotion_jax.inference.segmenter import Segmenter
from cellmotion_jax.input_files import read_json
from cellmotion_jax.pipeline.kept_frames import KeptFrames, segment_and_keep
from cellmotion_jax.pipeline.link import SCRATCH, LinkedMovie, link_movie
from cellmotion_jax.pipeline.measure import MeasureSettings, draw_on_movie, measure_tracks, write_measures
from cellmotion_jax.pipeline.segment import Shown, no_cell_found
from cellmotion_jax.pipeline.track_overview import write_overview
from cellmotion_jax.report.cells import plot_overview
from cellmotion_jax.report.lineage import plot_lineage
from cellmotion_jax.settings import Settings
from cellmotion_jax.training.configuration import describe

RUN_FILE = "run.json"
KEPT_FOLDER = ".cells"
"""Folder, within that of the analysis, of the cells found so far."""


class Step(enum.Enum):
    """Steps of an analysis that can be left out; cells are always found and tracked."""

    MEASURE = "measure"
    """Shapes and motion of every cell."""
    PROTRUSIONS = "protrusions"
    """Protrusions and their tips; needs the pixel size."""
    VIDEO = "video"
    """The movie with outlines and tracks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnalysisSettings(Settings):
    """Settings of an analysis, besides those of the model."""

    skip_blank: bool = True
    """Whether frames without information are left out."""
    steps: tuple[Step, ...] = tuple(Step)
    """What is done with the tracks."""
    links: LinkSettings = LinkSettings()
    """How cells are linked; lengths are in cell diameters."""
    measures: MeasureSettings = MeasureSettings()
    """How cells are measured."""


class Analysis(NamedTuple):
    """What an analysis has found."""

    frames: int
    computed: int
    """Frames whose cells were found by this call; the others were found by one that was ended."""
    linked: LinkedMovie


def analyze_movie(
    movie: Movie,
    segmenter: Segmenter,
    folder: pathlib.Path,
    *,
    settings: AnalysisSettings = AnalysisSettings(),
    frame_interval_s: float | None = None,
    about: Mapping[str, Any] | None = None,
) -> Analysis:
    """Finds, tracks and measures the cells of a movie, and writes tables and pictures.

    Written are ``tracks/`` (``maskT.tif`` and ``res_track.txt``, a result of the Cell Tracking Challenge),
    ``tracks.csv``, ``overview.png``, ``trajectories.png``, ``lineage.png``, the tables and pictures of
    `measure_tracks` with the movie ``segmentation.gif``, and ``run.json`` with versions, settings and times.

    The cells of every frame are kept on disk as soon as they are found. If the process is killed, a later
    call with the same arguments does not find them again, and writes the same files, bit by bit, but for the
    times in ``run.json``. Memory does not grow with the movie but for a few numbers per cell.

    Args:
        movie: Frames of the model's channels.
        segmenter: The model.
        folder: The folder, in which this process alone writes.
        settings: Settings.
        frame_interval_s: Seconds from frame to frame, None where they are not known.
        about: What else ``run.json`` says, in types of JSON: where movie and model come from. An analysis
            goes on only if it is the same.

    Returns:
        Counts and tracks.

    Raises:
        InputError: If a frame cannot be read or used, no frame has a cell, or the folder holds another
            analysis.
        AlreadyComplete: If the folder holds this analysis.
    """
    started = time.time()
    run = _Run(folder / RUN_FILE, _description(movie, segmenter, settings, frame_interval_s, about or {}))
    run.begin()
    remove_leftovers(folder, f"{SCRATCH}*")  # Of an analysis that was killed.
    kept = KeptFrames(folder / KEPT_FOLDER)
    test = frame_test(movie) if settings.skip_blank else every_frame
    computed = sum(1 for _ in segment_and_keep(movie, segmenter, kept, test=test))
    found = time.time()
    if not any(len(kept[frame].points) for frame in range(len(movie))):
        raise InputError(no_cell_found(movie))
    tracks = folder / "tracks"
    remove(tracks)
    blank: list[BlankFrame] = []
    linked = link_movie(
        _kept_labels(movie, kept, blank),
        tracks,
        settings=settings.links,
        digits=frame_digits(movie),
        pixel_size_um=movie.pixel_size_um,
        source=str(movie.path),
    )
    linked = linked._replace(blank=tuple(blank))
    write_blank_frames(folder / BLANK_FRAMES, linked.blank)
    write_overview(folder, movie, linked)
    plot_lineage(linked.tracks, folder / "lineage.png", title="Lineages")
    _draw_cells(movie, kept, folder)
    if Step.MEASURE in settings.steps:
        _measure(movie, tracks, folder, settings=settings, frame_interval_s=frame_interval_s)
    run.end(
        frames_segmented=computed,
        segmentation_s=round(found - started, 1),
        all_s=round(time.time() - started, 1),
    )
    remove(folder / KEPT_FOLDER)
    return Analysis(len(movie), computed, linked)


def worth_keeping(folder: pathlib.Path) -> bool:
    """Whether a folder holds frames of an analysis that was ended, or a whole one."""
    return len(KeptFrames(folder / KEPT_FOLDER)) > 0 or is_complete(folder)


def is_complete(folder: pathlib.Path) -> bool:
    """Whether a folder holds a whole analysis."""
    file = folder / RUN_FILE
    if not file.exists():
        return False
    run = read_json(file, what="the settings of an analysis")
    return isinstance(run, dict) and "times" in run


@dataclasses.dataclass(frozen=True)
class _Run:
    """The file that says what an analysis is, and at its end how long it took."""

    file: pathlib.Path
    described: dict[str, Any]

    def begin(self) -> None:
        """Writes the file, or compares it with what is there.

        Raises:
            InputError: If another analysis is there; what differs is named.
            AlreadyComplete: If this one is there, and complete.
        """
        if self.file.exists():
            before = read_json(self.file, what="the settings of an analysis")
            before = before if isinstance(before, dict) else {}
            differing = [
                f"{name} (was {_shown(before.get(name))}, now {_shown(value)})"
                for name, value in self.described.items()
                if before.get(name) != value
            ]
            if differing:
                raise InputError(
                    f"{self.file.parent} holds another analysis: {'; '.join(differing)}. Give the options of "
                    "that one, or another folder."
                )
            if "times" in before:
                raise AlreadyComplete(f"{self.file.parent} holds this analysis; it is complete.")
        write_text(self.file, json.dumps(self.described, indent=1) + "\n")

    def end(self, **times: float | int) -> None:
        """Adds the times, which say that the analysis is complete."""
        write_text(self.file, json.dumps({**self.described, "times": times}, indent=1) + "\n")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _description(
    movie: Movie,
    segmenter: Segmenter,
    settings: AnalysisSettings,
    frame_interval_s: float | None,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "version": cellmotion_jax.__version__,
        "jax": jax.__version__,
        "movie": {
            "path": str(movie.path.resolve()),
            "frames": len(movie),
            "shape": list(movie.shape),
            "pixel_size_um": movie.pixel_size_um,
            "frame_interval_s": frame_interval_s,
        },
        **about,
        "model_settings": describe(segmenter.settings),
        "settings": describe(settings),
    }


def _kept_labels(
    movie: Movie, kept: KeptFrames, blank: list[BlankFrame]
) -> Iterator[Int32[np.ndarray, "y x"] | None]:
    """Label images of all frames, None for one without information, which is added to ``blank``."""
    for frame, name in enumerate(movie.frame_names):
        cells = kept[frame]
        if cells.blank is not None:
            blank.append(BlankFrame(frame, name, cells.blank))
        yield cells.labels if cells.blank is None else None


def _draw_cells(movie: Movie, kept: KeptFrames, folder: pathlib.Path) -> None:
    """Draws the cells of the first, the middle and the last frame."""
    shown = []
    for frame in sorted({0, len(movie) // 2, len(movie) - 1}):
        cells = kept[frame]
        shown.append(Shown(movie.frame_names[frame], movie[frame], cells.points, cells.labels))
    plot_overview(shown, folder / "overview.png", pixel_size_um=movie.pixel_size_um)


def _measure(
    movie: Movie,
    tracks: pathlib.Path,
    folder: pathlib.Path,
    *,
    settings: AnalysisSettings,
    frame_interval_s: float | None,
) -> None:
    result = open_tracked_masks(tracks, movie)
    measures = measure_tracks(
        result,
        settings=settings.measures,
        pixel_size_um=movie.pixel_size_um,
        frame_interval_s=frame_interval_s,
        protrusions=Step.PROTRUSIONS in settings.steps,
    )
    write_measures(folder, measures)
    if Step.VIDEO in settings.steps:
        draw_on_movie(folder, movie, result.masks, measures, protrusions=settings.measures.protrusions)
