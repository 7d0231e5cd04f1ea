"""Descriptions of dataclasses in JSON, as model files store them, and their strict restoring by type."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from cellmotion_jax.settings import named
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


def restore(
    described_class: type[Described], described: Any, *, place: tuple[str, ...] = (), **given: Any
) -> Described:
    """Restores a dataclass from its description by `describe`.

    Enums, tuples and dataclasses are restored by the annotations of the fields. Everything else is taken as
    it is: whether it is a number, and in its range, is tested where the settings are made (`settings`).

    Args:
        described_class: The dataclass. Fields are numbers, text, bools, enums, tuples and dataclasses.
        described: Its description. A default that stood in for a field of another version would change what
            the model finds, so exactly its fields are there.
        place: Path of the field that it describes, for messages.
        given: Fields that are not described.

    Returns:
        The object.

    Raises:
        ValueError: If a field, which is named, is missing, unknown, or of a wrong kind or value.
    """
    where = f"{'.'.join(place)} " if place else "it "
    if not isinstance(described, Mapping):
        raise ValueError(f"{where}is {_shown(described)}, but should be settings by name")
    written: dict[str, Any] = dict(described)
    current = {RENAMED.get(name, name): value for name, value in written.items()}
    kept = _kept(described_class)
    if absent := set(kept) - set(current):
        raise ValueError(f"{where}lacks {some_names(sorted(absent))}")
    if unknown := set(current) - set(kept):
        raise ValueError(f"{where}has the unknown {some_names(sorted(unknown))}")
    kinds = typing.get_type_hints(described_class)
    values = {name: _restored(kinds[name], current[name], (*place, name)) for name in kept}
    with named(*place):
        return described_class(**values, **given)


def _restored(kind: Any, value: Any, place: tuple[str, ...]) -> Any:
    """The value of an annotated type from its description."""
    kinds = typing.get_args(kind)
    where = ".".join(place)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return None if value is None and types.NoneType in kinds else _of_union(kinds, value, place)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} is {_shown(value)}, but should be a list")
        inner = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        if len(inner) != len(value):
            raise ValueError(f"{where} has {len(value)} entries, but should have {len(inner)}")
        return tuple(_restored(*pair, (*place, str(index))) for index, pair in enumerate(zip(inner, value)))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        allowed = [member.value for member in kind]
        if value not in allowed:
            names = ", ".join(map(str, allowed))
            raise ValueError(f"{where} is {_shown(value)}, but should be one of {names}")
        return kind(value)
    if dataclasses.is_dataclass(kind):
        return restore(kind, value, place=place)  # type: ignore[arg-type]
    return value


def _of_union(kinds: tuple[Any, ...], value: Any, place: tuple[str, ...]) -> Any:
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
