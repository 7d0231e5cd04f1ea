"""Files of a folder that are the frames of a movie, in their order."""

from __future__ import annotations

import fnmatch
import glob
import itertools
import pathlib
import re
from typing import NamedTuple

import numpy as np

from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import require_folder

# Names by which incubator microscopes count time: 00d00h15m, with or without seconds.
_TIME = re.compile(r"(?P<d>\d+)d(?P<h>\d+)h(?P<m>\d+)m(?:(?P<s>\d+)s)?", re.ASCII)
# What else a folder of frames may hold.
_OTHERS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".nd2", ".czi", ".lif", ".oib", ".oif", ".vsi", ".ims"}


class FrameFiles(NamedTuple):
    """The frames of a movie, one file after another."""

    files: tuple[pathlib.Path, ...]
    """At least one file."""
    interval_s: float | None
    """Seconds from file to file where the names hold the time; else None."""


def list_tiffs(folder: pathlib.Path) -> list[pathlib.Path]:
    """TIFF files in a folder, sorted by name; hidden files, such as those of macOS, are ignored."""
    require_folder(folder, what="a folder of TIFF files")
    files = (file for file in folder.iterdir() if file.suffix.lower() in (".tif", ".tiff"))
    return sorted(file for file in files if not file.name.startswith("."))


def order_frames(folder: pathlib.Path, *, pattern: str | None = None) -> FrameFiles:
    """Finds the frames of a movie in a folder and sorts them.

    Names differ in one running number, with or without leading zeros, which may start anywhere but has no
    gaps; or in a time such as ``00d00h15m``, in equal steps.

    Args:
        folder: The folder.
        pattern: Which of its TIFF files are frames, ``*`` for any characters and ``?`` for one; None for all.

    Returns:
        The files.

    Raises:
        InputError: If there are none, or their names do not follow the rule.
    """
    files = list_tiffs(folder)
    if pattern is not None:
        files = _chosen(folder, files, pattern)
    if not files:
        others = sorted({file.suffix.lower() for file in folder.iterdir()} & _OTHERS)
        instead = f", but {others[0]} files, which are to be exported as TIFF" if others else ""
        raise InputError(
            f"{folder} holds no frames{instead}; a movie is a folder of TIFF files (t000.tif, t001.tif, ...) "
            "or one TIFF stack."
        )
    return _by_time(folder, files) or FrameFiles(_by_number(folder, files), None)


def _chosen(folder: pathlib.Path, files: list[pathlib.Path], pattern: str) -> list[pathlib.Path]:
    chosen = [file for file in files if fnmatch.fnmatchcase(file.name, pattern)]
    if files and not chosen:
        raise InputError(
            f"pattern is {pattern!r}, which is the name of none of the {len(files)} TIFF files of {folder} "
            f"({files[0].name}, ..., {files[-1].name})."
        )
    return chosen


def _by_time(folder: pathlib.Path, files: list[pathlib.Path]) -> FrameFiles | None:
    """The order of files that differ in the time alone; None for other names."""
    found = [(file, _TIME.search(file.name)) for file in files]
    times: dict[int, pathlib.Path] = {}
    for file, time in found:
        if time is None or len(files) < 2:
            return None
        first, first_time = found[0]
        around = [
            (name.name[: t.start()], name.name[t.end() :])
            for name, t in ((file, time), (first, first_time))
            if t
        ]
        if around[0] != around[-1]:
            return None
        days, hours, minutes, rest = (int(time[part] or 0) for part in "dhms")
        second = ((days * 24 + hours) * 60 + minutes) * 60 + rest
        if second in times:
            raise InputError(
                f"{folder} holds {times[second].name} and {file.name}, which are of the same time."
            )
        times[second] = file
    ordered = sorted(times)
    step = min(after - before for before, after in itertools.pairwise(ordered))
    for before, after in itertools.pairwise(ordered):
        if after - before != step:
            raise InputError(
                f"{folder} lacks a frame: {times[after].name} follows {times[before].name}, but other frames "
                f"are {step / 60:g} minutes apart."
            )
    return FrameFiles(tuple(times[second] for second in ordered), float(step))


def _by_number(folder: pathlib.Path, files: list[pathlib.Path]) -> tuple[pathlib.Path, ...]:
    """The frames in the order of the running number in their names."""
    parts = [re.split(r"(\d+)", file.stem) for file in files]
    for file, part in zip(files, parts):
        if part[::2] != parts[0][::2]:
            raise InputError(
                f"{folder} holds both {files[0].name} and {file.name}; "
                "the frames of a movie are named alike but for a running number."
            )
    numbers = np.asarray([[int(digits) for digits in part[1::2]] for part in parts], np.object_)
    counting = [column for column in range(numbers.shape[1]) if len(set(numbers[:, column])) > 1]
    if len(counting) > 1:
        raise InputError(
            f"{folder} holds frames whose names differ in {len(counting)} numbers "
            f"({files[0].name}, ..., {files[-1].name}); only one may run: choose the files, for example by "
            f"--pattern '{_example(files[0], parts[0], numbers, counting)}'."
        )
    frames = numbers[:, counting[0]] if counting else np.zeros(len(files), np.object_)
    ordered = sorted(zip(frames.tolist(), files))
    for (number, file), (following, next_file) in itertools.pairwise(ordered):
        if following == number:
            raise InputError(f"{folder} holds {file.name} and {next_file.name}, which have the same number.")
        if following != number + 1:
            raise InputError(
                f"{folder} lacks frame {number + 1}: {next_file.name} follows {file.name}; "
                "frames are numbered without a gap."
            )
    return tuple(file for _, file in ordered)


def _example(file: pathlib.Path, part: list[str], numbers: np.ndarray, counting: list[int]) -> str:
    """A pattern in which the number with the most values runs, and the others are those of the first file."""
    most = max(counting, key=lambda column: (len(set(numbers[:, column])), column))
    return (
        "".join("*" if at == 2 * most + 1 else glob.escape(text) for at, text in enumerate(part))
        + file.suffix
    )
