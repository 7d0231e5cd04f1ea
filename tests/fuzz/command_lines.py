"""Command lines that name no command, no option or too much of either, and odd pairs of settings."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from tests.fuzz.base_files import BaseFiles
from tests.fuzz.case import Case, Expected
from tests.fuzz.options import Option, options_of
from tests.fuzz.settings import REAL, WHOLE, Place, places

VARIANT = re.compile("direction-|distance-.|convlstm-|deepcell-")
REFUSED, FINE, EITHER = Expected.REFUSED, Expected.FINE, Expected.EITHER


def command_line_cases(base: BaseFiles) -> Iterator[Case]:
    """Of every command: unknown, misspelt and repeated options, missing values, too many arguments, helps."""
    for line in (["--help"], ["-h"], [], ["--version"], ["train", "--list"]):
        yield _case(f"{' '.join(line)}", tuple(line), FINE)
    for name in (
        "",
        "predict",
        "Segment",
        "--segment",
        "-",
        "--",
        "segment track",
        "\udcff",
        "x" * 10_000,
        "train.py",
    ):
        yield _case(f"no command {name[:12]!r}", (name,), REFUSED, words=(name[:10] or "command", "command"))
    for place in places(base):
        # One experiment of each method, and one model.
        if place.name in ("track others", "segment nuclei") or VARIANT.search(place.name):
            continue
        options = options_of(place.arguments)
        yield from _of_place(place, options)


def _of_place(place: Place, options: list[Option]) -> Iterator[Case]:
    name, arguments = place.name, place.arguments
    command = arguments[:2] if arguments[0] == "train" else arguments[:1]
    yield _case(f"{name} --help", (*command, "--help"), FINE)
    yield _case(f"{name} nothing", command if command[0] != "train" else (*command, "--data"), REFUSED)
    unknown = (
        "--no-such-option",
        "--model.no-such-option",
        "---out",
        "--",
        "-x",
        "--out.more",
        "--=5",
        "--help=5",
    )
    for option in unknown:
        if option == "--help=5":
            continue
        yield _case(
            f"{name} {option}", (*arguments, option, "1"), REFUSED, words=(option.strip("-"), "1", "--")
        )
    yield _case(f"{name} one argument more", (*arguments, "one-more"), REFUSED, words=("one-more",))
    whole = next(
        (option for option in options if option.kind is int and not option.name.startswith("phases")), None
    )
    if whole is None:
        return
    last = whole.name.rpartition(".")[2]
    misspelt = f"--{whole.name[:-1]}"
    yield _case(f"{name} {misspelt}", (*arguments, misspelt, "1"), REFUSED, words=(misspelt.strip("-"), last))
    yield _case(f"{name} upper case", (*arguments, f"--{whole.name.upper()}", "1"), REFUSED,
                words=(whole.name, last))  # fmt: skip
    yield _case(f"{name} twice", (*arguments, f"--{whole.name}", "1", f"--{whole.name}", "x"), REFUSED,
                words=(whole.name, last))  # fmt: skip
    yield _case(f"{name} no value", (*arguments, f"--{whole.name}"), REFUSED, words=(whole.name, last))
    yield _case(
        f"{name} a value with =", (*arguments, f"--{whole.name}=x"), REFUSED, words=(whole.name, last)
    )
    for number, option in enumerate(options):
        if option.name.count(".") and number % 4 == 0:
            bare = option.name.rpartition(".")[2]
            if bare not in {other.name for other in options}:
                wrong = (*arguments, f"--{bare}", "1")
                yield _case(f"{name} bare {number} {bare}", wrong, REFUSED, words=(bare,))
    # The options of the arguments themselves, each left out.
    for at, part in enumerate(arguments):
        needed = part in ("--out", "--model", "--segmentation")
        if needed and not (arguments[0] == "evaluate" or (part == "--model" and name.startswith("track"))):
            left = (*arguments[:at], *arguments[at + 2 :])
            yield _case(f"{name} without {part}", left, REFUSED, words=(part.strip("-"), "required"))


def _case(name: str, arguments: tuple[str, ...], expected: Expected, words: tuple[str, ...] = ()) -> Case:
    outputs = ("out", "out.json", "out.safetensors")
    return Case(name=f"lines/{name}", family="lines", arguments=arguments, expected=expected, words=words,
                outputs=outputs)  # fmt: skip


def mutated_settings(base: BaseFiles, rng: np.random.Generator) -> Iterator[Case]:
    """Random pairs and triples of settings without end; most are refused before any work."""
    known = [(place, options_of(place.arguments)) for place in places(base)]
    for number in range(10**9):
        place, options = known[rng.integers(len(known))]
        numbers = [option for option in options if option.kind in (int, float)]
        if not numbers:
            continue
        chosen = [
            numbers[n] for n in rng.choice(len(numbers), min(int(rng.integers(2, 4)), len(numbers)), False)
        ]
        more: list[str] = []
        for option in chosen:
            values = list(REAL if option.kind is float else WHOLE)
            value = values[rng.integers(len(values))]
            if rng.uniform() < 0.5:
                value = str(rng.integers(0, 50)) if option.kind is int else f"{rng.normal(0, 3):.3g}"
            more += [f"--{option.name}", value]
        names = [option.name for option in chosen]
        words = (*names, *(name.rpartition(".")[2] for name in names), place.absent or names[0])
        expected = REFUSED if place.absent else EITHER
        yield Case(
            name=f"settings/random {number} {place.name}",
            family="settings",
            arguments=(*place.arguments, *more),
            expected=expected,
            # Settings that are sound by themselves may find no cell in this movie.
            words=(*words, "stack.tif", "cells", "field"),
            outputs=("out", "out.json", "out.safetensors"),
        )
