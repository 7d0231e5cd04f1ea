"""Compiled programs kept from one run for the next."""

from __future__ import annotations

import os
import pathlib

import jax


def enable_compilation_cache() -> None:
    """Lets the next run of the same program start without compiling it again.

    Not on a CPU: compiling takes seconds there, and XLA warns of every program it loads that it may
    crash on this machine, which it would on another one that shares the home folder.
    """
    if jax.default_backend() == "cpu":
        return
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "cellmotion_jax" / "xla"
    jax.config.update("jax_compilation_cache_dir", str(cache))
