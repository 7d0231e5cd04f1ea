"""Log of a run: a CSV file in long format, TensorBoard, and the progress bar."""

from __future__ import annotations

import csv
import io
import pathlib
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import tensorboardX
import tqdm

from cellmotion_jax.files import write_text

HEADER = ("step", "split", "member", "metric", "value")


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
        self._file = self.path.open("a", newline="")
        self._rows = csv.writer(self._file)
        self._board = tensorboardX.SummaryWriter(str(folder / "tensorboard"), purge_step=start)
        self._bar = tqdm.tqdm(
            total=total, initial=start, unit="step", dynamic_ncols=True, mininterval=0.5, file=sys.stderr
        )

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()
        self._board.close()
        self._bar.close()

    def advance(self) -> None:
        """Moves the progress bar by one update."""
        self._bar.update()

    def write(self, step: int, split: str, metrics: Mapping[str, np.ndarray]) -> None:
        """Logs metrics of shape ``[member]`` and shows their means beside the bar."""
        for name, values in metrics.items():
            for member, value in zip(self._members, np.atleast_1d(values), strict=True):
                self._rows.writerow((step, split, member, name, f"{value:.8g}"))
                tag = f"{split}/{name}" if len(self._members) == 1 else f"{split}/{name}/{member}"
                self._board.add_scalar(tag.replace(" ", "_"), float(value), step)
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
        if start > 0 and self.path.exists():
            with self.path.open(newline="") as stream:
                for row in csv.reader(stream):
                    # A killed run may have left half a line.
                    if len(row) == len(HEADER) and row[0].isdigit() and int(row[0]) < start:
                        rows.writerow(row)
        write_text(self.path, kept.getvalue())
