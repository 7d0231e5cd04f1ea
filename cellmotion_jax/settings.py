"""The check of settings: every setting has a type and a range, which are tested when the settings are made.

A class of settings is a frozen dataclass that derives from `Settings` and states in its annotations what is
allowed::

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Motion(Settings):
        spread: Positive = 6.0
        patience: Count | None = None

The same check serves Python, the command line, model files and ``config.json``: the last three make many
nested settings at once, and check them as a whole (`made_together`) to name each by its whole path.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import enum
import functools
import math
import numbers
import os
import pathlib
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

from cellmotion_jax.errors import InputError

LARGEST = 1e9
"""Largest number that is believed unless a range says otherwise; its square is a float32."""


@dataclasses.dataclass(frozen=True)
class Range:
    """What a number may be, as an annotation: ``Annotated[float, Range(0, 1, below=True)]``."""

    least: float | int = -LARGEST
    """The smallest number; minus infinity allows an infinite one."""
    most: float | int = LARGEST
    """The largest number; infinity allows an infinite one."""
    above: bool = False
    """Whether the number is above ``least``, not equal to it."""
    below: bool = False
    """Whether the number is below ``most``, not equal to it."""
    note: str = ""
    """What the number is, where people are often wrong about it; in parentheses after the range."""

    def holds(self, value: Any) -> bool:
        """Whether a number lies in the range; NaN does not."""
        bottom = value > self.least if self.above else value >= self.least
        return bool(bottom and (value < self.most if self.below else value <= self.most))

    def __str__(self) -> str:
        bottom = f"{'above' if self.above else 'from'} {_number(self.least)}"
        joined = " and" if self.above or self.below else ""
        noted = f" ({self.note})" if self.note else ""
        return f"{bottom}{joined} {'below' if self.below else 'to'} {_number(self.most)}{noted}"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """The numbers that a setting may have, as an annotation."""

    values: tuple[float | int, ...]

    def holds(self, value: Any) -> bool:
        """Whether a number is one of them."""
        return value in self.values

    def __str__(self) -> str:
        return f"one of {', '.join(map(_number, self.values))}"


def _number(value: float | int) -> str:
    if math.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


Positive = Annotated[float, Range(1e-9, LARGEST)]
"""A length, a weight, a rate: small and large enough to be squared in float32."""
NotNegative = Annotated[float, Range(0, LARGEST)]
Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, 1, below=True)]
Count = Annotated[int, Range(1, LARGEST)]
WholeFromZero = Annotated[int, Range(0, LARGEST)]
Side = Annotated[int, Range(1, 2**14)]
"""Side of a square image, tile or window in pixels."""
Downsample = Annotated[int, Range(1, 2**10)]
"""Side in pixels of the blocks over which images are averaged."""
Width = Annotated[int, Range(1, 2**12)]
"""Channels of a layer."""
Exponent = Annotated[float, Range(0, 5)]
"""Largest change, or spread, of the logarithm of a factor: with 5 it is 150 times as large, or as small."""
Seed = Annotated[int, Range(0, 2**32 - 1)]
SMALLEST_PIXEL_UM, LARGEST_PIXEL_UM = 1e-3, 50.0
"""72 dots per inch, the commonest of the printing defaults that are no calibration, would be 353 um."""
MicronsPerPixel = Annotated[
    float, Range(SMALLEST_PIXEL_UM, LARGEST_PIXEL_UM, note="micrometres: a pixel of 650 nm is 0.65")
]
Seconds = Annotated[float, Range(1e-6, 1e7)]


class SettingError(InputError):
    """A setting that is not allowed: ``NAME is VALUE``, and what would be right."""

    def __init__(self, path: tuple[str, ...], value: object, rule: str, *, owner: str | None = None) -> None:
        """Names the setting by its path from an object of the class ``owner``, or from the root."""
        self.path, self.value, self.rule = path, value, rule
        name = ".".join(path if owner is None else (owner, *path))
        super().__init__(f"{name} is {_shown(value)}; {rule}")

    def below(self, *path: str, option: bool = False) -> SettingError:
        """The same error, named from the root, where the owner lies at ``path``."""
        whole = (*path, *self.path)
        named = tuple(part.replace("_", "-") for part in whole) if option else whole
        return SettingError(named, self.value, self.rule)


class Settings:
    """Base of every class of settings; see the module's description."""

    def __post_init__(self) -> None:
        """Raises SettingError for a setting that is not allowed."""
        if not _TOGETHER.get():
            check_own(self)

    def check_together(self) -> None:
        """Raises SettingError (`refuse`) for settings that are each allowed, but not together."""

    def refuse(self, name: str, rule: str) -> typing.NoReturn:
        """Raises the error of a setting.

        Args:
            name: Name of the field, or a dotted path from here.
            rule: A clause that says what would be right.

        Raises:
            SettingError: Always.
        """
        value = functools.reduce(getattr, name.split("."), self)
        raise SettingError(tuple(name.split(".")), value, f"{rule}.", owner=type(self).__name__)


