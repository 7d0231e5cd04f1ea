"""Limit on the memory that a weight file may need."""

from __future__ import annotations

import pathlib

from cellmotion_jax.errors import InputError

_ALWAYS_ALLOWED = 2**30
_LARGEST_RATIO = 100


def check_size(path: pathlib.Path, announced: int) -> None:
    """Raises InputError for a file that declares much more data than it has bytes.

    A few kilobytes can announce terabytes: in a zip archive of nothing but zeros, or as an HDF5 dataset that
    was never written. Weights hardly compress.

    Args:
        path: The file.
        announced: Bytes that its contents would take in memory.

    Raises:
        InputError: If that is more than 1 GiB and more than 100 times the size of the file.
    """
    stored = path.stat().st_size
    if announced > max(_ALWAYS_ALLOWED, _LARGEST_RATIO * stored):
        raise InputError(
            f"{path} has {stored} bytes but announces {announced}; weights do not compress like that."
        )
