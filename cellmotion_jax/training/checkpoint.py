"""Checkpoints that stay valid when a run is killed, and the check of the configuration they belong to.

A checkpoint is an Orbax folder ``checkpoints/STEP`` with a record ``checkpoints/STEP.json`` of the
size and CRC-32 of every file in it, written last and renamed into place: a folder without a record
was never finished, one that disagrees with its record is damaged. Orbax alone would notice a missing
manifest but not every truncated file.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import logging
import pathlib
import shutil
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import jax
from orbax.checkpoint import v1 as ocp

from cellmotion_jax.errors import InputError
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


def check_same_configuration(path: pathlib.Path, config: Any, *, may_differ: Sequence[str]) -> None:
    """Writes the configuration of a new run, or compares it with the one a run was started with.

    A run without a checkpoint has nothing to resume: its configuration is replaced.

    Args:
        path: JSON file in the folder of the run.
        config: Frozen dataclass, the whole experiment.
        may_differ: Dotted names of fields that do not change the result.

    Raises:
        InputError: If a field differs; the message names every such field with its old and new value.
    """
    now = flat_configuration(config)
    if not path.exists() or not any(path.parent.rglob("checkpoints/*.json")):
        write_text(path, json.dumps(now, indent=1))
        return
    then = json.loads(path.read_text())
    differing = [
        f"{name} (was {then.get(name, 'absent')}, now {now.get(name, 'absent')})"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name) and name not in may_differ
    ]
    if differing:
        raise InputError(
            f"The run in {path.parent} was started with other settings and cannot be resumed: "
            f"{', '.join(differing)}; restore them or choose another --run.folder."
        )


def flat_configuration(config: Any) -> dict[str, str]:
    """Every setting of a configuration as ``{"optimizer.b1": "0.9", ...}``, modules and enums included."""
    flat: dict[str, str] = {}

    def visit(name: str, value: Any) -> None:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            flat[f"{name}.type" if name else "type"] = type(value).__name__
            fields = [
                f.name for f in dataclasses.fields(value) if f.init and f.name not in ("parent", "name")
            ]
            children = {field: getattr(value, field) for field in fields}
        elif isinstance(value, Mapping):
            children = dict(value)
        elif isinstance(value, tuple | list):
            children = dict(enumerate(value))
        else:
            flat[name] = value.name if isinstance(value, enum.Enum) else str(value)
            return
        for child, inner in children.items():
            visit(f"{name}.{child}" if name else str(child), inner)

    visit("", config)
    return flat


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
