"""Folders that are made for what is written."""

from __future__ import annotations

import pathlib

from cellmotion_jax.errors import InputError


def refuse_full_folder(folder: pathlib.Path) -> None:
    """Leaves what is there alone: a folder to write is absent or empty.

    Raises:
        InputError: If it is neither.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; give a folder that can be made.")
