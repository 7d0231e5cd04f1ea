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
    """Medians and their ratio to ours, with the machine and the versions they were measured on.

    On a machine that others use as well, the fastest call says more than the median.
    """
    device = jax.devices()[0]
    versions = [f"{package} {importlib.metadata.version(package)}" for package in packages]
    print(f"{device.platform} ({device.device_kind}), {os.cpu_count()} cores")
    print(", ".join([f"Python {platform.python_version()}", *versions]))
    print()
    print("| | median ms | quartiles | / ours | fastest ms | / ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    our_median, our_fastest = statistics.median(seconds[ours]), min(seconds[ours])
    for name, values in seconds.items():
        low, median, high = statistics.quantiles(values, n=4)
        print(
            f"| {name} | {1e3 * median:.2f} | {1e3 * low:.2f} to {1e3 * high:.2f} "
            f"| {median / our_median:.2f} | {1e3 * min(values):.2f} | {min(values) / our_fastest:.2f} |"
        )
