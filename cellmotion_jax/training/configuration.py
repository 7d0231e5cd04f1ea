"""The settings of an experiment as JSON: written with every run, compared when it is resumed, read back."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
import pathlib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import write_text
from cellmotion_jax.input_files import read_json
from cellmotion_jax.settings import Settings, check_field, named

Described = TypeVar("Described", bound=Settings)
NOT_KEPT = ("parent", "name")
"""Fields that every Linen module has, and that are no settings."""


def describe(value: Any) -> Any:
    """Description in types of JSON: dataclasses by ``type`` and fields, members of enums by name."""
    if isinstance(value, enum.Enum):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        kept = {name: describe(getattr(value, name)) for name in fields if name not in NOT_KEPT}
        return {"type": type(value).__name__, **kept}
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [describe(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def write_or_compare(path: pathlib.Path, settings: Settings, *, may_differ: Sequence[str]) -> None:
    """Writes the settings of a new run, or compares them with those that a run was started with.

    A run without a checkpoint has nothing to resume: its settings are replaced. The last phase of a run may
    be made longer.

    Args:
        path: JSON file in the folder of the run.
        settings: The whole experiment.
        may_differ: Dotted names of settings that do not change the result.

    Raises:
        InputError: If another setting differs; the message names every such setting with its old and new
            value. Or if the file is damaged or absent, although there is a checkpoint.
    """
    differing = _differences(path, settings, may_differ) if any_saved(path.parent) else []
    if differing:
        raise InputError(
            f"The run in {path.parent} was started with other settings and cannot be resumed: "
            f"{', '.join(differing)}; restore them or choose another --run.folder."
        )
    write_text(path, json.dumps(describe(settings), indent=1))


def free_folder(
    parent: pathlib.Path, name: str, settings: Settings, *, may_differ: Sequence[str]
) -> pathlib.Path:
    """Folder of a run whose user named none: NAME, or NAME-2, ... where runs with other settings are there.

    Args:
        parent: Folder of the folders.
        name: Name of the first.
        settings: The whole experiment.
        may_differ: As for `write_or_compare`.

    Returns:
        The first folder that is new or holds the run with these settings.

    Raises:
        InputError: If the settings of a run there cannot be read.
    """
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(
        parent / folder
        for folder in names
        if not any_saved(parent / folder)
        or not _differences(parent / folder / "config.json", settings, may_differ)
    )


def any_saved(folder: pathlib.Path) -> bool:
    """Whether a run, or one of the trainings in its folder, has a checkpoint."""
    return any(folder.rglob("checkpoints/*.json"))


def _differences(path: pathlib.Path, settings: Settings, may_differ: Sequence[str]) -> list[str]:
    """The settings that differ from those of a file and must not, each with both values."""
    described = read_json(path, what="the settings of a run")
    if not isinstance(described, dict):
        raise InputError(
            f"{path} holds no settings of a run, although there is a checkpoint; restore the file."
        )
    then, now = flatten(described), flatten(describe(settings))
    return [
        f"{name} (was {then.get(name, 'absent')}, now {now.get(name, 'absent')})"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name) and name not in may_differ and not _is_longer(name, then, now)
    ]


def _is_longer(name: str, then: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether a setting is the length of the last phase, which has grown."""
    last = max((key.split(".")[1] for key in now if key.startswith("phases.")), key=int, default="0")
    lengths = (then.get(name, ""), now.get(name, ""))
    return (
        name in (f"phases.{last}.steps", f"phases.{last}.epochs")
        and all(length.isdecimal() for length in lengths)
        and int(lengths[1]) > int(lengths[0])
    )


def flatten(described: Any, name: str = "") -> dict[str, str]:
    """Every value of a description as text, by its dotted name: ``{"optimizer.b1": "0.9", ...}``."""
    if isinstance(described, Mapping):
        children = list(described.items())
    elif isinstance(described, list):
        children = [(str(index), item) for index, item in enumerate(described)]
    else:
        return {name: str(described)}
    flat: dict[str, str] = {}
    for child, value in children:
        flat |= flatten(value, f"{name}.{child}" if name else child)
    return flat


def restore(described: Any, like: Described, *, source: str) -> Described:
    """Settings from their description by `describe`.

    Args:
        described: The description.
        like: Settings of the same class; fields that are no settings, such as a network, are taken from them.
        source: Name of the file, for messages.

    Returns:
        The settings.

    Raises:
        InputError: If the description is of another class, or a setting is missing, unknown or not allowed.
    """
    try:
        return _settings(type(like), described, like, ())
    except InputError as error:
        raise InputError(f"{source} cannot be used: {error}") from error


def _restore(hint: Any, described: Any, like: Any, path: tuple[str, ...]) -> Any:
    """A value of an annotated type; what cannot be described is as in ``like``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _restore(arguments[0], described, like, path)
    if origin in (typing.Union, types.UnionType):
        return _restore(_chosen(arguments, described), described, like, path)
    if origin is tuple and isinstance(described, list):
        repeated = arguments[-1:] == (Ellipsis,)
        parts = [arguments[0]] * len(described) if repeated else arguments
        items = like if isinstance(like, tuple) and len(like) == len(described) else [None] * len(described)
        return tuple(
            _restore(part, item, similar, (*path, str(index)))
            for index, (part, item, similar) in enumerate(zip(parts, described, items))
        )
    if not isinstance(hint, type):
        return described if origin is not None or hint is None else like
    if issubclass(hint, Settings):
        return _settings(hint, described, like, path)
    if issubclass(hint, enum.Enum):
        return hint.__members__.get(described, described) if isinstance(described, str) else described
    if issubclass(hint, pathlib.PurePath):
        return pathlib.Path(described) if isinstance(described, str) else described
    return like if dataclasses.is_dataclass(hint) else described


def _chosen(arguments: tuple[Any, ...], described: Any) -> Any:
    """The part of a union that a description belongs to."""
    if described is None:
        return type(None)
    named = described.get("type") if isinstance(described, Mapping) else None
    parts = [part for part in arguments if part is not type(None)]
    return next((part for part in parts if getattr(part, "__name__", None) == named), parts[0])


def _settings(hint: type[Described], described: Any, like: Any, path: tuple[str, ...]) -> Described:
    fields = [field.name for field in dataclasses.fields(hint) if field.init]  # type: ignore[arg-type]
    if not isinstance(described, Mapping) or described.get("type") != hint.__name__:
        raise InputError(f"{'.'.join(path) or 'it'} must describe a {hint.__name__}.")
    differing = sorted((set(described) - {"type"}) ^ set(fields))
    if differing:
        verdict = "is missing" if differing[0] in fields else "is not known to this version"
        raise InputError(f"{'.'.join((*path, differing[0]))} {verdict}.")
    hints = typing.get_type_hints(hint, include_extras=True)
    same = like if isinstance(like, hint) else None
    values = {
        name: _restore(hints[name], described[name], getattr(same, name, None), (*path, name))
        for name in fields
    }
    with named(*path):
        for name, value in values.items():
            check_field(hint, name, value)
        return hint(**values)
