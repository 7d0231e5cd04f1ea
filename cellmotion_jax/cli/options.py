"""Command-line options: two rounds of reading, a short and a full help, and refusals in one sentence.

In the first round (`parse_early`) a command reads the options, such as the model file, that determine which
others exist and their default values; `parse_options` reads all of them, as settings that are checked
together (`cellmotion_jax.settings`).
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import tyro

from cellmotion_jax.cli.refusals import UNPREFIXED, told_in_a_sentence
from cellmotion_jax.settings import Settings, check_settings, made_together

Options = TypeVar("Options")
HELP = ("-h", "--help")
FULL_HELP = "--help-all"


def parse_early(options: type[Options], arguments: Sequence[str], *, prog: str) -> tuple[Options, list[str]]:
    """Reads some of the options; all other options, and ``--help``, are left.

    Args:
        options: A dataclass, all of whose fields have defaults.
        arguments: All command-line arguments.
        prog: Name of the command, for messages.

    Returns:
        Values of these options, and the other arguments.

    Raises:
        InputError: If one of these options has no value, or one that is not allowed.
    """
    asked = [argument for argument in arguments if argument in (*HELP, FULL_HELP)]
    given = [argument for argument in arguments if argument not in asked]
    with told_in_a_sentence(options, given, prog=prog, some=True), made_together():
        found, others = tyro.cli(options, args=given, prog=prog, return_unknown_args=True)
    check_settings(found, option=True)
    return found, others + asked


def parse_options(
    options: type[Options],
    arguments: Sequence[str],
    *,
    prog: str,
    defaults: dict[str, Any] | None = None,
    settings: Any = None,
    more_help: str = "",
) -> Options:
    """Reads all options of a command.

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

    Raises:
        InputError: If an option is unknown, missing or not allowed; it is named.
    """
    hints = typing.get_type_hints(options, include_extras=True)
    fields = [
        (name, hints[name], dataclasses.field(default=value)) for name, value in (defaults or {}).items()
    ]
    if settings is not None:
        unprefixed = Annotated[type(settings), tyro.conf.arg(name="")]
        fields.append(("settings", unprefixed, dataclasses.field(default=settings)))
    described = inspect.getdoc(options) or ""
    return _parse(
        _with_fields(options, fields),
        arguments,
        prog=prog,
        description=f"{described}\n\n{more_help}" if more_help else described,
    )


def parse_over(
    defaults: Options, arguments: Sequence[str], *, prog: str, description: str, first: Sequence[str]
) -> Options:
    """Reads options that replace values of an object.

    Args:
        defaults: The object, an instance of a dataclass.
        arguments: The arguments.
        prog: Name of the command, for messages.
        description: What the command does, for the help.
        first: Names of the fields whose settings the short help lists.

    Returns:
        An object of the same class.

    Raises:
        InputError: If an option is unknown or not allowed; it is named.
    """
    return _parse(
        type(defaults), arguments, prog=prog, description=description, default=defaults, first=first
    )


def _parse(
    options: type[Options],
    arguments: Sequence[str],
    *,
    prog: str,
    description: str,
    default: Options | None = None,
    first: Sequence[str] = (),
) -> Options:
    arguments = list(arguments)
    shown = options
    if FULL_HELP in arguments:
        arguments = ["--help"]
    elif set(HELP) & set(arguments):
        arguments = ["--help"]
        shown, values, hidden = _without_groups(options, default, first, UNPREFIXED)
        default = None if default is None else shown(**values)
        if hidden:
            description += f"\n\nFurther settings, which {FULL_HELP} lists: {', '.join(hidden)}."
    given: dict[str, Any] = {} if default is None else {"default": default}
    with told_in_a_sentence(options, arguments, prog=prog), made_together():
        found = tyro.cli(
            shown,
            args=arguments,
            prog=prog,
            description=description,
            config=(tyro.conf.AvoidSubcommands,),
            **given,
        )
    check_settings(found, unprefixed=UNPREFIXED, option=True)
    return found


def _without_groups(
    options: type, default: object, first: Sequence[str], unprefixed: Sequence[str] = ()
) -> tuple[type, dict[str, Any], list[str]]:
    """Hides the groups of settings in a class, for its help.

    Args:
        options: The class.
        default: Its default values, None for those of the class.
        first: Groups that are shown, but for the groups in them.
        unprefixed: Groups that are shown whole.

    Returns:
        A class whose help is shorter, values of its fields as in ``default``, and the names of the groups
        that it hides.
    """
    hints = typing.get_type_hints(options, include_extras=True)
    fields, values, hidden = [], {}, []
    for field in dataclasses.fields(options):
        value = _default(field) if default is None else getattr(default, field.name)
        if field.name in first:
            inner, inside, more = _without_groups(type(value), value, ())
            value = inner(**inside)
            fields.append((field.name, inner, dataclasses.field(default=value)))
            hidden += [f"{field.name}.{name}" for name in more]
        elif field.name not in unprefixed and _is_group(value):
            suppressed: Any = tyro.conf.Suppress
            fields.append((field.name, suppressed[hints[field.name]], dataclasses.field(default=value)))
            hidden.append(field.name.replace("_", "-"))
        values[field.name] = value
    return _with_fields(options, fields), values, hidden


def _is_group(value: object) -> bool:
    return isinstance(value, Settings) or (
        isinstance(value, tuple) and any(isinstance(item, Settings) for item in value)
    )


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _with_fields(options: type, fields: list[tuple[str, Any, Any]]) -> type:
    filled = dataclasses.make_dataclass(options.__name__, fields, bases=(options,), frozen=True, kw_only=True)
    filled.__module__ = options.__module__
    filled.__doc__ = options.__doc__
    return filled
