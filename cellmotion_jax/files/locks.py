"""Locks that keep two processes from writing to one place.

A lock is a hidden file that names its owner: process, host, time and command. The owner holds it by
``flock``, which the kernel releases however the process ends, on this host or, on a shared file system, on
another one. A file that nobody holds was left by a killed process. Where there is no ``flock``, the owner is
asked for by its number and the time of its start; one on another host counts as alive, and the user is told
which file to delete.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import interruption

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

Owner: TypeAlias = dict[str, Any]
"""Process, host, start and command of an owner, and what it notes for the next one."""
_WITHOUT_FLOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

_command: list[str] | None = None
_until_end = contextlib.ExitStack()


class Lock:
    """A lock that this process holds."""

    def __init__(self, path: pathlib.Path, descriptor: int, left: Owner) -> None:
        self.path = path
        self.left = left
        """Notes of a process that was killed while it held the lock; empty if there was none."""
        self._descriptor = descriptor
        try:
            # A completed result stays one until it has been dealt with.
            self.note(**({"complete": True, **self._command_of(left)} if left.get("complete") else {}))
        except OSError:
            if not left.get("complete"):
                path.unlink(missing_ok=True)
            raise

    def note(self, **notes: Any) -> None:
        """Writes who the owner is, with notes for the next one in case that this one is killed."""
        text = json.dumps(this_process() | notes).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)

    def left_complete_by_same_command(self) -> bool:
        """Whether the same command completed the result, and was killed before it could say so."""
        same = self._command_of(self.left) == self._command_of(this_process())
        return _command is not None and bool(self.left.get("complete")) and same

    def release(self) -> None:
        """Deletes the file, which releases the lock."""
        with contextlib.suppress(OSError):
            if _is_file(self.path, self._descriptor):
                self.path.unlink()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    @staticmethod
    def _command_of(owner: Owner) -> Owner:
        return {name: owner.get(name) for name in ("command", "folder")}


@contextlib.contextmanager
def locked(path: pathlib.Path, *, place: str) -> Iterator[Lock]:
    """Holds a lock.

    Args:
        path: The lock's file, in a folder that exists.
        place: What is locked, for the message.

    Yields:
        The lock.

    Raises:
        InputError: If another process holds it; the message names it.
        OSError: If the file cannot be written.
    """
    lock = _acquire(path, place)
    try:
        with interruption.undone_at_end(lock.release):
            yield lock
    finally:
        lock.release()


@contextlib.contextmanager
def command_runs(arguments: list[str]) -> Iterator[None]:
    """Within the block, locks name this command, and `close_at_end` waits for the end of the block."""
    global _command, _until_end
    with contextlib.ExitStack() as _until_end:
        _command = arguments
        try:
            yield
        finally:
            _command = None


def close_at_end(stack: contextlib.ExitStack) -> None:
    """Closes what an output was written in once the command has said that it is done."""
    if _command is None:
        stack.close()
    else:
        _until_end.push(stack.pop_all())


def this_process() -> Owner:
    """The description of this process."""
    return {
        "process": os.getpid(),
        "host": _host(),
        "started": _start(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": _command,
        "folder": os.getcwd(),
    }


def _acquire(path: pathlib.Path, place: str) -> Lock:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            by_kernel = _flock(descriptor)
            owner = _read(descriptor)
            if by_kernel is False or (by_kernel is None and _may_live(owner)):
                raise InputError(_busy(place, owner, path, certain=by_kernel is False))
            # Its last owner may have deleted it between the opening and the locking.
            if _is_file(path, descriptor):
                lock = Lock(path, descriptor, owner)
                if by_kernel is None:
                    _require_first(lock, descriptor, place)
                return lock
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _require_first(lock: Lock, descriptor: int, place: str) -> None:
    """Two processes may have written their notes at once; the last one is the owner."""
    time.sleep(0.2)
    owner = _read(descriptor)
    if (owner.get("host"), owner.get("process")) != (_host(), os.getpid()):
        raise InputError(_busy(place, owner, lock.path, certain=False))


def _flock(descriptor: int) -> bool | None:
    """Whether the lock was free; None where the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_FLOCK:
            raise
        return None
    return True


def _is_file(path: pathlib.Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> Owner:
    try:
        owner = json.loads(os.pread(descriptor, 1 << 16, 0))
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _may_live(owner: Owner) -> bool:
    """Whether the owner may still run; its number may have been given to another process since."""
    if not owner:
        return False
    if owner.get("host") != _host():
        return True
    process = owner.get("process")
    if not isinstance(process, int) or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # It runs, as another user.
    return _start(process) == owner.get("started")


def _host() -> str:
    # As `socket.gethostname`, whose module takes longer to import than all of ours.
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "this host")


def _start(process: int) -> str | None:
    """Time of the start of a process, in the kernel's units; None where the kernel does not tell it."""
    if sys.platform != "linux":
        return None
    try:
        # The name of the program, in parentheses, may hold anything.
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[19]


def _busy(place: str, owner: Owner, path: pathlib.Path, *, certain: bool) -> str:
    command = owner.get("command")
    words = " ".join(["cellmotion", *map(str, command)]) if isinstance(command, list) else ""
    named = f" ({words[:60]}{'...' if len(words) > 60 else ''})" if words else ""
    who = f"process {owner.get('process', 'unknown')} on {owner.get('host', 'this host')}{named}"
    since = f" since {owner['since']}" if "since" in owner else ""
    advice = "" if certain else f"; if it no longer runs, delete {path}"
    return f"{place} is being written by {who}{since}; wait for it, or give another place{advice}."
