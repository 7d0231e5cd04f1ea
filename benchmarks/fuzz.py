"""Fuzzes the command line, and prints the outcomes by kind.

    python benchmarks/fuzz.py --minutes 60 --seed 0 --out fuzz.json

runs every systematic input of `tests.fuzz` in an order that the seed decides, then random ones until the time
is up. `--only` takes a regular expression for the names of inputs, `--again FILE` the inputs that ended badly
in an earlier run. With PYTHONPATH=TREE the library of another checkout is tried. It ends with 1 if an outcome
is bad.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import random
import re
import sys
import tempfile
import time

import cellmotion_jax  # Before this checkout comes to the front of the path, so that PYTHONPATH decides


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60, help="time budget")
    parser.add_argument("--seed", type=int, default=0, help="order of the inputs, and random damage")
    parser.add_argument("--seconds", type=float, default=60, help="processor time that one input may take")
    parser.add_argument("--only", default="", help="regular expression that the name of an input has")
    parser.add_argument(
        "--again", type=pathlib.Path, help="file of an earlier run: only what ended badly there"
    )
    parser.add_argument(
        "--out", type=pathlib.Path, help="file for all outcomes as JSON; the table goes beside it"
    )
    options = parser.parse_args()
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    print(f"library: {cellmotion_jax.__file__}", flush=True)
    results = fuzz(options)
    bad = [result for result in results if not result.outcome.good]
    print(f"{len(bad)} of {len(results)} inputs ended badly")
    sys.exit(bool(bad))


def fuzz(options: argparse.Namespace) -> list:
    from tests.fuzz import campaign
    from tests.fuzz.base_files import BaseFiles
    from tests.fuzz.runner import running

    deadline = time.monotonic() + 60 * options.minutes
    results = []
    with tempfile.TemporaryDirectory() as name, running(seconds=options.seconds) as runner:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "base").mkdir()
        base = BaseFiles(folder / "base")
        cases = campaign.systematic_cases(base) + campaign.of_the_reports(base, folder / "reported")
        if not options.only or re.search(options.only, "runs/"):
            done, more = campaign.trained(runner, base, folder / "trained")
            results += done
            cases += more
        random.Random(options.seed).shuffle(cases)
        cases = itertools.chain(cases, campaign.random_cases(base, options.seed))
        if options.again:
            names = {row["name"] for row in json.loads(options.again.read_text()) if is_bad(row)}
            cases = (case for case in itertools.islice(cases, 20_000) if case.name in names)
        if options.only:
            cases = (case for case in itertools.islice(cases, 20_000) if re.search(options.only, case.name))
        for case in campaign.until(deadline, cases):
            result = runner.run(case)
            results.append(result)
            if not result.outcome.good:
                line = result.detail.replace("\n", " ")[-150:]
                print(
                    f"{result.outcome.value:20} {case.name[:90]:90} {result.seconds:5.1f} s  {line}",
                    flush=True,
                )
            if options.out and len(results) % 100 == 0:
                campaign.write_results(options.out, results)
    text = campaign.table(results)
    print(text)
    if options.out:
        campaign.write_results(options.out, results)
        options.out.with_suffix(".txt").write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return results


def is_bad(row: dict) -> bool:
    return row["outcome"] not in ("fine", "sentence")


if __name__ == "__main__":
    main()
