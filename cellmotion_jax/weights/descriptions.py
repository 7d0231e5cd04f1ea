"""Descriptions of dataclasses in JSON, as model files store them, and their strict restoring by type."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from cellmotion_jax.weights.refusals import quoted, some_names

Described = TypeVar("Described")

RENAMED = {"shrink": "downsample"}
"""Names of settings in files of earlier versions, and their present names."""
NOT_KEPT = ("parent", "name", "dtype", "variables")
"""Fields that are not stored. The floating-point type depends on the machine."""


def describe(value: Any) -> Any:
    """Description of a dataclass in types of JSON: objects by field, members of enums by value."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: describe(getattr(value, name)) for name in _kept(type(value))}
    if isinstance(value, tuple | list):
        return [describe(item) for item in value]
    return value


def restore(described_class: type[Described], described: Any, *, place: str = "", **given: Any) -> Described:
    """Restores a dataclass from its description by `describe`.

    Enums, tuples and dataclasses are restored by the annotations of the fields. Everything else is taken as
    it is: whether it is a number, and in its range, is tested where the settings are made (`settings`).

    Args:
        described_class: The dataclass. Fields are numbers, text, bools, enums, tuples and dataclasses.
        described: Its description. A default that stood in for a field of another version would change what
            the model finds, so exactly its fields are there.
        place: Name of the field that it describes, for messages.
        given: Fields that are not described.

    Returns:
        The object.

    Raises:
        ValueError: If a field, which is named, is missing or unknown, or is no list, no object or no member of an enum where it should be.
    """
    if not isinstance(described, Mapping):
        raise ValueError(f"{place or 'it'} is {_shown(described)}, but should be settings by name")
    current = {RENAMED.get(name, name): value for name, value in described.items()}
    kept = _kept(described_class)
    for problem, names in (
        ("lacks", set(kept) - set(current)),
        ("has the unknown", set(current) - set(kept)),
    ):
        if names:
            raise ValueError(f"{place or 'it'} {problem} {some_names(sorted(names))}")
    annotations = typing.get_type_hints(described_class)
    values = {
        name: _restored(annotations[name], current[name], f"{place}.{name}" if place else name)
        for name in kept
    }
    return described_class(**values, **given)


def _restored(kind: Any, value: Any, place: str) -> Any:
    """The value of an annotated type from its description."""
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return None if value is None and types.NoneType in arguments else _of_union(arguments, value, place)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{place} is {_shown(value)}, but should be a list")
        inner = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(inner) != len(value):
            raise ValueError(f"{place} has {len(value)} entries, but should have {len(inner)}")
        return tuple(_restored(*it, f"{place}[{index}]") for index, it in enumerate(zip(inner, value)))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        if value not in (allowed := [member.value for member in kind]):
            raise ValueError(
                f"{place} is {_shown(value)}, but should be one of {', '.join(map(str, allowed))}"
            )
        return kind(value)
    if dataclasses.is_dataclass(kind):
        return restore(kind, value, place=place)  # type: ignore[arg-type]
    return value


def _of_union(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    """A value of one of several types: dataclasses are told apart by the names of their fields."""
    wanted = [kind for kind in kinds if kind is not types.NoneType]
    fitting = [kind for kind in wanted if isinstance(value, dict) and _has_fields(kind, value)]
    return _restored((fitting or wanted)[0], value, place)


def _has_fields(kind: Any, value: Mapping[str, Any]) -> bool:
    return dataclasses.is_dataclass(kind) and set(_kept(kind)) == set(value)  # type: ignore[arg-type]


def _shown(value: Any) -> str:
    """A value of JSON as a part of a sentence."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object of names and values"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def _kept(described_class: type) -> list[str]:
    return [field.name for field in dataclasses.fields(described_class) if field.name not in NOT_KEPT]  # type: ignore[arg-type]
