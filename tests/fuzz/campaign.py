"""All inputs of a long run, the few of the suite, and the table of their outcomes."""

from __future__ import annotations

import collections
import dataclasses
import importlib.util
import itertools
import json
import pathlib
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tests.fuzz.base_files import BaseFiles
from tests.fuzz.case import Case, Expected, Outcome
from tests.fuzz.command_lines import command_line_cases, mutated_settings
from tests.fuzz.images import image_cases, mutated_images
from tests.fuzz.models import model_cases, mutated_models
from tests.fuzz.paths import input_cases, output_cases
from tests.fuzz.reported import reported_cases
from tests.fuzz.runner import Result, Runner
from tests.fuzz.runs import data_cases, run_cases, training
from tests.fuzz.settings import setting_cases
from tests.fuzz.tables import mutated_tables, table_cases
from tests.fuzz.weights import mutated_weights, weight_cases
from tests.fuzz.zarr_files import mutated_zarrs, zarr_cases

WHOLE = (Outcome.FINE, Outcome.BAD_OUTPUT)
"""Outcomes of a training that went to its end."""


def systematic_cases(base: BaseFiles) -> list[Case]:
    """All cases that need no training, in the order of their families."""
    kinds = (
        setting_cases,
        command_line_cases,
        input_cases,
        output_cases,
        table_cases,
        image_cases,
        zarr_cases,
        model_cases,
    )
    families = (*(kind(base) for kind in kinds), weight_cases(), data_cases(base))
    seen: collections.Counter[str] = collections.Counter()
    cases = []
    for case in itertools.chain.from_iterable(families):
        seen[case.name] += 1
        again = f" ({seen[case.name]})" if seen[case.name] > 1 else ""
        cases.append(dataclasses.replace(case, name=case.name + again))
    return cases


def random_cases(base: BaseFiles, seed: int) -> Iterator[Case]:
    """Random damage without end, of every kind in turn."""
    kinds = (mutated_images, mutated_models, mutated_settings, mutated_tables)
    if importlib.util.find_spec("tensorstore") is not None:
        kinds = (*kinds, mutated_zarrs)
    streams = [kind(base, np.random.default_rng([seed, n])) for n, kind in enumerate(kinds)]
    streams.append(mutated_weights(np.random.default_rng([seed, 9])))
    for together in zip(*streams):
        yield from together


def trained(runner: Runner, base: BaseFiles, folder: pathlib.Path) -> tuple[list[Result], list[Case]]:
    """Trains once, and returns the result and the cases on copies of the run's folder."""
    run = Case(
        name="runs/sound",
        family="runs",
        arguments=training(base, "--run.folder", "run"),
        expected=Expected.FINE,
        outputs=("run",),
    )
    result = runner.run(run, keep=folder)
    return [result], list(run_cases(base, folder / "run")) if result.outcome in WHOLE else []


def of_the_reports(base: BaseFiles, folder: pathlib.Path) -> list[Case]:
    """Cases of the scripts that make what people reported."""
    return list(reported_cases(base, folder))


def selection(cases: Sequence[Case], *, each: int) -> list[Case]:
    """A few cases of every family and command, the same ones every time; those that are refused at once.

    Args:
        cases: All cases.
        each: Number of cases of a family and a command.
    """
    groups: dict[tuple[str, str], list[Case]] = collections.defaultdict(list)
    for case in cases:
        if case.expected is Expected.REFUSED:
            groups[case.family, case.command].append(case)
    chosen = []
    for members in groups.values():
        chosen += sorted(members, key=lambda case: zlib.crc32(case.name.encode("utf-8", "replace")))[:each]
    return chosen


def table(results: Iterable[Result]) -> str:
    """Numbers of outcomes by kind, for every family and command."""
    kinds = list(Outcome)
    counts: dict[str, collections.Counter[Outcome]] = collections.defaultdict(collections.Counter)
    for result in results:
        counts[result.case.family][result.outcome] += 1
        counts[f"  {result.case.family}: {result.case.command}"[:40]][result.outcome] += 1
        counts["all"][result.outcome] += 1
    names = [kind.value for kind in kinds]
    rows = [f"{'':40}{'inputs':>8}" + "".join(f"{name[:13]:>14}" for name in names)]
    order = sorted(counts, key=lambda name: (name == "all", name.strip().partition(":")[0], name.strip()))
    for name in order:
        numbers = "".join(f"{counts[name][kind] or '-':>14}" for kind in kinds)
        rows.append(f"{name:40}{counts[name].total():>8}{numbers}")
    return "\n".join(rows)


def write_results(path: pathlib.Path, results: Iterable[Result]) -> None:
    """Writes every input with its outcome as JSON."""
    rows = [
        {
            "name": result.case.name,
            "family": result.case.family,
            "command": result.case.command,
            "arguments": [argument[:300] for argument in result.case.arguments],
            "expected": result.case.expected.value,
            "outcome": result.outcome.value,
            "detail": result.detail,
            "seconds": round(result.seconds, 2),
            "megabytes": result.peak_bytes >> 20,
        }
        for result in results
    ]
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def until(deadline: float, cases: Iterable[Case]) -> Iterator[Case]:
    """Cases until a time of `time.monotonic`."""
    return itertools.takewhile(lambda case: time.monotonic() < deadline, cases)
