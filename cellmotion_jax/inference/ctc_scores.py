"""Scores of a result folder of the Cell Tracking Challenge (CTC) against an annotated sequence."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import NamedTuple

import numpy as np
import tqdm
from jaxtyping import Integer

from cellmotion_jax.data.centroids import frame_centroids
from cellmotion_jax.data.ctc import CtcSequence
from cellmotion_jax.data.label_images import open_labels
from cellmotion_jax.data.movie import Movie, list_tiffs
from cellmotion_jax.data.track_table import TrackTable, check_track_table, read_man_track
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import read_text, require_folder
from cellmotion_jax.metrics.aogm import edge_errors, node_errors
from cellmotion_jax.metrics.ctc import CtcScores
from cellmotion_jax.metrics.ctc_matching import match_frame, segmentation_score


class SequenceScores(NamedTuple):
    """Scores of a result with both reference segmentations; DET, LNK and TRA are the same in both."""

    gold: CtcScores
    """Scores with SEG against ``01_GT/SEG``, drawn by people; SEG is NaN where there is none."""
    silver: CtcScores
    """Scores with SEG against ``01_ST/SEG``, fused from challenge entries; SEG is NaN where there is none."""


class ResultFolder(NamedTuple):
    """Masks and tracks of a result."""

    masks: Movie
    """One label image per frame that the result has, without a gap."""
    tracks: TrackTable | None
    """The rows of ``res_track.txt``; None if the cells are not tracked."""
    first: int = 0
    """Frame of the first label image."""

    def mask(self, frame: int) -> Integer[np.ndarray, "y x"]:
        """The label image of a frame of the movie."""
        return self.masks[frame - self.first]


def open_result(
    folder: str | os.PathLike[str], sequence: CtcSequence, *, frames: tuple[int, int] | None = None
) -> ResultFolder:
    """Opens ``maskT.tif`` and ``res_track.txt``, and checks that they fit the movie.

    Args:
        folder: The result, e.g. ``DATASET/01_RES``. A folder without ``res_track.txt``, such as ``cellmotion
            segment`` writes, holds masks only. An empty ``res_track.txt`` is a result without cells.
        sequence: The annotated sequence.
        frames: The first and the last frame that are to be scored; masks of others may be missing. None for
            all.

    Returns:
        The masks, which are read later, and the tracks.

    Raises:
        InputError: If there is not one mask of whole numbers per frame, of its number and size, the table
            breaks a rule of the format, or frames are not in the movie.
    """
    folder = pathlib.Path(folder)
    require_folder(folder, what="a result, which is a folder of mask000.tif, mask001.tif and so on")
    if not any(folder.glob("mask*.tif")):
        raise InputError(f"{folder} is no result; it should be a folder with mask000.tif, mask001.tif, ...")
    movie, first = _part_with_masks(folder, sequence.movie, frames)
    masks = open_labels(folder, movie, prefix="mask")
    return ResultFolder(masks, _read_tracks(folder / "res_track.txt", frames=len(sequence.movie)), first)


def score_result(
    result: ResultFolder,
    sequence: CtcSequence,
    *,
    frames: tuple[int, int] | None = None,
    margin: int = 0,
) -> SequenceScores:
    """Measures SEG, DET, LNK and TRA, one frame in memory at a time.

    DET, LNK and TRA are measured against ``01_GT/TRA``, SEG against the gold and the silver segmentation,
    each in the frames for which it exists.

    Args:
        result: What `open_result` returned for the sequence.
        sequence: The annotation.
        frames: The first and the last frame to score, e.g. the held-out ones; links to frames outside this
            range do not count. None for all.
        margin: Leave out cells that lie completely within this many pixels of the edge, as the challenge does
            before it scores (its figures are in `data.annotated.BORDER_MARGIN`).

    Returns:
        Scores and errors.

    Raises:
        InputError: If a mask of the result or of the reference holds other labels than its table lets live
            in its frame, a label is negative, or frames or margin are not in the movie.
    """
    first, last = _span(sequence.movie, frames)
    tracking, gold, silver = [], [], []
    span = range(first, last + 1)
    for frame in tqdm.tqdm(span, desc=f"scoring {sequence.full_name}", disable=None, leave=False):
        found, markers = result.mask(frame), sequence.tracking_mask(frame)
        for movie, row, labels, table in (
            (result.masks, frame - result.first, found, result.tracks),
            (sequence.tracking_masks, frame, markers, sequence.tracks),
        ):
            if table is not None:
                frame_centroids(frame, labels, table, source=str(movie.path / movie.frame_names[row]))
        tracking.append(match_frame(markers, found, margin=margin))
        for outline, matches in (
            (sequence.segmentation_mask(frame), gold),
            (sequence.silver_mask(frame), silver),
        ):
            if outline is not None:
                matches.append(match_frame(outline, found, margin=margin))
    nodes, edges = node_errors(tracking), None
    if result.tracks is not None:
        edges = edge_errors(tracking, sequence.tracks, result.tracks, first_frame=first)
    return SequenceScores(
        *(CtcScores(segmentation_score(matches), nodes, edges) for matches in (gold, silver))
    )


def score_columns(scores: SequenceScores) -> dict[str, float | int | None]:
    """All measures and counts under the names of the challenge, for a table or a file.

    Args:
        scores: Scores of one result.

    Returns:
        One number per name; None where a measure is not defined.
    """
    columns: dict[str, float | int | None] = {}
    for name, score in scores._asdict().items():
        columns |= {
            f"SEG_{name}": score.seg,
            f"SEG_{name}_cells": score.segmentation.cells,
            f"SEG_{name}_frames": score.segmentation.frames,
            f"OP_CSB_{name}": score.op_csb,
            f"OP_CTB_{name}": score.op_ctb,
        }
    nodes, edges = scores.gold.nodes, scores.gold.edges
    columns |= {
        "DET": scores.gold.det,
        "LNK": scores.gold.lnk,
        "TRA": scores.gold.tra,
        "AOGM": scores.gold.aogm,
    }
    columns |= {"NS": nodes.splits, "FN": nodes.missed, "FP": nodes.spurious, "nodes": nodes.reference}
    given = (None,) * 4 if edges is None else edges
    columns |= dict(zip(("ED", "EA", "EC", "edges"), given))
    return {name: None if value != value else value for name, value in columns.items()}


def _span(movie: Movie, frames: tuple[int, int] | None) -> tuple[int, int]:
    """First and last frame to score."""
    first, last = (0, len(movie) - 1) if frames is None else frames
    if not 0 <= first <= last < len(movie):
        raise InputError(
            f"frames are {first} to {last}, but those of {movie.path} are 0 to {len(movie) - 1}."
        )
    return first, last


def _part_with_masks(folder: pathlib.Path, movie: Movie, frames: tuple[int, int] | None) -> tuple[Movie, int]:
    """The frames of a movie that a result should have masks of, and the number of the first of them.

    These are the frames to score, and those around them for which there are masks.
    """
    first, last = _span(movie, frames)
    frame_of = {f"mask{name.removeprefix('t')}": frame for frame, name in enumerate(movie.frame_names)}
    files = list_tiffs(folder)
    there = {frame_of[file.name] for file in files if file.name in frame_of}
    strange = [file for file in files if file.name not in frame_of]
    # If masks are missing as well, names of another form are the likely reason; `open_labels` says which.
    if strange and there.issuperset(range(first, last + 1)):
        raise InputError(f"{strange[0]} belongs to no frame; {movie.path} has {len(movie)} frames.")
    first, last = min([first, *there]), max([last, *there])
    part = slice(first, last + 1)
    return dataclasses.replace(movie, frame_names=movie.frame_names[part], planes=movie.planes[part]), first


def _read_tracks(file: pathlib.Path, *, frames: int) -> TrackTable | None:
    """The table of a result; an empty file is a table without tracks."""
    if not file.exists():
        return None
    if not read_text(file, what="a table of tracks").strip():
        return TrackTable(*np.zeros((4, 0), np.int64))
    tracks = read_man_track(file)
    check_track_table(tracks, frames=frames, source=str(file))
    return tracks
