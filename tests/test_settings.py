"""Every class of settings refuses what has no meaning, by one mechanism, wherever the settings come from."""

import dataclasses
import enum
import importlib
import inspect
import math
import pkgutil
import typing

import jaxtyping
import numpy as np
import pytest

import cellmotion_jax
from cellmotion_jax.cli.options import parse_over
from cellmotion_jax.errors import InputError
from cellmotion_jax.models.network import Network
from cellmotion_jax.settings import (
    Count,
    NotNegative,
    OneOf,
    Positive,
    Range,
    SettingError,
    Settings,
    Share,
    allowed,
    check_field,
    check_settings,
    made_together,
    named,
)
from cellmotion_jax.training.config import Phase

NOT_NUMBERS = (math.nan, "3", b"3", [3], (), {}, True, object(), 3j)
BEYOND = (math.inf, -math.inf, 1e30, -1e30, 10**400, -(10**400))


def _all_classes():
    for module in pkgutil.walk_packages(cellmotion_jax.__path__, "cellmotion_jax."):
        importlib.import_module(module.name)
    found, waiting = set(), [Settings, Network]
    while waiting:
        children = [
            one for one in waiting.pop().__subclasses__() if one.__module__.startswith("cellmotion_jax")
        ]
        found |= set(children)
        waiting += children
    return sorted((one for one in found if dataclasses.is_dataclass(one)), key=lambda one: one.__qualname__)


CLASSES = _all_classes()


def _parts(hint):
    """An annotation and everything inside it, without what stands beside a type in ``Annotated``."""
    yield hint
    for part in typing.get_args(hint)[: 1 if typing.get_origin(hint) is typing.Annotated else None]:
        yield from _parts(part)


def _numbers():
    for owner in CLASSES:
        hints = typing.get_type_hints(owner, include_extras=True)
        for field in dataclasses.fields(owner):
            if {int, float} & set(_parts(hints[field.name])) and field.name not in (
                "parent",
                "name",
                "dtype",
            ):
                yield owner, field.name, hints[field.name]


NUMBERS = list(_numbers())
UNBOUNDED = {
    *((owner, "offset") for owner in ("NucleiSettings", "DeepCellSettings")),
    *((owner, name) for owner in ("StartSettings", "_FilterOptions") for name in ("ids", "at")),
    ("RecogNetModel", "mean"),
}
"""Numbers of either sign and any size."""


def _ranged(hint):
    return any(
        typing.get_origin(part) is typing.Annotated
        and any(isinstance(mark, Range | OneOf) for mark in typing.get_args(part)[1:])
        for part in _parts(hint)
    )


def test_every_number_of_every_class_of_settings_has_a_range():
    without = {(owner.__name__, name) for owner, name, hint in NUMBERS if not _ranged(hint)}
    assert without == UNBOUNDED
    assert len(NUMBERS) > 150


@pytest.mark.parametrize(
    ("owner", "name", "hint"), NUMBERS, ids=lambda it: getattr(it, "__name__", str(it))[:30]
)
def test_what_is_no_number_or_beyond_every_range_is_refused_by_name(owner, name, hint):
    infinite = "infinity" in (allowed(hint) or "")
    several = any(typing.get_origin(part) is tuple for part in _parts(hint))
    whole = {int} & set(_parts(hint))
    wrong = [*NOT_NUMBERS, *(() if infinite or not _ranged(hint) else BEYOND), *([1.5] if whole else [])]
    for value in wrong:
        given = (value,) if several else value
        if given == () or (several and given == ((),)):
            continue
        with pytest.raises(SettingError, match=name):
            check_field(owner, name, given)
    for none in (None,) if type(None) not in typing.get_args(hint) else ():
        with pytest.raises(SettingError, match=name):
            check_field(owner, name, none)


