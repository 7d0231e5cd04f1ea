"""The options of a command, found by walking the dataclasses that it hands to tyro."""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from unittest import mock

import tyro

from cellmotion_jax.cli import main


class Option(NamedTuple):
    """One option of a command."""

    name: str
    """With dots and dashes, as on the command line, without the leading ``--``."""
    kind: Any
    """Type of its value without `None`: bool, int, float, str, Path, an enum, a Literal or a tuple."""
    default: Any
    optional: bool
    """Whether it may be None."""
    owner: type
    """The dataclass that it is a field of."""


class _Recorded(BaseException):
    """Stops a command where it has said what its options are."""


def options_of(arguments: Sequence[str]) -> list[Option]:
    """All options of a command but for those that are positional.

    Args:
        arguments: Arguments with which the command gets as far as reading all of its options.
    """
    asked: list[tuple[Any, dict[str, Any]]] = []
    read = tyro.cli

    def record(kind: Any, **keywords: Any) -> Any:
        if keywords.get("return_unknown_args"):
            return read(kind, **keywords)
        asked.append((kind, keywords))
        raise _Recorded

    with mock.patch.object(tyro, "cli", record), contextlib.suppress(_Recorded):
        main(arguments)
    kind, keywords = asked[-1]
    return list(_walk(kind, keywords.get("default"), prefix=""))


def _walk(kind: type, value: Any, *, prefix: str) -> Iterator[Option]:
    """Options of a dataclass whose defaults are those of ``value``, or of the class where that is None."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        marks = " ".join(map(repr, getattr(hints[field.name], "__metadata__", ())))
        if "Positional" in marks or "Suppress" in marks:
            continue
        default = getattr(value, field.name) if value is not None else _default(field)
        bare = "OmitArgPrefixes" in marks or "name=''" in marks
        name = prefix + ("" if bare else field.name.replace("_", "-"))
        yield from _of_field(name, hints[field.name], default, owner=kind)


def _of_field(name: str, kind: Any, default: Any, *, owner: type) -> Iterator[Option]:
    kind, optional = _without_none(kind)
    nested = f"{name}." if name else ""
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        yield from _walk(type(default), default, prefix=nested)
    elif isinstance(default, tuple) and default and dataclasses.is_dataclass(default[0]):
        for number, part in enumerate(default):
            yield from _walk(type(part), part, prefix=f"{nested}{number}.")
    elif not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        yield Option(name, kind, default, optional, owner)


def _without_none(kind: Any) -> tuple[Any, bool]:
    """A type without Annotated and None, and whether it had None."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = kind.__origin__
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        parts = [part for part in typing.get_args(kind) if part is not type(None)]
        if len(parts) == 1:
            return _without_none(parts[0])[0], True
    return kind, False


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default
