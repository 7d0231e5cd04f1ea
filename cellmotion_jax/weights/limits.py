"""Limit on the memory that a weight file may need."""

from __future__ import annotations

import pathlib

from cellmotion_jax.errors import InputError

_ALWAYS_ALLOWED = 2**28
_LARGEST_RATIO = 20


def largest_contents(path: pathlib.Path) -> int:
    """Bytes that the contents of a compressed file may take in memory: 256 MiB, or 20 times its size."""
    return max(_ALWAYS_ALLOWED, _LARGEST_RATIO * path.stat().st_size)


def check_size(path: pathlib.Path, announced: int) -> None:
    """Raises InputError for a file that declares much more data than it has bytes.

    A few kilobytes can announce terabytes: in a zip archive of nothing but zeros, or as an HDF5 dataset that
    was never written. Weights hardly compress.

    Args:
        path: The file.
        announced: Bytes that its contents would take in memory.

    Raises:
        InputError: If that is more than `largest_contents`.
    """
    if announced > largest_contents(path):
        raise InputError(
            f"{path} has {path.stat().st_size} bytes but announces {announced}; weights do not compress like "
            "that."
        )
