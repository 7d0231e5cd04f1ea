"""Numbers of every type give every public function what the same numbers in float32 give it, or a refusal.

The functions are found by walking the exports (`test_api.py` refuses one without an example) and are called
as users call them, without the checks of annotations that tests have otherwise.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from tests.cases import LOSSES, OF_SHAPES, OPS, Example, call
from tests.metric_cases import METRICS
from tests.morphology_cases import MORPHOLOGY
from tests.tracking_cases import TRACKING

EXAMPLES = {
    **{f"losses.{name}": example for name, example in LOSSES.items()},
    **{f"ops.{name}": example for name, example in {**OPS, **OF_SHAPES}.items()},
    **{f"metrics.{name}": example for name, example in METRICS.items()},
    **{f"tracking.{name}": example for name, example in TRACKING.items()},
    **{f"morphology.{name}": example for name, example in MORPHOLOGY.items()},
}
# Without those whose columns a function of the tests puts together.
DIRECT = [
    name for name, example in EXAMPLES.items() if example.function.__module__.startswith("cellmotion_jax")
]


class Form(NamedTuple):
    """A way to give the same arguments; each part takes an array of NumPy and gives what a user might."""

    reals: Callable[[np.ndarray], Any]
    """For float32 arrays of whole numbers."""
    integers: Callable[[np.ndarray], Any]
    masks: Callable[[np.ndarray], Any]
    settings: Callable[[int | float], Any] = lambda number: number
    """For numbers among the options."""


def _typed(dtype: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: array.astype(dtype)


def _list(dtype: str) -> Callable[[np.ndarray], Any]:
    """Nested lists of numbers of Python, or one such number for an array without axes."""
    return lambda array: array.astype(dtype).tolist()


def _scalars(dtype: str) -> Callable[[np.ndarray], Any]:
    """Lists of numbers of NumPy, or one such number."""
    return lambda array: array.astype(dtype)[()] if not array.ndim else list(array.astype(dtype))


def _of_numpy(number: int | float) -> Any:
    return np.float32(number) if isinstance(number, float) else np.int64(number)


def _whole_of_python(number: int | float) -> Any:
    return int(number) if float(number).is_integer() else number


FORMS = {
    "int32": Form(_typed("i4"), _typed("i4"), _typed("i4"), _of_numpy),
    "int64": Form(_typed("i8"), _typed("i8"), _typed("i8"), np.asarray),
    "uint8": Form(_typed("u1"), _typed("u1"), lambda mask: 255 * mask.astype("u1"), _of_numpy),
    "uint16": Form(_typed("u2"), _typed("u2"), _typed("u2")),
    "uint64": Form(_typed("u8"), _typed("u8"), _typed("u8")),
    "float64": Form(_typed("f8"), _typed("i8"), _typed("?"), _of_numpy),
    "lists of whole numbers": Form(_list("i8"), _list("i8"), _list("i8"), _whole_of_python),
    "lists of floats": Form(_list("f8"), _list("i8"), _list("?")),
    "numbers of NumPy": Form(_scalars("u1"), _scalars("u1"), _scalars("?"), _of_numpy),
    "whole numbers of JAX": Form(
        *[lambda array, dtype=dtype: jnp.asarray(array, dtype) for dtype in ("uint8", "uint8", "int32")]
    ),
}
"""All of these are taken."""
DOUBTFUL = {
    "floats for indices and masks": (Form(_typed("f4"), _typed("f4"), _typed("f4"), float), 255),
    "booleans": (Form(_typed("?"), _typed("?"), _typed("?")), 1),
}
"""These, with the largest number that they hold, are taken or refused."""


def _settings(value: Any, form: Form) -> Any:
    if isinstance(value, tuple):
        return [_settings(part, form) for part in value]
    return form.settings(value) if isinstance(value, (int, float)) else value


def _arguments(example: Example, form: Form, whole: dict[str, np.ndarray]) -> Example:
    """The example with arguments as a form gives them."""
    arrays = {}
    for name, array in whole.items():
        kinds = {"b": form.masks, "i": form.integers, "f": form.reals, "c": lambda array: array.tolist()}
        arrays[name] = kinds[array.dtype.kind](array)
    options = {
        name: form.settings(value) if isinstance(value, (int, float)) else _settings(value, form)
        for name, value in example.options.items()
    }
    return example._replace(arrays=arrays, options=options)


def _whole(example: Example) -> dict[str, np.ndarray]:
    """Sample 0 of every array, in whole numbers from 0 to 255."""
    sample = {name: np.asarray(array[0]) for name, array in example.arrays.items()}
    return {
        n: np.abs(np.rint(a)) if a.dtype.kind == "f" else np.abs(a) if a.dtype.kind == "i" else a
        for n, a in sample.items()
    }


def _right_types(whole: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    dtypes = {"b": "?", "i": "i4", "f": "f4", "c": "c8"}
    return {name: array.astype(dtypes[array.dtype.kind]) for name, array in whole.items()}


def _outcome(example: Example) -> list[np.ndarray] | str:
    """The numbers of the result, or the sentence of a refusal that names an argument and what is right."""
    try:
        result = call(example, example.arrays)
    except (ValueError, TypeError) as error:
        named = "|".join([*example.arrays, *example.options])
        sentence = str(error)
        if "\n" in sentence or not re.search(rf"\b({named})\b.*\b(must|holds)\b", sentence):
            raise
        return sentence
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


def _assert_same(found: list[np.ndarray], right: list[np.ndarray]) -> None:
    assert len(found) == len(right)
    for one, other in zip(found, right):
        np.testing.assert_allclose(one.astype(other.dtype), other, rtol=1e-6, atol=1e-6)


def _right(example: Example, whole: dict[str, np.ndarray]) -> list[np.ndarray] | str:
    return _outcome(example._replace(arrays=_right_types(whole)))


def _assert_same_or_refused(found: list[np.ndarray] | str, right: list[np.ndarray] | str) -> None:
    if not isinstance(found, str):
        assert not isinstance(right, str)
        _assert_same(found, right)


@pytest.fixture
def unchecked(monkeypatch):
    """Annotations are not enforced, as for users."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_numbers_of_any_type_give_what_float32_gives(name, unchecked):
    example, whole = EXAMPLES[name], _whole(EXAMPLES[name])
    right = _right(example, whole)
    assert not isinstance(right, str), right
    for form in FORMS.values():
        found = _outcome(_arguments(example, form, whole))
        assert not isinstance(found, str), found
        _assert_same(found, right)


