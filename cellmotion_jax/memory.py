"""The memory that a piece of work may take, so that it is refused in a sentence before it is begun."""

from __future__ import annotations

import pathlib
import re

from cellmotion_jax.errors import InputError

UNKNOWN = 8 * 2**30
"""Bytes that are taken for free where the system does not say how many are."""
_MEMINFO = pathlib.Path("/proc/meminfo")
# Limit and use of a container: of control groups in version 2 and 1.
_CONTAINERS = (
    (pathlib.Path("/sys/fs/cgroup/memory.max"), pathlib.Path("/sys/fs/cgroup/memory.current")),
    (
        pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        pathlib.Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def available_memory() -> int:
    """Bytes of main memory that are free, for the machine or the container in which the program runs."""
    known = []
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMINFO.read_text(), re.MULTILINE)
        known += [int(found[1]) * 1024] if found else []
    except OSError:
        pass
    for limit, used in _CONTAINERS:
        try:
            known.append(int(limit.read_text()) - int(used.read_text()))
        except (OSError, ValueError):  # "max" is no limit
            continue
    return max(0, min(known, default=UNKNOWN))


def require_memory(needed: int, *, what: str, instead: str) -> None:
    """Refuses work that would take more memory than is free.

    Args:
        needed: An estimate of the bytes it takes.
        what: The work, as the subject of the sentence, e.g. ``tracking of 32000 cells``.
        instead: What to do instead, as the end of the sentence.

    Raises:
        InputError: If that many bytes are not free.
    """
    free = available_memory()
    if needed > free:
        raise InputError(
            f"{what} would take about {needed / 1e9:.1f} GB of memory, but {free / 1e9:.1f} GB are free; "
            f"{instead}."
        )
