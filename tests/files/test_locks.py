"""Locks name their owner; what a dead one has left is taken over, with and without ``flock``."""

import json
import os
import socket
import subprocess
import sys

import pytest

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import locks
from cellmotion_jax.files.locks import command_runs, locked, this_process

HOLD = """
import pathlib, sys
from cellmotion_jax.files.locks import command_runs, locked
with command_runs(["train", "direction"]), locked(pathlib.Path(sys.argv[1]), place="run"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_owner_is_named_and_a_killed_one_is_none(tmp_path):
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(InputError) as refusal, locked(path, place="run"):
            pass
        process.kill()
    host = socket.gethostname()
    assert (
        f"run is being written by process {process.pid} on {host} (cellmotion train direction) since 20"
        in str(refusal.value)
    )
    with locked(path, place="run") as lock:
        assert lock.left["process"] == process.pid
        assert json.loads(path.read_text())["process"] == os.getpid()
    assert not path.exists()


@pytest.fixture
def without_flock(monkeypatch):
    monkeypatch.setattr(locks, "_flock", lambda descriptor: None)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def alive():
    parent = os.getppid()
    return this_process() | {"process": parent, "started": locks._start(parent)}


@pytest.mark.parametrize("changes", [{}, {"host": "another"}])
def test_without_flock_an_owner_that_may_live_is_named_with_the_file(tmp_path, without_flock, changes):
    path = tmp_path / "lock"
    path.write_text(json.dumps(alive() | changes))
    with pytest.raises(InputError, match=f"if it no longer runs, delete {path}"), locked(path, place="run"):
        pass
    assert path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"process": "x"}', "\x00\x01"])
@pytest.mark.parametrize("flock", [True, False])
def test_a_damaged_lock_is_nobodys(tmp_path, request, text, flock):
    if not flock:
        request.getfixturevalue("without_flock")
        text = text.replace("{", f'{{"host": "{socket.gethostname()}", ', 1) if "process" in text else text
    path = tmp_path / "lock"
    path.write_text(text)
    with locked(path, place="run"):
        assert json.loads(path.read_text())["process"] == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not tell when a process started")
def test_without_flock_a_number_that_another_process_has_now_is_nobodys(tmp_path, without_flock):
    path = tmp_path / "lock"
    path.write_text(json.dumps(alive() | {"started": "1"}))
    with locked(path, place="run") as lock:
        assert lock.left["started"] == "1"


def test_a_file_that_was_replaced_is_left_to_its_owner(tmp_path):
    path = tmp_path / "lock"
    with locked(path, place="run"):
        path.unlink()
        with locked(path, place="run"):
            assert path.exists()
            with command_runs([]):
                pass
        assert not path.exists()
