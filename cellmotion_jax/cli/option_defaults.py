"""Command-line options whose existence or default depends on another option, such as the model file."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import tyro

Options = TypeVar("Options")
HELP = ("-h", "--help")


def parse_early(options: type[Options], arguments: Sequence[str], *, prog: str) -> Options:
    """Reads some of the options; all other options, and ``--help``, are ignored.

    Args:
        options: A dataclass, all of whose fields have defaults.
        arguments: All command-line arguments.
        prog: Name of the command, for messages.

    Returns:
        Values of these options.
    """
    given = [argument for argument in arguments if argument not in HELP]
    found, _ = tyro.cli(options, args=given, prog=prog, return_unknown_args=True)
    return found


def parse_options(
    options: type[Options],
    arguments: Sequence[str],
    *,
    prog: str,
    defaults: dict[str, Any] | None = None,
    settings: Any = None,
    more_help: str = "",
) -> Options:
    """Reads all options.

    Args:
        options: A dataclass; its docstring is the description of the command.
        arguments: All command-line arguments.
        prog: Name of the command, for messages.
        defaults: Default values of some fields, which replace those of the class.
        settings: A frozen dataclass for the field ``settings`` of the options; its own fields are options
            without a prefix, and its values are their defaults. None leaves it out.
        more_help: Sentence that is added to the end of the description.

    Returns:
        The options.
    """
    hints = typing.get_type_hints(options, include_extras=True)
    fields = [
        (name, hints[name], dataclasses.field(default=value)) for name, value in (defaults or {}).items()
    ]
    if settings is not None:
        unprefixed = Annotated[type(settings), tyro.conf.arg(name="")]
        fields.append(("settings", unprefixed, dataclasses.field(default=settings)))
    described = inspect.getdoc(options)
    filled = dataclasses.make_dataclass(options.__name__, fields, bases=(options,), frozen=True, kw_only=True)
    filled.__module__ = options.__module__
    return tyro.cli(
        filled,
        args=arguments,
        prog=prog,
        description=f"{described}\n\n{more_help}" if more_help else described,
    )
