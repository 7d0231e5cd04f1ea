"""Reading of the tensors of a weight file in any of the usual formats, as NumPy arrays by name."""

from __future__ import annotations

import os
import pathlib
import struct
import zipfile
import zlib

import numpy as np
import safetensors
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.archive import open_archive, read_npz
from cellmotion_jax.weights.hdf5 import open_hdf5
from cellmotion_jax.weights.keras_legacy import is_legacy, read_legacy
from cellmotion_jax.weights.keras_v3 import read_keras_archive, read_weights_h5
from cellmotion_jax.weights.safetensors_files import read_safetensors
from cellmotion_jax.weights.torch_files import read_torch_archive, read_torch_legacy

_FORMATS = "Keras .h5, .weights.h5 or .keras, torch .pth, safetensors or .npz"
# What h5py, zipfile, json, NumPy and safetensors raise on files that are cut off or overwritten.
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
    safetensors.SafetensorError,
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
        InputError: If the file is absent, damaged, of another format, holds code or nothing at all, or if
            names are missing or given twice.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; the weights should be one file ({_FORMATS}).")
    try:
        with path.open("rb") as file:
            head = file.read(16)
        tensors = _read(path, head)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; it should be a file of weights ({_FORMATS}).") from error
    except _DAMAGE as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path} is truncated or damaged ({said}); copy it again from where it came."
        ) from error
    if not tensors:
        raise InputError(f"{path} holds no tensors; save the weights of a trained network.")
    return tensors


def _read(path: pathlib.Path, head: bytes) -> dict[str, Shaped[np.ndarray, "..."]]:
    if not head:
        raise InputError(f"{path} is empty; copy it again from where it came.")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _read_hdf5(path)
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path)
    # A pickle of protocol 2 or later names its protocol first.
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return read_torch_legacy(path)
    # The length of a JSON header, at most the 100 MB that the format allows, and the header's first letter.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= 100_000_000:
        return read_safetensors(path)
    raise InputError(f"{path} is no file of weights that can be read; right are {_FORMATS}.")


def _read_hdf5(path: pathlib.Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    with open_hdf5(path) as file:
        return read_legacy(path, file) if is_legacy(file) else read_weights_h5(path, file)


def _read_zip(path: pathlib.Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    with open_archive(path) as archive:
        members = archive.namelist()
        if {"config.json", "model.weights.h5"} <= set(members):
            return read_keras_archive(path, archive)
        if any(name.rpartition("/")[2] == "data.pkl" for name in members):
            return read_torch_archive(path, archive)
        if all(name.endswith(".npy") for name in members):
            return read_npz(path, archive)
    raise InputError(f"{path} is a zip archive, but not of weights; right are {_FORMATS}.")
