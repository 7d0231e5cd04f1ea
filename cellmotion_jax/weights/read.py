"""Reading of the tensors of a weight file in any of the usual formats, as NumPy arrays by name."""

from __future__ import annotations

import os
import pathlib
import struct
import zipfile
import zlib

import numpy as np
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.archive import open_archive, read_npz
from cellmotion_jax.weights.formats import READ, Format, file_format
from cellmotion_jax.weights.keras_files import KERAS_MEMBERS, read_keras
from cellmotion_jax.weights.refusals import damaged
from cellmotion_jax.weights.safetensors_files import read_safetensors
from cellmotion_jax.weights.torch_files import read_torch_archive, read_torch_legacy

# What zipfile, json and NumPy raise on files that are cut off or overwritten.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads the weights in a file; the format is detected from its contents, not its name.

    =================  ==========================================================================
    Keras              ``layer/tensor``: ``.h5`` of Keras 1 to 3, ``.weights.h5`` that records the names
                       of layers (Keras 3.6 or later), ``.keras``; the same names from all three. Optimiser
                       state is no weight and left out
    torch              names as in the state dict, which may lie at the top or one level below
    safetensors, npz   names as they are
    =================  ==========================================================================

    Values and types are those of the file, except that bfloat16, which NumPy lacks, becomes float32. No
    value of the file is run or unpickled, no other file is opened, and neither Keras nor torch is needed.
    The arrays may be read-only views.

    Args:
        path: The file.

    Returns:
        The tensors by name.

    Raises:
        InputError: If the file is absent, no ordinary file, damaged, of another format, holds code or nothing
            at all, announces far more than it has bytes, or if names are missing or given twice.
    """
    path = pathlib.Path(path)
    kind = file_format(path)
    try:
        tensors = _read(path, kind)
    except InputError:
        raise
    except _DAMAGE as error:
        raise damaged(path, error) from error
    if not tensors:
        raise InputError(f"{path} holds no tensors; save the weights of a trained network.")
    return tensors


def _read(path: pathlib.Path, kind: Format) -> dict[str, Shaped[np.ndarray, "..."]]:
    match kind:
        case Format.hdf5:
            return read_keras(path)
        case Format.zip:
            return _read_zip(path)
        case Format.pickle:
            return read_torch_legacy(path)
        case Format.safetensors:
            return read_safetensors(path)
        case Format.empty:
            raise InputError(f"{path} is empty; copy it again from where it came.")
    raise InputError(f"{path} is no file of weights that can be read, but {kind.value}; right are {READ}.")


def _read_zip(path: pathlib.Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    with open_archive(path) as archive:
        members = archive.namelist()
        if set(KERAS_MEMBERS) <= set(members):
            return read_keras(path)
        if any(name.rpartition("/")[2] == "data.pkl" for name in members):
            return read_torch_archive(path, archive)
        if all(name.endswith(".npy") for name in members):
            return read_npz(path, archive)
    raise InputError(f"{path} is a zip archive, but not of weights; right are {READ}.")