@pytest.mark.parametrize("name", EXAMPLES)
def test_annotations_admit_arrays_of_any_type_and_lists(name):
    example, whole = EXAMPLES[name], _whole(EXAMPLES[name])
    for form in ("uint8", "lists of whole numbers"):
        call(example, _arguments(example, FORMS[form], whole).arrays)


@pytest.mark.parametrize("name", DIRECT)
def test_what_is_not_quite_such_a_number_is_taken_as_one_or_refused(name, unchecked):
    example, whole = EXAMPLES[name], _whole(EXAMPLES[name])
    for form, largest in DOUBTFUL.values():
        numbers = {n: np.minimum(a, largest) if a.dtype.kind in "if" else a for n, a in whole.items()}
        _assert_same_or_refused(_outcome(_arguments(example, form, numbers)), _right(example, numbers))


@pytest.mark.parametrize("name", DIRECT)
def test_single_numbers_are_taken_where_arrays_without_axes_are(name, unchecked):
    example = EXAMPLES[name]
    whole = {n: np.asarray(array.ravel()[0]) for n, array in _whole(example).items()}
    right = _right(example, whole)
    for form in ("lists of whole numbers", "numbers of NumPy"):
        found = _outcome(_arguments(example, FORMS[form], whole))
        assert isinstance(found, str) == isinstance(right, str)
        _assert_same_or_refused(found, right)


@pytest.mark.parametrize("name", DIRECT)
def test_whole_numbers_of_64_bits_keep_their_upper_half(name, unchecked):
    example, whole = EXAMPLES[name], _whole(EXAMPLES[name])
    large = {n: array * 2.0**40 if array.dtype.kind == "f" else array for n, array in whole.items()}
    right = _right(example, large)
    for form in ("int64", "lists of whole numbers"):
        found = _outcome(_arguments(example, FORMS[form], large))
        assert not isinstance(found, str) or isinstance(right, str) or " is not between " in found
        _assert_same_or_refused(found, right)


@pytest.mark.parametrize("nonsense", ["1", [[1.0], [1.0, 2.0]], {1: 2}], ids=repr)
@pytest.mark.parametrize("name", DIRECT)
def test_what_is_no_number_is_refused_by_name(name, nonsense, unchecked):
    example = EXAMPLES[name]
    sample = _right_types(_whole(example))
    for argument in sample:
        assert isinstance(_outcome(example._replace(arrays={**sample, argument: nonsense})), str)
