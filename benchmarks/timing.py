"""Fair timing of contenders in one process: warmed up, interleaved, in turns, medians."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax


def interleaved(
    contenders: Mapping[str, Callable[[], Any]], *, rounds: int, calls: int, warm_up: int = 3
) -> dict[str, list[float]]:
    """Seconds of every call; each round runs every contender, in an order that rotates.

    Whatever else the machine does in the meantime slows all contenders alike. A call is over when the
    arrays it returned are there.
    """
    for call in contenders.values():
        for _ in range(warm_up):
            jax.block_until_ready(call())
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            for _ in range(calls):
                start = time.perf_counter()
                jax.block_until_ready(contenders[name]())
                seconds[name].append(time.perf_counter() - start)
    return seconds


def print_table(seconds: Mapping[str, Sequence[float]], *, ours: str, packages: Sequence[str]) -> None:
    """Median, quartiles and ratio to ``ours``, with the machine and the versions it was measured on."""
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    device = jax.devices()[0]
    print(
        f"{device.platform} ({device.device_kind}), {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(versions)
    print()
    print("| | median ms | quartiles | times ours |")
    print("| --- | --- | --- | --- |")
    reference = statistics.median(seconds[ours])
    for name, values in seconds.items():
        low, median, high = statistics.quantiles([1e3 * value for value in values], n=4)
        print(f"| {name} | {median:.2f} | {low:.2f} to {high:.2f} | {median / (1e3 * reference):.2f} |")
