"""Checkpoints that stay valid when a run is killed.

A checkpoint is an Orbax folder ``checkpoints/STEP`` with a record ``checkpoints/STEP.json`` of the
size and CRC-32 of every file in it, written last and renamed into place: a folder without a record
was never finished, one that disagrees with its record is damaged. Orbax alone would notice a missing
manifest but not every truncated file.
"""

from __future__ import annotations

import json
import logging
import pathlib
import shutil
import zlib
from typing import Any, TypeVar

import jax
from orbax.checkpoint import v1 as ocp

from cellmotion_jax.files import write_text

Tree = TypeVar("Tree")
KEEP = 2  # The latest, and the one to fall back to if that is damaged.
_log = logging.getLogger(__name__)


def save(folder: pathlib.Path, step: int, tree: Any) -> None:
    """Writes a checkpoint and deletes all but the newest ``KEEP``.

    Args:
        folder: The ``checkpoints`` folder of a run; made if absent.
        step: Number of updates done before the checkpoint.
        tree: Pytree of arrays (typed random keys included).
    """
    folder = folder.resolve()  # Orbax refuses relative paths.
    folder.mkdir(parents=True, exist_ok=True)
    _remove(folder, step)
    path = folder / f"{step:08d}"
    ocp.save(str(path), tree)
    write_text(path.with_suffix(".json"), json.dumps(_fingerprint(path), indent=1))
    for old in _steps(folder)[:-KEEP]:
        _remove(folder, old)


def restore_latest(folder: pathlib.Path, like: Tree) -> tuple[int, Tree] | None:
    """Loads the newest intact checkpoint; damaged ones are reported, removed and skipped.

    Args:
        folder: The ``checkpoints`` folder of a run; it need not exist.
        like: Pytree of arrays or ``jax.ShapeDtypeStruct`` with the structure and sharding wanted.

    Returns:
        ``(step, tree)``, or None when there is no intact checkpoint.
    """
    folder = folder.resolve()
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), like
    )
    steps = _steps(folder)
    while steps:
        step = steps.pop()
        damage = _damage(folder / f"{step:08d}")
        if damage is None:
            return step, ocp.load(str(folder / f"{step:08d}"), abstract)
        fallback = f"falling back to the one at step {steps[-1]}" if steps else "starting from the beginning"
        _log.warning("The checkpoint at step %d is damaged (%s): %s.", step, damage, fallback)
        _remove(folder, step)
    return None


def _steps(folder: pathlib.Path) -> list[int]:
    """Steps of the finished checkpoints, oldest first."""
    return sorted(int(record.stem) for record in folder.glob("[0-9]*.json"))


def _remove(folder: pathlib.Path, step: int) -> None:
    # The record goes first: a folder without one is never taken for a checkpoint.
    (folder / f"{step:08d}.json").unlink(missing_ok=True)
    shutil.rmtree(folder / f"{step:08d}", ignore_errors=True)


def _fingerprint(path: pathlib.Path) -> dict[str, list[int]]:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): [file.stat().st_size, _crc32(file)] for file in files}


def _crc32(file: pathlib.Path) -> int:
    value = 0
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return value


def _damage(path: pathlib.Path) -> str | None:
    """Description of the damage of a checkpoint; None if it is intact."""
    try:
        recorded = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return f"{path.name}.json is unreadable"
    for name, (size, checksum) in recorded.items():
        file = path / name
        if not file.is_file():
            return f"{path.name}/{name} is missing"
        if file.stat().st_size != size:
            return f"{path.name}/{name} has {file.stat().st_size} of {size} bytes"
        if _crc32(file) != checksum:
            return f"{path.name}/{name} has other contents than were written"
    return None
