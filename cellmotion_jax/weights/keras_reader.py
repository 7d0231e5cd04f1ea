"""The program that reads a Keras file in a process of its own; see `keras_files`."""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np
from jaxtyping import Shaped
from safetensors.numpy import save

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.archive import open_archive
from cellmotion_jax.weights.formats import Format, file_format
from cellmotion_jax.weights.hdf5 import open_hdf5
from cellmotion_jax.weights.keras_files import NAMES, REFUSED
from cellmotion_jax.weights.keras_legacy import is_legacy, read_legacy
from cellmotion_jax.weights.keras_v3 import read_keras_archive, read_weights_h5
from cellmotion_jax.weights.refusals import damaged


def main(source: str, seconds: str, memory: str) -> None:
    """Writes the weights in a Keras file to the standard output, as safetensors.

    Args:
        source: An HDF5 or ``.keras`` file.
        seconds: Time of the processor after which this process is ended.
        memory: Bytes of address space that it may use.
    """
    _limit(int(seconds), int(memory))
    path = pathlib.Path(source)
    try:
        # C order: safetensors writes the bytes as they lie in memory, and the tensors in an order of its own.
        tensors = {name: np.asarray(tensor, order="C") for name, tensor in _read(path).items()}
        answer = save(tensors, {NAMES: json.dumps(list(tensors))})
    except InputError as error:
        answer = _refused(str(error))
    except MemoryError:
        answer = _refused(f"{path} needs more than {int(memory) >> 20} MiB to be read, so it is damaged.")
    except Exception as error:  # Of h5py for what its library trusted; nothing else happens here.
        answer = _refused(str(damaged(path, error)))
    sys.stdout.buffer.write(answer)


def _read(path: pathlib.Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    if file_format(path) is Format.zip:
        with open_archive(path) as archive:
            return read_keras_archive(path, archive)
    with open_hdf5(path) as file:
        return read_legacy(path, file) if is_legacy(file) else read_weights_h5(path, file)


def _refused(sentence: str) -> bytes:
    return save({}, {REFUSED: sentence.encode(errors="backslashreplace").decode()})


def _limit(seconds: int, memory: int) -> None:
    """Limits time and memory of this process, where the system can."""
    try:
        import resource
    except ImportError:  # Windows.
        return
    limits = {resource.RLIMIT_CPU: seconds, resource.RLIMIT_AS: memory, resource.RLIMIT_CORE: 0}
    for kind, most in limits.items():
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (allowed, hard))
        except (OSError, ValueError):  # macOS knows this limit, but may refuse to set it.
            continue