@contextlib.contextmanager
def named(*path: str) -> Iterator[None]:
    """Names the settings that are refused inside by their path from ``path``."""
    try:
        yield
    except SettingError as error:
        raise error.below(*path) from None


_TOGETHER = contextvars.ContextVar("settings that are made together", default=False)


@contextlib.contextmanager
def made_together() -> Iterator[None]:
    """Leaves settings that are made inside unchecked; `check_settings` must be called for the whole."""
    token = _TOGETHER.set(True)
    try:
        yield
    finally:
        _TOGETHER.reset(token)


def check_settings(settings: object, *, unprefixed: Collection[str] = (), option: bool = False) -> None:
    """Checks settings with all settings in them.

    Args:
        settings: A dataclass.
        unprefixed: Fields of it whose names are not part of the names of the settings in them.
        option: Name settings as options of the command line, ``filter.learning-rate``.

    Raises:
        SettingError: For the first setting that is not allowed, named by its path from here.
    """
    _check_tree(settings, (), unprefixed, option)


def check_own(settings: object) -> None:
    """Checks the fields of a dataclass, but not the settings in them, which were checked when they were made.

    A whole number for a field of type float becomes a float, as its powers may not fit into 32 bits.

    Args:
        settings: A dataclass, for example a Linen module.

    Raises:
        SettingError: If a field is not allowed; it is named with the class.
    """
    for name in _rules(type(settings)):
        value = getattr(settings, name)
        check_field(type(settings), name, value)
        if _real(value) and not isinstance(value, float) and name in _float_fields(type(settings)):
            object.__setattr__(settings, name, float(value))
    if isinstance(settings, Settings):
        settings.check_together()


def check_field(settings: type, name: str, value: object) -> None:
    """Checks a value for a field of a dataclass.

    Args:
        settings: The class.
        name: Name of the field.
        value: The value.

    Raises:
        SettingError: If it is not allowed.
    """
    rule = _rules(settings).get(name)
    if rule is not None and not rule[0](value):
        raise SettingError((name,), value, f"it must be {rule[1]}.", owner=settings.__name__)


def check_argument(name: str, value: object, hint: Any) -> None:
    """Checks an argument of a function by the rule of an annotated type.

    Args:
        name: Its name.
        value: The value.
        hint: The type, such as `Positive`.

    Raises:
        SettingError: If it is not allowed.
    """
    rule = _rule(hint)
    if rule is not None and not rule[0](value):
        raise SettingError((name,), value, f"it must be {rule[1]}.")


def allowed(hint: Any) -> str | None:
    """What a setting of an annotated type may be, in words; None where any value will do."""
    rule = _rule(hint)
    return None if rule is None else rule[1]


def _check_tree(value: object, path: tuple[str, ...], unprefixed: Collection[str], option: bool) -> None:
    if isinstance(value, tuple | list):
        for index, item in enumerate(value):
            _check_tree(item, (*path, str(index)), (), option)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_tree(item, (*path, str(key)), (), option)
    elif isinstance(value, Settings) and dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            below = path if field.name in unprefixed else (*path, field.name)
            _check_tree(getattr(value, field.name), below, (), option)
        try:
            check_own(value)
        except SettingError as error:
            raise error.below(*path, option=option) from None


