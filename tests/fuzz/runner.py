"""Runs cases in children of a server, each in a folder of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import cellmotion_jax
from tests.fuzz.case import Case, Outcome
from tests.fuzz.outcome import classify, state_of

MOST_BYTES = 3 * 10**9
NOBODY = 65534


@dataclasses.dataclass(frozen=True)
class Result:
    """Outcome of a case."""

    case: Case
    outcome: Outcome
    detail: str
    seconds: float
    peak_bytes: int


@dataclasses.dataclass(frozen=True)
class Runner:
    """A server, and the folder that its children work in."""

    server: subprocess.Popen[str]
    folder: pathlib.Path
    seconds: float
    """Limit of the time that a child may compute."""

    def run(self, case: Case, *, keep: pathlib.Path | None = None) -> Result:
        """Runs one case.

        Args:
            case: The case.
            keep: Folder to which its working directory is copied when it has ended.
        """
        folder = self.folder / "case"
        for name in ("work", "home", "tmp"):
            (folder / name).mkdir(parents=True)
        try:
            case.make(folder / "work")
            _give_away(folder)
            before = state_of(folder / "work")
            report = self._ask(case.arguments, folder)
            outcome, detail = classify(case, report, folder=folder, before=before)
            if keep is not None:
                shutil.copytree(folder / "work", keep)
        finally:
            _remove(folder)
        return Result(case, outcome, detail, report["seconds"], report["peak_bytes"])

    def _ask(self, arguments: tuple[str, ...], folder: pathlib.Path) -> dict[str, Any]:
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "seconds": self.seconds,
            "most_bytes": MOST_BYTES,
        }
        assert self.server.stdin is not None
        print(json.dumps(request), file=self.server.stdin, flush=True)
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended with {self.server.wait()}")
        return json.loads(line)


@contextlib.contextmanager
def running(*, seconds: float) -> Iterator[Runner]:
    """Starts a server for the `cellmotion_jax` that this process has imported.

    Run by root, the server and its children are nobody, who may read everything and write only into the
    folders of the cases: a device that is replaced is not one of this machine.

    Args:
        seconds: Limit of the time that a child may compute.
    """
    with tempfile.TemporaryDirectory(prefix="cellmotion-jax-fuzz-") as name:
        folder = pathlib.Path(name)
        (folder / "programs").mkdir()
        (folder / "pictures").mkdir()
        for shared in (folder, folder / "programs", folder / "pictures"):
            shared.chmod(0o777)
        source = pathlib.Path(cellmotion_jax.__file__).parents[1]
        environment = os.environ | {
            "PYTHONPATH": str(source),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "JAX_PLATFORMS": "cpu",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # Programs run once here, so that compiling them is nearly all of the time.
            # Not 0: there, the second step of a training with batch normalisation gives NaN.
            "XLA_FLAGS": "--xla_backend_optimization_level=1",
            "MPLCONFIGDIR": str(folder / "pictures"),
            "FUZZ_PROGRAMS": str(folder / "programs"),
        }
        server = subprocess.Popen(
            [*_as_nobody(), sys.executable, str(pathlib.Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )
        with server:
            runner = Runner(server, folder, seconds)
            try:
                runner._reply()
                yield runner
            finally:
                assert server.stdin is not None
                server.stdin.close()
                server.wait()


def _as_nobody() -> list[str]:
    if os.geteuid() != 0:
        return []
    reading = "+dac_read_search"
    identity = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return ["setpriv", *identity, "--inh-caps", reading, "--ambient-caps", reading]


def _give_away(folder: pathlib.Path) -> None:
    """Makes the files of a case belong to the user that the children are."""
    if os.geteuid() != 0:
        return
    for root, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.lchown(pathlib.Path(root, name), NOBODY, NOBODY)


def _remove(folder: pathlib.Path) -> None:
    """Removes the folder of a case; tmpfs are unmounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        mounted = [line.split()[4] for line in mounts]
    for path in mounted:
        if path.startswith(f"{folder}/"):
            subprocess.run(["umount", path], check=True)
    for root, folders, _ in os.walk(folder):
        for name in folders:
            path = pathlib.Path(root, name)
            if not path.is_symlink():
                path.chmod(0o755)
    shutil.rmtree(folder)
