"""A disk that is full at different moments: the previous result stays whole, and one sentence tells it.

A small file system in memory holds what a command writes. As soon as the command has looked at the space that
is left, another file takes it, up to a number of bytes that grows from trial to trial. The table counts, by
command:

- ``full``: trials in which the command ended since the disk was full, with exit code 2;
- ``done``: trials in which the space sufficed;
- ``whole``: trials after which what was there before is unchanged, and, where the command failed, nothing of
  it is left (a training keeps its whole checkpoints, and the same command completes it once there is space);
- ``lines``: the most lines on the standard error, progress bars aside.

Run, as root: ``python -m benchmarks.full_disk --trials 20 [--only segment]``
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator

from benchmarks.ended_commands import Command, contents, make_commands, sentences
from cellmotion_jax.files.failures import MINIMUM_FREE

SIZE = 96 * 2**20
BEFORE = {"before/a.csv": b"1,2,3\n", "before/model.safetensors": b"weights"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20, help="moments for each command")
    parser.add_argument("--only", default="", help="name of one command")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="full-disk-") as name, _small_disk(pathlib.Path(name)) as disk:
        commands = make_commands(pathlib.Path(name) / "inputs")
        print("| command | bytes | trials | full | done | whole | codes | lines |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for command in commands:
            if options.only in ("", command.name):
                _try(command, disk, options.trials)


@contextlib.contextmanager
def _small_disk(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        raise SystemExit("A file system cannot be mounted here; run this as root, on Linux.")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _try(command: Command, disk: pathlib.Path, trials: int) -> None:
    for path, text in BEFORE.items():
        (disk / path).parent.mkdir(exist_ok=True)
        (disk / path).write_bytes(text)
    before = contents(disk)
    used = shutil.disk_usage(disk).used
    _run(command, disk / "out")
    needed = shutil.disk_usage(disk).used - used
    expected = contents(disk)
    shutil.rmtree(disk / "out")
    full = done = whole = lines = 0
    codes: set[int] = set()
    for trial in range(trials):
        # The check before any work passes; what it saw is then taken away, but for a share of what is needed.
        left = needed * trial // trials
        code, stderr = _run(command, disk / "out", left=left)
        codes.add(code)
        full += code == 2
        done += code == 0
        lines = max(lines, len(sentences(stderr)))
        if code == 0:
            whole += contents(disk) == expected
        elif command.option == "--out":
            whole += contents(disk) == before
        else:
            kept = {name: digest for name, digest in contents(disk).items() if name in before}
            again, _ = _run(command, disk / "out")
            whole += kept == before and again == 0 and contents(disk) == expected
        shutil.rmtree(disk / "out", ignore_errors=True)
        if code not in (0, 2) or len(sentences(stderr)) > 1:
            print(f"exit code {code}:\n{stderr[-2000:]}")
    print(
        f"| {command.name} | {needed:,} | {trials} | {full} | {done} | {whole} | {sorted(codes)} | {lines} |",
        flush=True,
    )


def _run(command: Command, out: pathlib.Path, *, left: int | None = None) -> tuple[int, str]:
    """Exit code and standard error; ``left`` bytes are free once the command has looked at the disk."""
    filler = out.parent / "filler"
    process = command.start(out)
    try:
        if left is not None:
            lock = [out.with_name(f".{out.name}.cellmotion-lock"), out / ".run.cellmotion-lock"]
            while process.poll() is None and not any(path.exists() for path in lock):
                time.sleep(0.002)
            _fill(filler, left)
        _, stderr = process.communicate()
    finally:
        filler.unlink(missing_ok=True)
    return process.returncode, stderr


def _fill(filler: pathlib.Path, left: int) -> None:
    with filler.open("wb") as file:
        while True:
            with contextlib.suppress(OSError):  # The command has taken some of it meanwhile.
                size = shutil.disk_usage(filler.parent).free - left
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
                return


if __name__ == "__main__":
    assert SIZE > 2 * MINIMUM_FREE
    main()
