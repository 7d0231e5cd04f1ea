"""Shapes, protrusions and motion of the tracked cells of a movie, in tables and pictures."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tqdm

from cellmotion_jax.data.centroids import frame_centroids
from cellmotion_jax.data.label_images import TrackedMasks
from cellmotion_jax.data.movie import Movie
from cellmotion_jax.files.tables import write_table
from cellmotion_jax.morphology.behaviour import CellTable, cell_table
from cellmotion_jax.morphology.cell_shapes import CellShapes, cell_shapes
from cellmotion_jax.morphology.motion import MotionSettings
from cellmotion_jax.morphology.protrusions import Protrusions, ProtrusionSettings, find_protrusions
from cellmotion_jax.morphology.tip_table import TipTable, tip_table
from cellmotion_jax.report.cell_behaviour import plot_behaviour, plot_time_courses
from cellmotion_jax.report.protrusions import plot_protrusions
from cellmotion_jax.report.video import VideoFrame, write_video
from cellmotion_jax.settings import Positive, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureSettings(Settings):
    """Settings of the measurement of tracked cells."""

    protrusions: ProtrusionSettings = ProtrusionSettings()
    """Definition of a protrusion. Protrusions are measured if the pixel size is known."""
    tip_gate_um: Positive = 15.0
    """Largest displacement of a tip from frame to frame, relative to the centre of its cell, in micrometres;
    15 suits frames that are 15 minutes apart."""
    motion: MotionSettings = MotionSettings()
    """Settings of the measurement of motion."""


MOST_EXAMPLES = 30
"""Protrusions among which one is chosen for the picture."""


class Measures(NamedTuple):
    """Measurements of all cells, with the pixel size and the frame interval."""

    cells: CellTable
    """One row per cell and frame."""
    tips: TipTable | None
    """One row per tip of a protrusion and frame; None if the pixel size is not known."""
    pixel_size_um: float | None
    """Side of a pixel in micrometres."""
    frame_interval_s: float | None
    """Seconds from frame to frame."""


def measure_tracks(
    result: TrackedMasks,
    *,
    settings: MeasureSettings = MeasureSettings(),
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    protrusions: bool = True,
) -> Measures:
    """Measures every cell in every frame; one label image is in memory at a time.

    Args:
        result: Tracked label images.
        settings: Settings of the measurement.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
        frame_interval_s: Seconds from frame to frame, None where they are not known.
        protrusions: Also measure protrusions, if the pixel size is known.

    Returns:
        Tables of cells and of tips.

    Raises:
        InputError: If a mask cannot be read, or its labels are not those of the table of tracks.
    """
    shapes: list[CellShapes] = []
    tips: list[Protrusions] = []
    masks, tracks = result
    size_for_tips = pixel_size_um if protrusions else None
    for frame, name in enumerate(tqdm.tqdm(masks.frame_names, unit="frame", dynamic_ncols=True)):
        labels = masks[frame]
        frame_centroids(frame, labels, tracks, source=str(masks.path / name))
        shapes.append(cell_shapes(labels))
        if size_for_tips is not None:
            found = find_protrusions(labels, pixel_size_um=size_for_tips, settings=settings.protrusions)
            tips.append(found)
    # A label is a track, in every frame.
    track_of_label = [np.arange(1, int(tracks.label.max()) + 1)] * len(masks)
    cells = cell_table(
        shapes,
        track_of_label,
        parents=dict(zip(tracks.label.tolist(), tracks.parent.tolist())),
        protrusions=None if size_for_tips is None else tips,
        pixel_size_um=pixel_size_um,
        frame_interval_s=frame_interval_s,
        motion=settings.motion,
    )
    followed = None
    if size_for_tips is not None:
        followed = tip_table(
            tips, track_of_label, cells, pixel_size_um=size_for_tips, gate_um=settings.tip_gate_um
        )
    return Measures(cells, followed, pixel_size_um, frame_interval_s)


def write_measures(folder: pathlib.Path, measures: Measures) -> None:
    """Writes cells.csv, tips.csv (if they were measured), behaviour.png and time_courses.png.

    Args:
        folder: The folder to write to.
        measures: Result of `measure_tracks`.
    """
    cells, size = measures.cells, measures.pixel_size_um
    write_table(folder / "cells.csv", cells, pixel_size_um=size)
    if measures.tips is not None:
        write_table(folder / "tips.csv", measures.tips, pixel_size_um=size)
    plot_behaviour(cells, folder / "behaviour.png", pixel_size_um=size)
    plot_time_courses(
        cells,
        folder / "time_courses.png",
        pixel_size_um=size,
        frame_interval_s=measures.frame_interval_s,
    )


def draw_on_movie(
    folder: pathlib.Path,
    movie: Movie,
    masks: Movie,
    measures: Measures,
    *,
    protrusions: ProtrusionSettings,
) -> None:
    """Writes segmentation.gif and, of the frame with the longest protrusion, protrusions.png.

    Args:
        folder: The folder to write to.
        movie: Grey frames.
        masks: The tracked label images of its frames.
        measures: Result of `measure_tracks`.
        protrusions: Definition of a protrusion that was used.
    """
    tips, size = measures.tips, measures.pixel_size_um
    if size is not None and tips is not None and len(tips):
        frame, track = _example(masks, tips)
        plot_protrusions(
            movie[frame],
            masks[frame],
            track,
            folder / "protrusions.png",
            pixel_size_um=size,
            settings=protrusions,
            title=f"Frame {frame}, track {track}",
        )
    write_video(
        _video_frames(movie, masks, tips),
        folder / "segmentation.gif",
        pixel_size_um=size,
        frame_interval_s=measures.frame_interval_s,
    )


def _example(masks: Movie, tips: TipTable) -> tuple[int, int]:
    """Frame and track of the longest protrusion, if possible of a cell that the edge does not cut."""
    longest = np.argsort(-tips.length_from_body_um, kind="stable")[:MOST_EXAMPLES]
    candidates = [(int(tips.frame[row]), int(tips.track[row])) for row in longest]
    for frame, track in candidates:
        labels = masks[frame]
        if not any((side == track).any() for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1])):
            return frame, track
    return candidates[0]


def _video_frames(movie: Movie, masks: Movie, tips: TipTable | None) -> Iterator[VideoFrame]:
    """Frames with their tracks, and with the tips if they were measured."""
    for frame in tqdm.trange(len(movie), desc="video", unit="frame", leave=False):
        here = None
        if tips is not None:
            rows = tips.frame == frame
            here = np.stack([tips.y[rows], tips.x[rows]], axis=-1)
        yield VideoFrame(movie[frame], masks[frame], here)
