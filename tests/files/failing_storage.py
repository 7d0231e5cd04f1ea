"""A storage that fails at a chosen call, and what there is on it."""

import contextlib
import itertools
import os

from cellmotion_jax.errors import OutputFailed

CALLS = ("open", "mkdir", "rename", "replace", "fsync", "pwrite", "ftruncate")


REAL_OPEN, REAL_MKDIR = os.open, os.mkdir


def reads(call, path, *others):
    """Whether a call needs no space."""
    if call is REAL_OPEN:
        return not others[0] & os.O_CREAT
    return call is REAL_MKDIR and os.path.isdir(path)


class Calls:
    count = 0
    failed = False


@contextlib.contextmanager
def fail_at(monkeypatch, number, code):
    """The call of that number which changes the storage fails with an error code."""
    calls = Calls()

    def failing(real):
        def call(*arguments, **options):
            if reads(real, *arguments):
                return real(*arguments, **options)
            calls.count += 1
            if calls.count == number:
                calls.failed = True
                raise OSError(code, os.strerror(code))
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, failing(getattr(os, name)))
        yield calls


def failures_at_every_call(monkeypatch, code, write):
    """The errors of ``write``, whose first, second, third ... call fails, until it makes no more calls."""
    for number in itertools.count(1):
        with fail_at(monkeypatch, number, code) as calls:
            try:
                write()
            except OutputFailed as error:
                failure = error
            else:
                assert not calls.failed
                return
        yield failure


def tree(folder):
    """Contents of all files by name, and None for empty folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file():
            found[name] = path.read_bytes().decode()
        elif not any(path.iterdir()):
            found[name] = None
    return found
