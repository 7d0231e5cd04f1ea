"""Cache on disk for compiled programs, so that the next run need not compile them."""

from __future__ import annotations

import os
import pathlib

import jax


def enable_compilation_cache() -> None:
    """Turns on JAX's compilation cache, so that the next run of a program does not compile it again.

    Not on a CPU: compiling takes seconds there, and XLA warns of every program it loads that it may
    crash on this machine, which it would on another one that shares the home folder.
    """
    if jax.default_backend() == "cpu":
        return
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "cellmotion_jax" / "xla"
    jax.config.update("jax_compilation_cache_dir", str(cache))
