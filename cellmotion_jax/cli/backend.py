"""The devices that JAX computes on, and the cache on disk for programs that were compiled for them."""

from __future__ import annotations

import os
import pathlib

import jax

from cellmotion_jax.errors import InputError


def prepare_backend() -> None:
    """Finds the devices, and turns on JAX's compilation cache, so that the next run need not compile again.

    No cache on a CPU: compiling takes seconds there, and XLA warns of every program it loads that it may
    crash on this machine, which it would on another one that shares the home folder.

    Raises:
        InputError: If JAX_PLATFORMS names a kind of device that this machine or this installation lacks.
    """
    try:
        backend = jax.default_backend()
    # An AssertionError is what jax raises where its plugin for a GPU is not installed.
    except (RuntimeError, AssertionError) as error:
        wanted = os.environ.get("JAX_PLATFORMS", "")
        raise InputError(
            f"JAX_PLATFORMS is {wanted!r}, but JAX finds no such device here; unset it, set it to cpu, or "
            "install jax for that device."
        ) from error
    if backend == "cpu":
        return
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "cellmotion_jax" / "xla"
    jax.config.update("jax_compilation_cache_dir", str(cache))
