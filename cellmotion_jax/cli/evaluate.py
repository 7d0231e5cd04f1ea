"""``cellmotion evaluate``: scores a result with the measures of the Cell Tracking Challenge."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import pathlib
from typing import Annotated

import tyro

from cellmotion_jax.cli.options import parse_options
from cellmotion_jax.data.ctc import CtcSequence, open_dataset
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.inference.ctc_scores import SequenceScores, open_result, score_columns, score_result
from cellmotion_jax.metrics.ctc import CtcScores
from cellmotion_jax.report.summary import counted
from cellmotion_jax.settings import Range, Settings, WholeFromZero


@dataclasses.dataclass(frozen=True, kw_only=True)
class _EvaluateOptions(Settings):
    """Scores a result with the measures of the Cell Tracking Challenge.

    SEG against the gold segmentation (01_GT/SEG) and the silver one (01_ST/SEG) in the frames that have one,
    DET, LNK and TRA against 01_GT/TRA, with the error counts behind them; a cell counts in every frame. A
    result without res_track.txt, as `cellmotion segment` writes it, has only SEG and DET.
    """

    result: tyro.conf.Positional[pathlib.Path]
    """Folder with maskT.tif and res_track.txt, e.g. DATASET/01_RES."""
    reference: tyro.conf.Positional[pathlib.Path]
    """The annotated sequence, e.g. DATASET/01; or the dataset, in which case the name of RESULT says which
    sequence is used."""
    frames: tuple[WholeFromZero, WholeFromZero] | None = None
    """First and last frame to score, counted from 0, e.g. those that were not used for training. Masks of
    other frames may be missing."""
    margin: Annotated[int, Range(0, 2**14)] = 0
    """Leave out cells that lie completely within this many pixels of the image edge, as the challenge does:
    25 for Fluo-N2DL-HeLa and PhC-C2DL-PSC, 50 for PhC-C2DH-U373 and DIC-C2DH-HeLa."""
    out: pathlib.Path | None = None
    """File to which all scores are written: .json, or .csv with one row."""


def evaluate_result(arguments: list[str]) -> None:
    """Scores a result."""
    options = parse_options(_EvaluateOptions, arguments, prog="cellmotion evaluate")
    if options.out is not None and options.out.suffix not in (".json", ".csv"):
        raise InputError(f"out is {options.out}; the name of the file ends in .json or .csv.")
    with contextlib.nullcontext() if options.out is None else written_beside(options.out) as out:
        sequence = _sequence(options.reference, options.result)
        result = open_result(options.result, sequence, frames=options.frames)
        scores = score_result(result, sequence, frames=options.frames, margin=options.margin)
        print("\n".join(_table(scores, sequence)))  # noqa: T201
        if out is not None:
            _write(out, {"result": str(options.result), "sequence": sequence.full_name}, scores)


def _sequence(reference: pathlib.Path, result: pathlib.Path) -> CtcSequence:
    """The annotated sequence that a result belongs to."""
    sequences = open_dataset(reference)
    if len(sequences) == 1:
        return sequences[0]
    # A link carries the name of the sequence even where what it leads to does not.
    for name in (pathlib.Path(os.path.abspath(result)).name, result.resolve().name):
        for sequence in sequences:
            if sequence.name == name.split("_")[0]:
                return sequence
    known = ", ".join(sequence.name for sequence in sequences)
    raise InputError(
        f"{reference} has the sequences {known}; name one, such as {reference / sequences[0].name}."
    )


def _table(scores: SequenceScores, sequence: CtcSequence) -> list[str]:
    """One line per measure."""
    lines = [f"{sequence.full_name}"]
    for name, score in scores._asdict().items():
        over = score.segmentation
        if over.frames:
            lines.append(
                f"  SEG     {_number(score.seg)}  {name}: {counted(over.cells, 'outline')} in "
                f"{counted(over.frames, 'frame')}"
            )
    nodes, edges = scores.gold.nodes, scores.gold.edges
    markers = counted(nodes.reference, "marker")
    lines.append(
        f"  DET     {_number(scores.gold.det)}  of {markers}: {nodes.missed} missed (FN), "
        f"{nodes.spurious} spurious (FP), {nodes.splits} to split (NS)"
    )
    if edges is None:
        return [*lines, "  LNK, TRA: the result has no res_track.txt"]
    links = counted(edges.reference, "link")
    lines.append(
        f"  LNK     {_number(scores.gold.lnk)}  of {links}: {edges.missed} missed (EA), "
        f"{edges.spurious} spurious (ED), {edges.wrong_kind} of the wrong kind (EC)"
    )
    lines.append(f"  TRA     {_number(scores.gold.tra)}  AOGM {scores.gold.aogm:g}")
    return lines + [line for name, score in scores._asdict().items() for line in _overall(name, score)]


def _overall(name: str, score: CtcScores) -> list[str]:
    """Overall scores of the benchmarks, with one of the two reference segmentations."""
    if not score.segmentation.frames:
        return []
    return [f"  OP_CSB  {_number(score.op_csb)}  {name}", f"  OP_CTB  {_number(score.op_ctb)}  {name}"]


def _number(value: float) -> str:
    return f"{value:.4f}" if value == value else "     -"


def _write(path: pathlib.Path, about: dict[str, str], scores: SequenceScores) -> None:
    """Writes all scores to a file."""
    columns = about | score_columns(scores)
    with path.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".json":
            json.dump(columns, file, indent=2)
        else:
            writer = csv.DictWriter(file, fieldnames=list(columns))
            writer.writeheader()
            writer.writerow(columns)
