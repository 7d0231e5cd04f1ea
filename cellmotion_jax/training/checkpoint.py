"""Checkpoints that stay valid when a run is killed.

A checkpoint is an Orbax folder ``checkpoints/STEP`` with a record ``checkpoints/STEP.json`` of the
size and CRC-32 of every file in it, see `files.fingerprints`: a folder without a record was never
finished, one that disagrees with its record is damaged. Orbax alone would notice a missing manifest but
not every truncated file.
"""

from __future__ import annotations

import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import Any, TypeVar

import absl.logging
import jax
from orbax.checkpoint import v1 as ocp

from cellmotion_jax.files import interruption
from cellmotion_jax.files.fingerprints import damage, record_of, write_record
from cellmotion_jax.files.folders import remove_leftovers
from cellmotion_jax.files.written import remove

Tree = TypeVar("Tree")
KEEP = 2  # The latest, and the one to fall back to if that is damaged.
TEMPORARY = "*.orbax-checkpoint-tmp*"
"""Names under which Orbax writes what it renames when it is complete."""
_log = logging.getLogger(__name__)


def save(folder: pathlib.Path, step: int, tree: Any, *, every: int = 1, interrupted: bool = False) -> None:
    """Writes a checkpoint and deletes all but the newest ``KEEP``.

    A signal does not cut it off. Where it fails, nothing of it is left, and the older ones are kept.

    Args:
        folder: The ``checkpoints`` folder of a run; made if absent.
        step: Number of updates done before the checkpoint.
        tree: Pytree of arrays (typed random keys included).
        every: Updates between checkpoints.
        interrupted: Whether a signal is the reason for this one. The next checkpoint takes its place, so that
            an interrupted run ends with the same checkpoints as an uninterrupted one.
    """
    folder = folder.resolve()  # Orbax refuses relative paths.
    path = folder / f"{step:08d}"
    with interruption.postponed():
        folder.mkdir(parents=True, exist_ok=True)
        _remove(folder, step)
        try:
            with _quiet():
                ocp.save(str(path), tree)
            write_record(path)
        except BaseException:
            _remove(folder, step)
            remove_leftovers(folder, TEMPORARY)
            raise
        older = [old for old in _steps(folder) if old < step]
        kept = [old for old in older if old % every == 0][-KEEP if interrupted else 1 - KEEP :]
        for old in set(older).difference(kept):
            _remove(folder, old)


def exists(folder: pathlib.Path, step: int) -> bool:
    """Whether there is an intact checkpoint of a step."""
    return step in _steps(folder) and damage(folder / f"{step:08d}") is None


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
    for path in folder.glob("[0-9]*"):
        if path.name.isdecimal() and int(path.name) not in steps:
            remove(path)  # It was never finished.
    while steps:
        step = steps.pop()
        damaged = damage(folder / f"{step:08d}")
        if damaged is None:
            return step, ocp.load(str(folder / f"{step:08d}"), abstract)
        fallback = f"falling back to the one at step {steps[-1]}" if steps else "starting from the beginning"
        _log.warning("The checkpoint at step %d is damaged (%s): %s.", step, damaged, fallback)
        _remove(folder, step)
    return None


def _steps(folder: pathlib.Path) -> list[int]:
    """Steps of the finished checkpoints, oldest first."""
    return sorted(int(record.stem) for record in folder.glob("[0-9]*.json") if record.stem.isdecimal())


def _remove(folder: pathlib.Path, step: int) -> None:
    # The record goes first: a folder without one is never taken for a checkpoint.
    remove(record_of(folder / f"{step:08d}"))
    remove(folder / f"{step:08d}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the tracebacks that Orbax logs on its threads; the error itself is raised, too."""
    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.FATAL)
    try:
        yield
    finally:
        absl.logging.set_verbosity(verbosity)