@functools.cache
def _rules(settings: type) -> dict[str, tuple[Callable[[Any], bool], str]]:
    """Test and description of every field of a class whose type can be tested."""
    hints = typing.get_type_hints(settings, include_extras=True)
    rules = {}
    for field in dataclasses.fields(settings):
        rule = _rule(hints[field.name])
        if rule is not None:
            rules[field.name] = rule
    return rules


@functools.cache
def _float_fields(settings: type) -> frozenset[str]:
    """Fields of a class that hold a float, or none."""
    hints = typing.get_type_hints(settings)
    return frozenset(name for name, hint in hints.items() if {hint, *typing.get_args(hint)} <= _FLOAT)


def _rule(hint: Any) -> tuple[Callable[[Any], bool], str] | None:
    """Test of a value of an annotated type, and what it must be in words; None where any value will do."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _within(arguments[0], [mark for mark in arguments[1:] if isinstance(mark, Range | OneOf)])
    if origin in (typing.Union, types.UnionType):
        return _any_of([_rule(part) for part in arguments])
    if origin is Literal:
        return (lambda value: value in arguments), f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return _sequence(arguments)
    return _plain(hint)


def _within(hint: Any, limits: list[Range | OneOf]) -> tuple[Callable[[Any], bool], str] | None:
    rule = _rule(hint)
    if rule is None or not limits:
        return rule
    holds, words = (_real, "a number") if hint is float else rule
    described = " and ".join(map(str, limits))
    return (
        lambda value: holds(value) and all(limit.holds(value) for limit in limits),
        described if isinstance(limits[0], OneOf) else f"{words} {described}",
    )


def _any_of(
    rules: list[tuple[Callable[[Any], bool], str] | None],
) -> tuple[Callable[[Any], bool], str] | None:
    known = [rule for rule in rules if rule is not None]
    if len(known) < len(rules):
        return None
    return (lambda value: any(holds(value) for holds, _ in known)), ", or ".join(words for _, words in known)


def _sequence(arguments: tuple[Any, ...]) -> tuple[Callable[[Any], bool], str] | None:
    """Test of a tuple, of any length or of a fixed one; a list, as JSON has it, is taken for a tuple."""
    parts = [_rule(part) for part in arguments if part is not Ellipsis]
    if any(part is None for part in parts):
        return None
    known = [part for part in parts if part is not None]
    if arguments[-1:] == (Ellipsis,):
        holds, words = known[0]
        return (
            lambda value: isinstance(value, tuple | list) and all(map(holds, value))
        ), f"a list, each {words}"
    return (
        lambda value: (
            isinstance(value, tuple | list)
            and len(value) == len(known)
            and all(holds(item) for (holds, _), item in zip(known, value))
        ),
        f"{len(known)} values: {'; '.join(words for _, words in known)}",
    )


def _plain(hint: Any) -> tuple[Callable[[Any], bool], str] | None:
    if hint in _PLAIN:
        return _PLAIN[hint]
    if not isinstance(hint, type) or hint is object:
        return None
    if issubclass(hint, enum.Enum):
        return (lambda value: isinstance(value, hint)), f"one of {', '.join(hint.__members__)}"
    if issubclass(hint, pathlib.PurePath):
        return (lambda value: isinstance(value, str | os.PathLike)), "a path"
    if dataclasses.is_dataclass(hint):
        return (lambda value: isinstance(value, hint)), f"a {hint.__name__}"
    return None


def _real(value: Any) -> bool:
    """Whether a value is a number that a float and the machine's whole numbers hold."""
    huge = isinstance(value, numbers.Integral) and abs(int(value)) >= 2**62
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and not huge


_FLOAT = {float, float | None, type(None)}
_PLAIN: dict[Any, tuple[Callable[[Any], bool], str]] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (
        lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
        "a whole number",
    ),
    float: (lambda value: _real(value) and math.isfinite(value), "a finite number"),
    str: (lambda value: isinstance(value, str) and "\0" not in value, "text"),
    type(None): (lambda value: value is None, "none"),
}


def _shown(value: object) -> str:
    """A value for a message."""
    try:
        text = str(value) if isinstance(value, numbers.Number | os.PathLike | enum.Enum) else repr(value)
    except ValueError:  # Python does not print whole numbers of more than 4,300 digits.
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
