"""What the end of a command amounts to: its exit code, its words and its files."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import re
import stat
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import tifffile
from safetensors.numpy import load_file

from tests.fuzz.case import Case, Expected, Outcome

BOX = re.compile("[│╭╰─]|^usage:", re.MULTILINE)
# Bars of progress, and the words of XLA about programs that are kept from run to run of this harness.
OTHER_LINES = re.compile(
    r"^.*(\d+%\||\d+(frame|tile|image|it) ?\[|it/s|frame/s|s/frame|cpu_aot_loader).*$|^WARNING: "
)
NO_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


class End(NamedTuple):
    """How a command ended."""

    outcome: Outcome
    detail: str
    """What is wrong, or the last lines of the standard error."""


def classify(
    case: Case, report: Mapping[str, Any], *, folder: pathlib.Path, before: Mapping[str, tuple[int, ...]]
) -> End:
    """Outcome of a case.

    Args:
        case: The case.
        report: The report of the server.
        folder: Folder of the run, with ``work``, ``home``, ``tmp``, ``stdout`` and ``stderr``.
        before: State of the folder before the run, by `state_of`.
    """
    said = (folder / "stderr").read_text(encoding="utf-8", errors="replace")
    last = "\n".join(said.splitlines()[-3:])[-600:]
    code = report["code"]
    if report["stopped"]:
        return End(Outcome(report["stopped"]), f"{report['peak_bytes'] >> 20} MB, {report['seconds']:.0f} s")
    if code < 0:
        return End(Outcome.CRASH, f"signal {-code}; {last}")
    if "Traceback (most recent call last)" in said or "Exception ignored" in said:
        return End(Outcome.TRACEBACK, last)
    if code == 0:
        end = _of_success(case, folder / "work", before, last)
    else:
        end = _of_refusal(case, code, said, last)
    left = list(_left_behind(case, folder / "work", before, done=code == 0)) + list(_strays(folder))
    if report["left_processes"]:
        left.append(f"{report['left_processes']} processes")
    if left and end.outcome.good:
        return End(Outcome.LEFT_BEHIND, f"{', '.join(left[:8])}; exit code {code}: {last}")
    return end


def _of_success(case: Case, work: pathlib.Path, before: Mapping[str, tuple[int, ...]], last: str) -> End:
    if case.expected is Expected.REFUSED:
        return End(Outcome.TAKEN, last)
    after = state_of(work)
    for output in case.outputs:
        now = (work / output).lstat().st_mode if os.path.lexists(work / output) else 0
        was = before[output][0] if output in before else now
        if now != was:
            kept = f"has the mode {stat.filemode(now)}, and had {stat.filemode(was)}"
            return End(Outcome.BAD_OUTPUT, f"{output} {kept}")
        for path in _files_of(work / output):
            name = str(path.relative_to(work))
            # An older checkpoint that was damaged before, and that a run did not need, stays as it is.
            if case.inputs_may_change and before.get(name) == after.get(name):
                continue
            try:
                wrong = _wrong_in(path) or _unreadable(path)
            except Exception as error:
                wrong = f"cannot be read ({error!r})"
            if wrong:
                return End(Outcome.BAD_OUTPUT, f"{path.relative_to(work)} {wrong}")
    return End(Outcome.FINE, last)


def _of_refusal(case: Case, code: int, said: str, last: str) -> End:
    lines = [line for line in re.split(r"[\r\n]+", said) if line.strip() and not OTHER_LINES.match(line)]
    # Training that diverges ends with 1, see `cellmotion_jax.cli.main`.
    if code != 2 and not (code == 1 and case.command == "train" and "cellmotion: " in said):
        return End(Outcome.WRONG_CODE, f"{code}; {last}")
    if len(lines) != 1 or BOX.search(said) or not lines[0].startswith("cellmotion: "):
        return End(Outcome.BOX, last)
    if case.expected is Expected.FINE:
        return End(Outcome.REFUSED, last)
    if case.words and not any(_names(lines[0], word) for word in case.words):
        return End(Outcome.VAGUE, f"{last} (none of {case.words})")
    return End(Outcome.SENTENCE, last)


def _unreadable(path: pathlib.Path) -> str | None:
    """Whether others may read a file, as the umask of the runs lets them."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return None if mode & 0o044 == 0o044 else f"has the mode {mode:o}"


def _names(sentence: str, word: str) -> bool:
    """Whether a sentence has a word, which is not a part of another one."""
    # What is no text is written as the standard error writes it, and line breaks as the command writes them.
    word = word.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n")
    sentence, word = (text.lower().replace("_", "-") for text in (sentence, word))
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", sentence) is not None


def state_of(work: pathlib.Path) -> dict[str, tuple[int, ...]]:
    """Mode, device, size and time of change of all files below a folder, by path; links are not followed."""
    state = {}
    for root, folders, files in os.walk(work):
        for name in (*folders, *files):
            path = pathlib.Path(root, name)
            about = path.lstat()
            folder = stat.S_ISDIR(about.st_mode)
            changed = (0, 0) if folder else (about.st_size, about.st_mtime_ns)
            state[str(path.relative_to(work))] = (about.st_mode, about.st_rdev, *changed)
    return state


def _left_behind(
    case: Case, work: pathlib.Path, before: Mapping[str, tuple[int, ...]], *, done: bool
) -> Iterator[str]:
    """Paths that were made, changed or removed and are none of the results."""
    after = state_of(work)
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        result = any(path == out or path.startswith(f"{out}/") for out in case.outputs)
        if path in before and case.inputs_may_change:
            continue
        parent = any(out.startswith(f"{path}/") for out in case.outputs)
        if not done or "partial" in path or not (result or parent):
            yield path if path not in before else f"{path} changed"


def _strays(folder: pathlib.Path) -> Iterator[str]:
    """What was left in the home and in the temporary folder."""
    for name in ("home", "tmp"):
        yield from (f"{name}/{path.name}" for path in (folder / name).iterdir())


def _files_of(output: pathlib.Path) -> Iterator[pathlib.Path]:
    if output.is_dir():
        yield from (path for path in sorted(output.rglob("*")) if path.is_file())
    elif output.is_file():
        yield output


def _wrong_in(path: pathlib.Path) -> str | None:
    """What is wrong in a file of a result, None if nothing is."""
    match path.suffix:
        case ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                for number, row in enumerate(csv.reader(file), start=1):
                    if any(NO_NUMBER.fullmatch(cell) for cell in row):
                        return f"line {number}: {','.join(row)[:200]}"
        case ".json":
            unreal: list[str] = []
            json.loads(path.read_text(encoding="utf-8"), parse_constant=unreal.append)
            return f"has {unreal[0]}" if unreal else None
        case ".txt" if path.name in ("res_track.txt", "man_track.txt"):
            for line in path.read_text(encoding="utf-8").splitlines():
                [int(field) for field in line.split()]
        case ".tif":
            image = tifffile.imread(path)
            if path.name.startswith("mask") and image.dtype.kind != "u":
                return f"has {image.dtype} labels"
        case ".png" | ".gif":
            with PIL.Image.open(path) as picture:
                picture.load()
        case ".safetensors":
            for name, tensor in load_file(path).items():
                if not np.isfinite(np.asarray(tensor, np.float32)).all():
                    return f"has NaN in {name}"
    return None
