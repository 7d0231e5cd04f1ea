"""Refusals of command-line arguments in one sentence, in place of tyro's boxes."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import tyro
from tyro import _errors as tyro_errors

from cellmotion_jax.errors import InputError
from cellmotion_jax.settings import allowed

_POSITIONAL = typing.get_args(tyro.conf.Positional[int])[1]
UNPREFIXED = ("settings", "simulation", "reading")
"""Fields of options whose own fields are options without a prefix."""


@contextlib.contextmanager
def told_in_a_sentence(
    options: type, arguments: Sequence[str], *, prog: str, some: bool = False
) -> Iterator[None]:
    """Raises what tyro refuses inside as an InputError.

    Args:
        options: The dataclass that tyro fills.
        arguments: The arguments.
        prog: Name of the command.
        some: The dataclass has only some of the options, so that an empty argument may stand without one.

    Yields:
        Nothing.

    Raises:
        InputError: If tyro refuses the arguments, or one of them is empty, which tyro would take for a path.
    """
    for place, (before, argument) in enumerate(zip(["", *arguments], arguments)):
        option, equals, value = argument.partition("=")
        if not (value if equals and option.startswith("--") else argument).strip() and before != "--licence":
            names = [text.removeprefix("--") for text in (option, before) if text.startswith("--")]
            names += _positional_names(options)[place:]
            if names or not some:
                raise InputError(f"{names[0] if names else f'an argument of {prog}'} is empty; give a value.")

    def refuse(event: tyro_errors.ParseErrorEvent, /) -> None:
        raise InputError(_sentence(event, options, arguments, prog))

    with tyro_errors.on_parse_error(refuse):
        yield


def _sentence(event: tyro_errors.ParseErrorEvent, options: type, arguments: Sequence[str], prog: str) -> str:
    match event:
        case tyro_errors.MissingArgs(missing_arguments=missing, unrecognized_tokens=unknown):
            if unknown:
                return _unknown(unknown[0], options, arguments, prog)
            names = [
                one.arg.lowered.name_or_flags[-1].upper()
                if one.arg.is_positional()
                else one.arg.display_name()
                for one in missing
            ]
            return f"{prog} needs {' and '.join(names)}; `{prog} --help` explains it."
        case tyro_errors.UnrecognizedArgs(tokens=tokens):
            return _unknown(tokens[0], options, arguments, prog)
        case tyro_errors.InvalidChoice(argument=argument, value=value, choices=choices):
            return f"{_name(argument)} is {value!r}; it must be one of {', '.join(choices)}."
        case (
            tyro_errors.BadValue(argument=argument, reason="too_few_values")
            | tyro_errors.InstantiationFailure(argument=argument)
        ) if argument is not None:
            return _wrong_value(argument, arguments)
        case tyro_errors.BadValue(argument=argument, offending_value=value):
            return f"{_name(argument)} takes no value, but {value!r} follows it."
        case tyro_errors.InstantiationFailure(message=message):
            return f"{prog}: {' '.join(message.split())}"
    return f"{prog} cannot read these arguments; `{prog} --help` lists the options."


def _unknown(token: str, options: type, arguments: Sequence[str], prog: str) -> str:
    if not token.startswith("-"):
        before = arguments[: arguments.index(token)] if token in arguments else []
        after = next((f" after {text}" for text in reversed(before) if text.startswith("--")), "")
        return f"{token!r}{after} is one argument too many for {prog}; `{prog} --help` explains them."
    name = token.split("=")[0]
    similar = difflib.get_close_matches(name.lstrip("-").replace("_", "-"), _option_names(options), n=1)
    hint = f"did you mean --{similar[0]}?" if similar else f"`{prog} --help-all` lists all options."
    return f"{name} is no option of {prog}; {hint}"


def _wrong_value(argument: Any, arguments: Sequence[str]) -> str:
    """What was given, and the rule of the annotation."""
    rule = allowed(argument.field.type) or str(argument.lowered.metavar)
    given = _values_of(argument, arguments)
    is_now = f"is {' '.join(given)!r}" if given else "has no value"
    return f"{_name(argument)} {is_now}; it must be {rule}."


def _name(argument: Any) -> str:
    if argument.is_positional():
        return argument.lowered.name_or_flags[-1].upper()
    return argument.lowered.name_or_flags[-1].removeprefix("--")


def _values_of(argument: Any, arguments: Sequence[str]) -> list[str]:
    """The arguments after the last mention of an option."""
    flags = [flag.replace("_", "-") for flag in argument.lowered.name_or_flags]
    values: list[str] = []
    for place, text in enumerate(arguments):
        name, _, value = text.partition("=")
        if name.replace("_", "-") in flags:
            values = [value] if value else []
            for following in () if value else arguments[place + 1 :]:
                if following.startswith("--"):
                    break
                values.append(following)
    return values


def _positional_names(options: type) -> list[str]:
    """Names of the arguments that stand without an option, in their order, as the help prints them."""
    hints = typing.get_type_hints(options, include_extras=True)
    return [name.upper() for name, hint in hints.items() if _POSITIONAL in getattr(hint, "__metadata__", ())]


def _option_names(options: Any, prefix: str = "") -> list[str]:
    """Names of all options of a dataclass, with those of the dataclasses in it."""
    names = []
    for field, hint in typing.get_type_hints(options).items():
        parts = [part for part in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(part)]
        name = prefix + field.replace("_", "-")
        for part in parts:
            names += _option_names(part, "" if name in UNPREFIXED else f"{name}.")
        if not parts:
            names.append(name)
    return names
