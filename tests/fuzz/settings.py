"""Values without meaning for every option of every command."""

from __future__ import annotations

import enum
import pathlib
import re
import typing
from collections.abc import Iterator
from typing import NamedTuple

from cellmotion_jax.experiments import EXPERIMENTS
from tests.fuzz.base_files import BaseFiles
from tests.fuzz.case import Case, Expected
from tests.fuzz.options import Option, options_of

REFUSED, EITHER = Expected.REFUSED, Expected.EITHER
HUGE = "1" + 400 * "0"
REAL = {
    "nan": REFUSED,
    "inf": REFUSED,
    "-inf": REFUSED,
    "1e400": REFUSED,
    "-1": REFUSED,
    "-1e30": REFUSED,
    "0": EITHER,
    "1e-30": EITHER,
    "1e30": EITHER,
    "many": REFUSED,
    "": REFUSED,
}
WHOLE = {
    "nan": REFUSED,
    "inf": REFUSED,
    "1.5": REFUSED,
    "1e3": REFUSED,
    "-1": REFUSED,
    "0": EITHER,
    "1000000000": EITHER,
    "9223372036854775808": REFUSED,
    HUGE: REFUSED,
    "1" + 5000 * "0": REFUSED,
    "many": REFUSED,
    "": REFUSED,
}
MAY_BE_NEGATIVE = ("seed", "at", "floor", "offset", "split-depth")
"""Options of which a value below 0 has a meaning, by the last part of their names."""
MAY_BE_INFINITE = ("spread",)
MAY_BE_LARGE = ("steps", "epochs", "seed", "log-every", "evaluate-every", "checkpoint-every", "replicates")
"""Whole numbers that may be as large as one likes, if only one has the time."""


class Place(NamedTuple):
    """A command that is complete but for one option."""

    name: str
    arguments: tuple[str, ...]
    absent: str = ""
    """Name of a folder of the arguments that does not exist, so that everything is refused."""
    only: str = ""
    """Expression that the names of the options have that are tried here; all without one."""


def setting_cases(base: BaseFiles) -> Iterator[Case]:
    """Every option of every command, with each of the values of its type."""
    seen: set[tuple[type, str]] = set()
    for place in places(base):
        for option in options_of(place.arguments):
            last = option.name.rpartition(".")[2]
            # Options that several experiments share are tried with one of them.
            if (place.absent and (option.owner, last) in seen) or not re.search(place.only, option.name):
                continue
            seen.add((option.owner, last))
            for number, (values, expected) in enumerate(_values(option, last)):
                refused = REFUSED if place.absent else expected
                # Of several values the last is one argument too many; of a movie nothing may be left to find.
                names = (option.name, last, *(values[-1:] if len(values) > 1 else ()))
                yield Case(
                    name=f"settings/{place.name}/{option.name}/{number} {' '.join(values)[:30]}",
                    family="settings",
                    arguments=(*_without(place.arguments, option.name), f"--{option.name}", *values),
                    expected=refused,
                    words=names
                    if expected is REFUSED
                    else (*names, place.absent or "stack.tif", str(len(values))),
                    outputs=("out", "out.json", "out.safetensors"),
                )


def places(base: BaseFiles) -> Iterator[Place]:
    """Every command, with each model that brings settings of its own."""
    out = ("--out", "out")
    for model in ("cell", "video", "nuclei"):
        file = base[f"{model}.safetensors"]
        yield Place(f"segment {model}", ("segment", base["stack.tif"], "--model", file, *out))
    track = ("track", base["stack.tif"], *out)
    starts = ("--start", base["labels/m000.tif"], "--window", "32")
    yield Place("track", (*track, *starts), only="^(?!kernel-filter|redetection|live|centring)")
    others = ("--kernel", "--redetect", "--live", "1", "--model", base["embedding.safetensors"])
    yield Place("track others", (*track, *starts, *others), only="^(kernel-filter|redetection|live|centring)")
    linking = (*track, "--by", "linking", "--segmentation")
    yield Place("link", (*linking, base["labels"]))
    result = ("--pixel-size-um", "0.65", "--frame-interval-s", "60")
    yield Place("measure", ("measure", base["result"], base["stack.tif"], *result, *out))
    yield Place("evaluate", ("evaluate", base["result"], base["Set/01"], "--out", "out.json"))
    small = ("--frames", "2", "--height", "96", "--width", "96", "--cells", "1", "--look", "NUCLEI")
    yield Place("simulate", ("simulate", *small, *out))
    source = base["weights.npz"]
    yield Place("import", ("import-weights", source, "--model", "yolov8-n", "--out", "out.safetensors"))
    for name in EXPERIMENTS:
        root = "--data.movies" if name == "celltrack-embedding" else "--data.root"
        yield Place(f"train {name}", ("train", name, root, "nowhere", "--run.folder", "out"), "nowhere")


def _values(option: Option, last: str) -> Iterator[tuple[tuple[str, ...], Expected]]:
    """Values of an option, and what is right for them."""
    kind = option.kind
    # Without a folder of data an experiment trains on what it simulates, for minutes.
    if option.optional and last != "root":
        yield ("None",), EITHER
    if kind in (int, float):
        for value, expected in (REAL if kind is float else WHOLE).items():
            if _may_be(value, last):
                expected = EITHER
            if value == "1000000000" and last in MAY_BE_LARGE:
                continue
            yield (value,), expected
        yield ("1", "2"), REFUSED
        yield (), REFUSED
    elif kind is bool:
        yield ("maybe",), REFUSED
    elif typing.get_origin(kind) is tuple:
        yield from _tuples(kind, last)
    elif (isinstance(kind, type) and issubclass(kind, enum.Enum)) or typing.get_origin(
        kind
    ) is typing.Literal:
        for value in ("neither", "", "0", "name", "__class__"):
            yield (value,), REFUSED


def _tuples(kind: object, last: str) -> Iterator[tuple[tuple[str, ...], Expected]]:
    """Too few, too many, and parts without meaning."""
    parts = typing.get_args(kind)
    part = parts[0]
    if part is pathlib.Path:
        return
    if typing.get_origin(part) is tuple:
        part, each = typing.get_args(part)[0], 2
        yield ("1", "2", "3"), REFUSED
    else:
        each = 1 if parts[-1] is Ellipsis else len(parts)
    if each > 1:
        yield ("1",), REFUSED
    table = {float: REAL, int: WHOLE}.get(part, {"neither": EITHER if part is str else REFUSED})
    for value, expected in table.items():
        if value:
            yield each * (value,), EITHER if _may_be(value, last) else expected
    yield 40 * each * ("1",), EITHER


def _may_be(value: str, last: str) -> bool:
    """Whether an option, by the last part of its name, is one of which such a value may have a meaning."""
    if value in ("inf", "1e400"):
        return last in MAY_BE_INFINITE
    return value.startswith("-") and value != "-inf" and last in MAY_BE_NEGATIVE


def _without(arguments: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Arguments without an option and its single value."""
    if f"--{name}" not in arguments:
        return arguments
    at = arguments.index(f"--{name}")
    return arguments[:at] + arguments[at + 2 :]
