"""Failures of the storage are told in one sentence, and others are left as they are."""

import errno
import os

import pytest

from cellmotion_jax.errors import OutputFailed
from cellmotion_jax.files.failures import failures_named


def chained(cause):
    try:
        try:
            raise cause
        except OSError as error:
            raise RuntimeError("the writer stopped") from error
    except RuntimeError as error:
        return error


def system(code, *names):
    return OSError(code, os.strerror(code), *names)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (system(errno.ENOSPC), "No space left on device; free some space"),
        (system(errno.EDQUOT, "/elsewhere"), "Disk quota exceeded; free some space"),
        (system(errno.EFBIG), "File too large; free some space"),
        (system(errno.EIO), "Input/output error; give a place"),
        (chained(system(errno.ENOSPC)), "No space left on device"),
        (ValueError("RESOURCE_EXHAUSTED: No space left on device [os_error_code='28']"), "No space left"),
        (system(errno.ENOENT, "/out/a/b.tif"), "/out/a/b.tif: No such file or directory"),
        (system(errno.EACCES, "/out/a"), "/out/a: Permission denied"),
    ],
)
def test_the_output_and_the_reason_are_named(tmp_path, error, said):
    with pytest.raises(OutputFailed) as refusal, failures_named("the result", (tmp_path / "/out").absolute()):
        raise error
    assert str(refusal.value).startswith(f"the result cannot be written: {said}")


@pytest.mark.parametrize(
    "error",
    [
        system(errno.EIO, "/movie/t000.tif"),
        system(errno.ENOENT, "/outer/a"),
        system(errno.ENOENT),
        ValueError("no"),
    ],
)
def test_what_concerns_an_input_or_is_a_defect_is_left_as_it_is(tmp_path, error):
    with pytest.raises(type(error)) as raised, failures_named("the result", (tmp_path / "/out").absolute()):
        raise error
    assert raised.value is error
