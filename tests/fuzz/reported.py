"""Situations that people reported, made by the scripts beside the developers' checkouts."""

from __future__ import annotations

import pathlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

from tests.fuzz.base_files import BaseFiles
from tests.fuzz.case import Case, Expected

SCRIPTS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "cases"


def reported_cases(base: BaseFiles, folder: pathlib.Path) -> Iterator[Case]:
    """Commands that the scripts print; nothing where there are none.

    Args:
        base: Sound files; the models stand in for those of the scripts.
        folder: Folder for what the scripts make.
    """
    for script in sorted(SCRIPTS.glob("[0-9]*.py")):
        made = folder / script.stem
        done = subprocess.run(
            [sys.executable, str(script), str(made)], capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            continue
        lines = [line[5:] for line in done.stdout.splitlines() if line.startswith("RUN: ")]
        for number, line in enumerate(lines):
            yield _case(base, made, f"{script.stem} {number}", line)


def _case(base: BaseFiles, made: pathlib.Path, name: str, line: str) -> Case:
    names = {"SEGMODEL": base["video.safetensors"], "MODEL": base["cell.safetensors"], "predict": "segment"}
    here = [names.get(part, part.replace(str(made), "in")) for part in shlex.split(line)[1:]]
    at = here.index("--out") + 1 if "--out" in here else None
    suffix = "" if at is None else pathlib.Path(here[at]).suffix
    if at is not None:
        here[at] = "out" + suffix
    files = [pathlib.Path(part).name for part in here if part.startswith("in/")]
    return Case(
        name=f"reported/{name}",
        family="reported",
        arguments=tuple(here),
        expected=Expected.EITHER,
        words=(*files, "in"),
        make=lambda folder: shutil.copytree(made, folder / "in", symlinks=True) and None,
        outputs=("out", "out" + suffix),
    )
