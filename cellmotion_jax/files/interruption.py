"""Ends a command at a signal with one sentence, and leaves nothing half-written behind.

Python calls signal handlers on the main thread between two bytecodes: late while XLA compiles, and sometimes
within a callback or a destructor, where an exception is lost or crashes the process. So the handlers here do
nothing. The number of the signal goes through a pipe to a thread, which undoes what is half-done, prints the
sentence and ends the process. It waits for two things only: an output that is being renamed (`postponed`),
and a training that has updates to save (`SafePoints`), which ends itself at its next safe point. A second
signal ends the waiting.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

LONGEST_WAIT_S = 15.0
"""Time in which a training has to reach a safe point. Batch systems kill a job about 30 s after SIGTERM."""
_SAME_SIGNAL_S = 0.5
"""Programs that start others pass on a signal that the terminal has sent already: it is the same one."""
_WORDS = {"SIGINT": "Interrupted", "SIGTERM": "Terminated", "SIGHUP": "The terminal was closed"}
_WORDS_OF = {int(getattr(signal, name)): words for name, words in _WORDS.items() if hasattr(signal, name)}

# A signal concerns the whole process, and so does what is undone then.
_turn = threading.RLock()
"""Whoever holds it ends the command, or does what must not be cut off."""
_claims = 0
_undo: list[Callable[[], None]] = []
_kept: list[str] = ["nothing was written"]
_requested: int | None = None
_safe_points: SafePoints | None = None


class Interrupted(KeyboardInterrupt):
    """Raised at a safe point after a signal."""

    def __init__(self, number: int, kept: str) -> None:
        super().__init__(sentence(number, kept))
        self.number = number


class SafePoints:
    """The safe points of a training: there it is interrupted with all its updates saved."""

    unsaved = False
    """Whether there are updates to save. Only then does a signal wait for the next safe point."""


def sentence(number: int, kept: str) -> str:
    """The answer to a signal.

    Args:
        number: Number of the signal.
        kept: What is kept of the work, as a part of the sentence.

    Returns:
        The sentence.
    """
    return f"{_WORDS_OF[number]}: {kept}."


def stop_if_requested() -> None:
    """A safe point: ends the training there if a signal asks for it.

    Raises:
        Interrupted: After a signal, on the main thread.
    """
    if _requested is not None and threading.current_thread() is threading.main_thread():
        raise Interrupted(_requested, _kept[-1])


@contextlib.contextmanager
def safe_points() -> Iterator[SafePoints]:
    """Within the block, a signal waits for `stop_if_requested`, at most `LONGEST_WAIT_S`."""
    global _safe_points
    _safe_points = SafePoints()
    try:
        yield _safe_points
    finally:
        _safe_points = None


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Within the block, which must be short, the command is not ended by a first signal."""
    with _turn:
        yield


@contextlib.contextmanager
def undone_at_end(undo: Callable[[], None]) -> Iterator[None]:
    """If a signal ends the command within the block, ``undo`` is called, on another thread."""
    _undo.append(undo)
    try:
        yield
    finally:
        _undo.remove(undo)


@contextlib.contextmanager
def keeping(kept: str) -> Iterator[None]:
    """If a signal ends the command within the block, its sentence says that this is kept."""
    _kept.append(kept)
    try:
        yield
    finally:
        _kept.pop()


@contextlib.contextmanager
def handled(*, last: bool) -> Iterator[None]:
    """Handles signals within the block, which is a whole command and prints its own errors.

    Args:
        last: Whether the process ends after the block. A signal then ends it without a word.
    """
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        yield  # Signals are not ours there.
        return
    global _claims, _requested
    _requested = None
    # Ignored ones stay ignored: by nohup, or in the background of a shell.
    before = {number: signal.getsignal(number) for number in _WORDS_OF}
    ours = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    pipe_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread = threading.Thread(target=_listen, args=(reading,), name="signals", daemon=True)
    thread.start()
    for number in ours:
        signal.signal(number, _do_nothing)
    try:
        yield
    finally:
        with _turn:  # For ever, if the thread ends the process.
            signal.set_wakeup_fd(pipe_before)
            for number in ours:
                signal.signal(number, signal.SIG_DFL if last else before[number])
            os.close(writing)
            thread.join()
            os.close(reading)
        for _ in range(_claims):
            _turn.release()
        _claims = 0


def claim_end() -> None:
    """Before the last words of a command: from here on no signal adds another sentence."""
    global _claims
    _turn.acquire()
    _claims += 1


def _do_nothing(number: int, frame: object) -> None:
    """A handler has to exist, or no number is written to the pipe."""


def _listen(reading: int) -> None:
    """Waits for signals until the other end of the pipe is closed."""
    global _requested
    first, at_once = 0.0, False
    while True:
        ready, _, _ = select.select([reading], [], [], None if _requested is None else 0.02)
        if ready:
            numbers = os.read(reading, 64)
            if not numbers:
                return
            for number in filter(_WORDS_OF.__contains__, numbers):
                if _requested is None:
                    _requested, first = number, time.monotonic()
                elif time.monotonic() > first + _SAME_SIGNAL_S:
                    at_once = True
        if _requested is None:
            continue
        waits = (
            _safe_points is not None and _safe_points.unsaved and time.monotonic() < first + LONGEST_WAIT_S
        )
        if at_once or not waits:
            turn = _turn.acquire(blocking=False)
            if turn or at_once:
                _end_process(_requested, undo=turn)


def _end_process(number: int, *, undo: bool) -> None:
    """Ends the process. Without its turn it undoes nothing; the next run deals with what is left."""
    if undo:
        _stop_other_writers()
    for undo_one in reversed(_undo) if undo else ():
        with contextlib.suppress(OSError):
            undo_one()
    # A progress bar has left its line open.
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    line = "\n" if getattr(bars, "_instances", ()) else ""
    with contextlib.suppress(OSError):
        os.write(2, f"{line}cellmotion: {sentence(number, _kept[-1])}\n".encode())
    os._exit(128 + number)


def _stop_other_writers() -> None:
    """Holds up every other thread that is about to make a file: it would be made after the undoing."""
    ending = threading.get_ident()

    def hold(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.mkdir", "os.rename", "os.link") and threading.get_ident() != ending:
            time.sleep(LONGEST_WAIT_S)  # The process has ended by then.

    sys.addaudithook(hold)
    time.sleep(0.002)  # For the file whose making has begun.


def _forget_signals() -> None:
    """A forked child is none of the command's: what it receives must not end its parent."""
    if any(signal.getsignal(number) is _do_nothing for number in _WORDS_OF):
        signal.set_wakeup_fd(-1)
        for number in _WORDS_OF:
            if signal.getsignal(number) is _do_nothing:
                signal.signal(number, signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_signals)
