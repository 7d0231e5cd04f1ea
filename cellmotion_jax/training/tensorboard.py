"""Scalars of a run in a file for TensorBoard."""

from __future__ import annotations

import pathlib
import time

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog  # type: ignore[attr-defined]  # Made at import
from tensorboardX.summary import scalar

FLUSH_EVERY_S = 60.0


class TensorBoardFile:
    """Writes scalars as they come.

    ``tensorboardX.SummaryWriter`` writes on a thread of its own: when the disk is full the thread ends with a
    traceback, and the training waits for it for ever.
    """

    def __init__(self, folder: pathlib.Path, *, start: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))
        # TensorBoard then hides what a killed run wrote from this step on.
        self._put(Event(step=start, session_log=SessionLog(status=SessionLog.START)))
        self._writer.flush()
        self._flushed = time.monotonic()

    def __enter__(self) -> TensorBoardFile:
        return self

    def __exit__(self, *exception) -> None:
        self._writer.close()

    def write(self, step: int, tag: str, value: float) -> None:
        """Writes one scalar."""
        self._put(Event(step=step, summary=scalar(tag, value)))
        if time.monotonic() > self._flushed + FLUSH_EVERY_S:
            self._writer.flush()
            self._flushed = time.monotonic()

    def _put(self, event: Event) -> None:
        event.wall_time = time.time()
        self._writer.write_event(event)
