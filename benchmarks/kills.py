"""Commands that are ended at random moments and repeated give what an uninterrupted command gives.

Every command is started again and again, and ended by a signal at a moment that is uniform over its duration,
from the time on at which it handles signals. The table counts, by command and signal:

- ``ended``: signals that met the running command;
- ``same``: whether the files are in the end those of the uninterrupted command, in names and contents, and
  none is left beside them;
- ``codes``: exit codes other than those of the signal (130, 143, or killed);
- ``left``: for signals that can be handled, how often a temporary file was left;
- ``lines``: for the same, the most lines on the standard error, progress bars aside;
- ``slowest``: the longest time from the signal to the end, in seconds.

Run: ``python -m benchmarks.kills --kills 20 [--seed 0] [--only track]``
"""

from __future__ import annotations

import argparse
import pathlib
import random
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence

from benchmarks.ended_commands import Command, contents, make_commands, sentences

SIGNALS = {"SIGKILL": -9, "SIGINT": 130, "SIGTERM": 143}
MOST_IN_A_ROW = 4
TEMPORARY = re.compile(r"cellmotion-|orbax-checkpoint-tmp|incomplete\.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="signals of each kind for each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="name of one command")
    parser.add_argument("--signals", nargs="+", choices=list(SIGNALS), default=list(SIGNALS))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = pathlib.Path(name)
        print("| command | seconds | signal | ended | same | codes | left | lines | slowest |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for command in make_commands(folder / "inputs"):
            if options.only in ("", command.name):
                _try(command, folder / command.name, options.kills, options.signals, rng)


def _try(
    command: Command, folder: pathlib.Path, kills: int, signals: Sequence[str], rng: random.Random
) -> None:
    folder.mkdir()
    start = time.monotonic()
    whole = command.start(folder / "whole" / "out")
    _, stderr = whole.communicate()
    if whole.returncode:
        raise SystemExit(f"{command.name} fails: {stderr}")
    duration = time.monotonic() - start
    wanted = contents(folder / "whole")
    for name in signals:
        row = _Row(SIGNALS[name])
        series = 0
        while row.ended < kills:
            series += 1
            place = folder / f"{name}-{series}" / "out"
            place.parent.mkdir()
            for attempt in range(MOST_IN_A_ROW + 1):
                last = attempt == MOST_IN_A_ROW or row.ended == kills
                start = time.monotonic()
                if row.once(command, place, name, None if last else rng.uniform(0, duration)):
                    if not attempt:
                        duration = min(duration, time.monotonic() - start)  # The machine has others to serve.
                    break
            found = contents(place.parent)
            row.same += found == wanted
            row.differing |= {file for file in found | wanted if found.get(file) != wanted.get(file)}
        same = f"{row.same}/{series} {sorted(row.differing) or ''}"
        print(
            f"| {command.name} | {duration:.1f} | {name} | {row.ended} | {same} "
            f"| {row.codes} | {row.left} | {row.lines} | {row.slowest:.1f} |",
            flush=True,
        )


class _Row:
    def __init__(self, code: int) -> None:
        self.code = code
        self.ended = self.same = self.left = self.lines = 0
        self.slowest = 0.0
        self.codes: dict[int, int] = {}
        self.differing: set[str] = set()

    def once(self, command: Command, place: pathlib.Path, name: str, moment: float | None) -> bool:
        """Runs the command, ends it after so many seconds, and returns whether it was complete."""
        process = command.start(place)
        if moment is None:
            _, stderr = process.communicate()
            if process.returncode:
                self._count(process.returncode, stderr)
            return True
        _wait_until_handled(process)
        try:
            out, stderr = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            sent = time.monotonic()
            process.send_signal(getattr(signal, name))
            out, stderr = process.communicate()
            self.slowest = max(self.slowest, time.monotonic() - sent)
            self.ended += 1
        said = "Wrote" in out or "Tables and pictures" in out
        if process.returncode not in (0, self.code) and not said:
            self._count(process.returncode, stderr)
        if name != "SIGKILL" and process.returncode:
            self.lines = max(self.lines, len(sentences(stderr)))
            if len(sentences(stderr)) > 1:
                print(f"said: {sentences(stderr)}")
            found = list(place.parent.rglob("*"))
            temporary = [path for path in found if TEMPORARY.search(path.name)]
            if temporary or (found and command.option == "--out" and not said):
                self.left += 1
                print(f"left: {temporary or found}")
        return process.returncode == 0 or said

    def _count(self, code: int, stderr: str) -> None:
        self.codes[code] = self.codes.get(code, 0) + 1
        print(f"exit code {code}:\n{stderr[-3000:]}")


def _wait_until_handled(process: subprocess.Popen[str]) -> None:
    """Waits until the process has a handler for SIGTERM: Python itself answers signals before."""
    while process.poll() is None:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        caught = next((line for line in status.splitlines() if line.startswith("SigCgt")), "SigCgt 0")
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.002)


if __name__ == "__main__":
    main()
