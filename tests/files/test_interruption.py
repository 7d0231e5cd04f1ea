"""A signal ends a command with one sentence, whatever it is doing, and nothing is left."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from cellmotion_jax import cli
from cellmotion_jax.files import interruption
from tests.files.failing_storage import tree

START = """
import pathlib, signal, sys, time
from cellmotion_jax.files import interruption, output_folder
for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # The tests may run with nohup, or in the background.
    signal.signal(getattr(signal, name), signal.SIG_DFL)
out = pathlib.Path(sys.argv[1])
def ready():
    print("ready", flush=True)
with interruption.handled(last=True):
"""
WRITING = """
    with output_folder(out / "new" / "result") as folder:
        (folder / "half").write_text("half")
        ready()
        {}
"""
PYTHON = "while True: pass"
C = "time.sleep(60)"
CALLBACK = """
        class Weak:
            def __del__(self): time.sleep(60)
        del [Weak()][0]
"""
ALWAYS_NEW = """
    from cellmotion_jax.files.written import removed
    slow = interruption.undone_at_end(lambda: time.sleep(0.1))  # As the cleaning of a large folder.
    with slow, removed(out / "partial") as partial:
        ready()
        while True:
            partial.unlink(missing_ok=True)
            partial.write_text("half")
"""
POSTPONED = """
    with interruption.postponed():
        ready()
        time.sleep(0.3)
        (out / "whole").write_text("whole")
    time.sleep(60)
"""
TRAINING = """
    with interruption.safe_points() as points:
        points.unsaved = True
        ready()
        try:
            while True:
                time.sleep(0.05)
                interruption.stop_if_requested()
        except interruption.Interrupted as error:
            (out / "checkpoint").write_text(str(error.number))
"""
STUCK = """
    with interruption.safe_points() as points:
        points.unsaved = True
        ready()
        time.sleep(60)
"""


def end(tmp_path, program, *signals, pause=0.0):
    """Exit code and standard error of a program that gets signals when it is ready."""
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(cli.__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", START + program, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        for number in signals:
            process.send_signal(number)
            time.sleep(pause)
        _, stderr = process.communicate(timeout=50)
    return process.returncode, stderr


@pytest.mark.parametrize(
    ("doing", "number", "code", "word"),
    [
        (PYTHON, signal.SIGINT, 130, "Interrupted"),
        (C, signal.SIGTERM, 143, "Terminated"),
        (CALLBACK, signal.SIGINT, 130, "Interrupted"),
        (C, signal.SIGHUP, 129, "The terminal was closed"),
    ],
)
def test_one_sentence_and_nothing_left(tmp_path, doing, number, code, word):
    sentence = f"cellmotion: {word}: nothing was written to {tmp_path}/new/result.\n"
    assert end(tmp_path, WRITING.format(doing), number) == (code, sentence)
    assert tree(tmp_path) == {}


def test_no_file_is_made_after_the_undoing(tmp_path):
    code, _ = end(tmp_path, ALWAYS_NEW, signal.SIGTERM, pause=0.05)
    assert code == 143
    assert tree(tmp_path) == {}


def test_a_result_that_is_being_moved_is_moved_first(tmp_path):
    code, stderr = end(tmp_path, POSTPONED, signal.SIGTERM)
    assert (code, stderr.count("\n")) == (143, 1)
    assert tree(tmp_path) == {"whole": "whole"}


def test_a_training_saves_at_its_safe_point(tmp_path):
    assert end(tmp_path, TRAINING, signal.SIGTERM) == (0, "")
    assert tree(tmp_path) == {"checkpoint": "15"}


def test_a_second_signal_ends_the_waiting_but_not_the_same_one_twice(tmp_path):
    start = time.monotonic()
    code, stderr = end(tmp_path, STUCK, signal.SIGINT, signal.SIGINT, pause=0.7)
    assert (code, stderr.count("\n")) == (130, 1)
    assert time.monotonic() - start < interruption.LONGEST_WAIT_S
    assert end(tmp_path, TRAINING, signal.SIGINT, signal.SIGINT) == (0, "")


def test_ignored_signals_stay_ignored_and_handlers_are_put_back():
    given = signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruption.handled(last=False):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, given)
        signal.signal(signal.SIGHUP, hang_up)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(5, "Input/output error", "movie.tif"), "movie.tif cannot be used: Input/output error."),
        (OSError(5, "Input/output error"), "a file or the network failed: Input/output error."),
    ],
)
def test_what_no_command_has_looked_after_is_one_sentence(monkeypatch, capsys, error, said):
    def fails(arguments):
        raise error

    monkeypatch.setattr(cli, "_run", fails)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["segment"])
    assert exit_.value.code == 2
    assert capsys.readouterr().err == f"cellmotion: {said}\n"
