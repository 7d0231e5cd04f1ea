"""Log of a run: a CSV file in long format, TensorBoard, and the progress bar."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import logging
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tqdm

from cellmotion_jax.files import write_text
from cellmotion_jax.training.tensorboard import TensorBoardFile

_log = logging.getLogger(__name__)
HEADER = ("step", "split", "member", "metric", "value")
SPLITS = ("train", "validation")


class MetricsLog:
    """Writes every scalar of a run as one CSV row and one TensorBoard point.

    ``metrics.csv`` has the columns ``step,split,member,metric,value``; ``split`` is ``train`` or
    ``validation``. Opened at a resumed step it first drops the rows that a killed run wrote after its
    last checkpoint, so that an interrupted run leaves the same file as an uninterrupted one.
    """

    def __init__(self, folder: pathlib.Path, *, members: Sequence[str], start: int, total: int) -> None:
        self.path = folder / "metrics.csv"
        self._members = tuple(members)
        self._keep_rows_before(start)
        with contextlib.ExitStack() as stack:
            self._file = stack.enter_context(self.path.open("a", newline="", encoding="utf-8"))
            self._rows = csv.writer(self._file)
            self._board = stack.enter_context(TensorBoardFile(folder / "tensorboard", start=start))
            self._bar = stack.enter_context(
                tqdm.tqdm(
                    total=total,
                    initial=start,
                    unit="step",
                    dynamic_ncols=True,
                    mininterval=0.5,
                    file=sys.stderr,
                )
            )
            self._open = stack.pop_all()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *exception) -> None:
        self._open.__exit__(*exception)

    def advance(self) -> None:
        """Moves the progress bar by one update."""
        self._bar.update()

    def write(self, step: int, split: str, metrics: Mapping[str, np.ndarray]) -> None:
        """Logs metrics of shape ``[member]`` and shows their means beside the bar."""
        for name, values in metrics.items():
            for member, value in zip(self._members, np.atleast_1d(values), strict=True):
                self._rows.writerow((step, split, member, name, f"{value:.8g}"))
                tag = f"{split}/{name}" if len(self._members) == 1 else f"{split}/{name}/{member}"
                self._board.write(step, tag.replace(" ", "_"), float(value))
        self._file.flush()
        shown = {f"{split[:5]} {name}": f"{float(np.mean(values)):.3g}" for name, values in metrics.items()}
        self._bar.set_postfix({k: v for k, v in shown.items() if "gradient" not in k and "rate" not in k})

    def say(self, message: str) -> None:
        """Prints a line above the bar."""
        self._bar.write(message, file=sys.stderr)

    def _keep_rows_before(self, start: int) -> None:
        kept = io.StringIO()
        rows = csv.writer(kept)
        rows.writerow(HEADER)
        if start > 0:
            unreadable = 0
            for row in _rows_of(self.path):
                if not _is_row(row):
                    unreadable += 1
                elif int(row[0]) < start:
                    rows.writerow(row)
            if unreadable:
                _log.warning("%d lines of %s cannot be read and were left out.", unreadable, self.path)
        write_text(self.path, kept.getvalue())


def _rows_of(path: pathlib.Path) -> Iterator[list[str]]:
    """The rows of a log below its header, without the half line that a kill may leave at the end."""
    if not path.exists():
        _log.warning("%s is missing; it begins anew.", path)
        return
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        for line in itertools.islice(stream, 1, None):
            if line.endswith("\n"):
                # A quotation mark in a damaged line must not swallow the lines after it.
                yield next(csv.reader([line])) if '"' in line else line.rstrip("\r\n").split(",")


def _is_row(row: Sequence[str]) -> bool:
    if len(row) != len(HEADER) or not (row[0].isascii() and row[0].isdecimal() and len(row[0]) < 19):
        return False
    try:
        float(row[4])
    except ValueError:
        return False
    return row[1] in SPLITS and not any("\ufffd" in field or "\0" in field for field in row)
