"""A warm process that forks a child for every command line and reports how the child ended.

Run as a script: one request per line of the standard input, one report per line of the standard output, both
JSON. It imports every module of the library once, but starts no JAX backend, whose threads no fork survives.
A child is a session of its own with a private home, temporary folder and working directory.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import logging
import os
import pathlib
import pkgutil
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from typing import Any, NamedTuple

POLL_S = 0.005
# Looking at all processes costs more than waiting for one; 0.1 s are some 100 MB.
LOOK_S = 0.1
# Nothing of ours is as large; it protects the disk from whatever would be.
LARGEST_FILE = 4 * 2**30


# A process that has done nothing for so long waits for something that does not come.
IDLE_S = 12.0


class Usage(NamedTuple):
    """Processes of a session, the memory that they hold and the time that they have computed together."""

    processes: int
    bytes: int
    seconds: float


def warm_up() -> None:
    """Imports all modules of the library and what they import late, and nothing that starts a backend."""
    import cellmotion_jax

    for module in pkgutil.walk_packages(cellmotion_jax.__path__, "cellmotion_jax."):
        importlib.import_module(module.name)
    for name in ("PIL.Image", "h5py", "matplotlib.pyplot", "orbax.checkpoint", "pandas", "skimage.measure"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    programs = os.environ.get("FUZZ_PROGRAMS")
    if programs:
        import jax

        jax.config.update("jax_compilation_cache_dir", programs)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def serve() -> None:
    """Answers requests until the standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print while they are imported is no reply
    warm_up()
    print(json.dumps({"ready": len(os.listdir("/proc/self/task"))}), file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            replies.close()
            _run(request)
        print(json.dumps(_watch(child, request)), file=replies, flush=True)


def _run(request: dict[str, Any]) -> None:
    """The child: runs one command line as the `cellmotion` script would, and never returns."""
    os.setsid()
    folder = pathlib.Path(request["folder"])
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, folder / "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(name, flags, 0o644), number)
    os.environ.update(HOME=str(folder / "home"), TMPDIR=str(folder / "tmp"), COLUMNS="100")
    os.environ.pop("XDG_CACHE_HOME", None)
    tempfile.tempdir = None
    os.chdir(folder / "work")
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    sys.stdin = os.fdopen(0)
    sys.argv = ["cellmotion", *request["arguments"]]
    logging.root.handlers.clear()  # What imports have set up is set up by the command line otherwise
    code = 1
    try:
        from cellmotion_jax.cli import main

        main(request["arguments"])
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # What the interpreter does at its end, and where a process can hang or fail once more.
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _watch(child: int, request: dict[str, Any]) -> dict[str, Any]:
    """Waits for a child, and kills its session when it takes too long or too much memory.

    Its time is that of the processor: on a busy machine everything takes long.
    """
    start = busy = time.monotonic()
    stopped, peak, left, computed, looked = None, 0, 0, 0.0, start
    while True:
        ended, status, spent = os.wait4(child, os.WNOHANG)
        if ended:
            break
        time.sleep(POLL_S)
        if time.monotonic() - looked < LOOK_S:
            continue
        # Where everything was stopped for a while, the child did not wait.
        busy += max(time.monotonic() - looked - 10 * LOOK_S, 0)
        used, looked = usage(child), time.monotonic()
        peak = max(peak, used.bytes)
        if used.bytes > request["most_bytes"]:
            stopped = "memory"
        elif used.seconds > request["seconds"] or time.monotonic() - busy > IDLE_S:
            stopped = "hang"
        if used.seconds != computed:
            computed, busy = used.seconds, time.monotonic()
        if stopped:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
    peak = max(peak, spent.ru_maxrss * 1024)
    if stopped is None:
        left = usage(child).processes
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "stopped": stopped or ("memory" if peak > request["most_bytes"] else None),
        "left_processes": left,
        "peak_bytes": peak,
        "seconds": time.monotonic() - start,
    }


def usage(session: int) -> Usage:
    """What the processes of a session hold now."""
    processes = held = ticks = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        # Processes end while one looks at them.
        with contextlib.suppress(OSError):
            text = pathlib.Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
            fields = text.rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                processes += 1
                ticks += sum(map(int, fields[11:15]))  # Of itself and of its children that ended
                pages = int(pathlib.Path(entry.path, "statm").read_text().split()[1])
                held += pages * resource.getpagesize()
    return Usage(processes, held, ticks / os.sysconf("SC_CLK_TCK"))


if __name__ == "__main__":
    serve()
