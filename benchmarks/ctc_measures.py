"""SEG, DET, LNK and TRA of a whole movie beside py-ctcmetrics and traccuracy.

``python benchmarks/ctc_measures.py /data/Fluo-N2DL-HeLa/01 [RESULT]``. Without a result the tracking markers
are their own. Every contender reads the same files in one process; traccuracy has no SEG, and ours measures
SEG against the silver segmentation as well, if there is one. The values are compared before
anything is printed. Memory is the largest that the process has held after each contender, which is why ours
comes first. CPU seconds compare better than seconds on a machine that others use as well.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import pathlib
import resource
import sys
import tempfile
import time
import warnings
from typing import NamedTuple

import numpy as np
from ctc_metrics import evaluate_sequence
from traccuracy import run_metrics
from traccuracy.loaders import load_ctc_data
from traccuracy.matchers import CTCMatcher
from traccuracy.metrics import CTCMetrics

from cellmotion_jax.data.ctc import CtcSequence, open_dataset
from cellmotion_jax.inference.ctc_scores import open_result, score_result

NAMES = ("SEG", "DET", "LNK", "TRA")


class Row(NamedTuple):
    """What a contender took and gave."""

    cpu: float
    seconds: float
    peak: float
    values: dict[str, float]


def main() -> None:
    (sequence,) = open_dataset(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        result = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else markers_as_result(sequence, scratch)
        truth = sequence.root / f"{sequence.name}_GT"
        before = peak_mebibytes()
        contenders = {
            "cellmotion_jax": lambda: ours(result, sequence),
            "py-ctcmetrics": lambda: py_ctcmetrics(result, truth),
            "traccuracy": lambda: traccuracy(result, truth),
        }
        rows = {}
        for name, measure in contenders.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            values = quietly(measure)
            cpu, seconds = time.process_time() - cpu_start, time.perf_counter() - start
            rows[name] = Row(cpu, seconds, peak_mebibytes() - before, values)
    first = rows["cellmotion_jax"]
    for row in rows.values():
        expected = [first.values[name] for name in row.values]
        np.testing.assert_allclose(list(row.values.values()), expected, atol=1e-6)
    packages = ("py-ctcmetrics", "traccuracy", "numpy")
    size = " x ".join(map(str, sequence.movie.shape))
    print(f"{sequence.full_name}: {len(sequence.movie)} frames of {size}, {os.cpu_count()} cores")
    print(", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages), "\n")
    columns = ("", "CPU s", "/ ours", "s", "peak MiB above the start", *NAMES)
    print("|", " | ".join(columns), "|\n|", " | ".join("---" for _ in columns), "|")
    for name, row in rows.items():
        cells = [
            name,
            f"{row.cpu:.1f}",
            f"{row.cpu / first.cpu:.1f}",
            f"{row.seconds:.1f}",
            f"{row.peak:.0f}",
        ]
        cells += [f"{row.values[key]:.6f}" if key in row.values else "" for key in NAMES]
        print("|", " | ".join(cells), "|")


def markers_as_result(sequence: CtcSequence, scratch: str) -> pathlib.Path:
    """The files of ``01_GT/TRA`` under the names of a result."""
    folder = pathlib.Path(scratch) / "01_RES"
    folder.mkdir()
    for path in sequence.tracking_masks.path.iterdir():
        name = path.name.replace("man_track.txt", "res_track.txt").replace("man_track", "mask")
        (folder / name).symlink_to(path.resolve())
    return folder


def ours(result: pathlib.Path, sequence: CtcSequence) -> dict[str, float]:
    score = score_result(open_result(result, sequence), sequence).gold
    return dict(zip(NAMES, (score.seg, score.det, score.lnk, score.tra)))


def py_ctcmetrics(result: pathlib.Path, truth: pathlib.Path) -> dict[str, float]:
    values = evaluate_sequence(str(result), str(truth), metrics=["Valid", *NAMES], threads=1)
    return {name: values[name] for name in NAMES}


def traccuracy(result: pathlib.Path, truth: pathlib.Path) -> dict[str, float]:
    sides = (load_ctc_data(str(truth / "TRA")), load_ctc_data(str(result)))
    (outcome,), _ = run_metrics(*sides, CTCMatcher(), [CTCMetrics()])
    return {name: outcome["results"][name] for name in NAMES[1:]}


def quietly(measure) -> dict[str, float]:
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        return measure()


def peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