@pytest.mark.parametrize("owner", CLASSES, ids=lambda owner: owner.__name__)
def test_default_settings_are_allowed(owner):
    required = [
        field
        for field in dataclasses.fields(owner)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    # A phase has either steps or epochs.
    if not required and not inspect.isabstract(owner) and owner is not Phase:
        check_settings(owner())


class Kind(enum.Enum):
    """Of a test."""

    one = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner(Settings):
    """Settings inside others."""

    spread: Positive = 1.0
    patience: Count | None = None
    share: Share = 0.5
    kind: Kind = Kind.one
    several: tuple[NotNegative, ...] = ()
    pair: tuple[Count, Count] = (1, 2)
    text: str = ""
    flag: bool = False

    def check_together(self):
        if self.pair[0] > self.pair[1]:
            self.refuse("pair", "the smaller number comes first")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer(Settings):
    """Settings with settings inside."""

    inner_one: Inner = Inner()
    phases: tuple[Inner, ...] = (Inner(), Inner())


@pytest.fixture
def without_type_checks(monkeypatch):
    """As users run the library: annotations are not enforced."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("spread", math.nan, "Inner.spread is nan; it must be a number from 1e-09 to 1,000,000,000."),
        ("spread", -1, "spread is -1"),
        ("patience", 0, "it must be a whole number from 1 to 1,000,000,000, or none."),
        ("patience", 2.0, "patience is 2.0"),
        ("share", np.float32(2), "share is 2.0; it must be a number from 0 to 1."),
        ("kind", "one", "kind is 'one'; it must be one of one."),
        ("several", (1.0, -1.0), "several is (1.0, -1.0); it must be a list, each a number from 0"),
        ("several", 3, "several is 3"),
        ("pair", (1,), "it must be 2 values"),
        ("pair", (3, 2), "pair is (3, 2); the smaller number comes first."),
        ("text", "a\0b", "text"),
        ("flag", 1, "flag is 1; it must be true or false."),
        pytest.param("patience", 10**5000, "a number of thousands of digits", id="long"),
        ("text", 3, "text is 3; it must be text."),
    ],
)
def test_a_setting_that_is_not_allowed_is_told_in_a_sentence(name, value, told):
    with pytest.raises(SettingError) as refusal:
        check_field(Inner, name, value) if name != "pair" or len(value) < 2 else Inner(pair=value)
    assert told in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.usefixtures("without_type_checks")
def test_settings_are_checked_when_they_are_made_from_python():
    with pytest.raises(SettingError, match=r"Inner\.spread is nan"):
        Inner(spread=math.nan)
    with pytest.raises(SettingError, match=r"Inner\.share is 'x'"):
        dataclasses.replace(Inner(), share="x")
    assert Inner(patience=np.int64(3), spread=2, several=[1.0]).patience == 3
    # Their squares would not fit into the 32 bits of an array of whole numbers.
    assert type(Inner(spread=1_000_000).spread) is float


def test_settings_that_are_made_together_are_named_by_their_paths():
    with made_together():
        wrong = Outer(phases=(Inner(), Inner(pair=(4, 1))))
        deep = Outer(inner_one=Inner(spread=math.inf))
    with pytest.raises(SettingError, match=r"^phases\.1\.pair is \(4, 1\)"):
        check_settings(wrong)
    with pytest.raises(SettingError, match=r"^inner-one\.spread is inf"):
        check_settings(deep, option=True)
    with pytest.raises(SettingError, match=r"^spread is inf"):
        check_settings(deep, unprefixed=("inner_one",))
    with pytest.raises(SettingError, match=r"^model\.spread"), named("model"):
        Inner(spread=math.inf)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--inner-one.spread", "nan"], "inner-one.spread is nan; it must be a number from"),
        (["--inner-one.spread", "x"], "inner-one.spread is 'x'; it must be a number from"),
        (["--inner-one.spread"], "inner-one.spread has no value; it must be a number"),
        (["--inner-one.spread="], "inner-one.spread is empty"),
        (["--inner-one.spread", ""], "inner-one.spread is empty"),
        (["--inner-one.pair", "3"], "inner-one.pair is '3'; it must be 2 values"),
        (["--inner-one.pair", "3", "2"], "inner-one.pair is (3, 2); the smaller number comes first."),
        (["--inner-one.patience", "1" * 6000], "inner-one.patience is"),
        (["--inner-one.kind", "two"], "inner-one.kind is 'two'; it must be one of one."),
        (
            ["--inner-one.spraed", "1"],
            "--inner-one.spraed is no option of PROG; did you mean --inner-one.spread?",
        ),
        (["--completely-unlike"], "`PROG --help-all` lists all options."),
        (["one"], "'one' is one argument too many for PROG"),
        (["--inner-one.flag", "yes"], "'yes' after --inner-one.flag is one argument too many for PROG"),
    ],
)
def test_arguments_are_refused_in_one_sentence_that_names_them(arguments, told):
    with pytest.raises(InputError) as refusal:
        parse_over(Outer(), arguments, prog="PROG", description="", first=())
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_short_help_leaves_groups_to_the_full_one(capsys):
    for option, shown in (("--help", False), ("-h", False), ("--help-all", True)):
        with pytest.raises(SystemExit) as end:
            parse_over(Outer(), [option], prog="PROG", description="Tests.", first=())
        assert end.value.code == 0
        text = capsys.readouterr().out
        assert ("--inner-one.spread" in text) == shown
        assert ("Further settings, which --help-all lists: inner-one, phases." in text) != shown


def test_what_is_allowed_in_words():
    assert allowed(float) == "a finite number"
    assert allowed(Share | None) == "a number from 0 to 1, or none"
    assert allowed(typing.Any) is None
    assert allowed(typing.Annotated[float, Range(0, 1, above=True, below=True)]) == (
        "a number above 0 and below 1"
    )
    assert allowed(typing.Annotated[int, OneOf((4, 8))]) == "one of 4, 8"
