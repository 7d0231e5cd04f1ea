"""Reading of state dicts that ``torch.save`` wrote, without torch and without running code of the file.

Since torch 1.6 they are zip archives of a pickle and one member per storage; before, a row of pickles with
the storages after them. Both are read.
"""

from __future__ import annotations

import io
import math
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.dtypes import widen_bfloat16
from cellmotion_jax.weights.inert_pickle import DTYPES, Storage, Tensor, load
from cellmotion_jax.weights.refusals import MOST_NAMED, quoted

_MAGIC = 0x1950A86A20F9469CFC6C
_ADVICE = "save a state dict with torch.save(model.state_dict(), PATH)."
# What training loops call the weights of the network among other things that they save.
_USUAL_NAMES = ("state_dict", "model_state_dict", "model", "params")


def read_torch_archive(path: pathlib.Path, archive: zipfile.ZipFile) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads a ``.pth`` or ``.pt`` file of torch 1.6 or later; only the storages of the weights are read.

    Args:
        path: The file.
        archive: The same, open, with a member ``.../data.pkl``.

    Returns:
        The tensors by name, read-only and possibly views of one another as they were in torch; bfloat16
        as float32, all other types as they are.

    Raises:
        InputError: If the pickle holds anything but tensors and harmless settings, if there is not exactly
            one candidate for the state dict, or if a tensor is larger than its storage or reaches beyond it.
    """
    members = set(archive.namelist())
    pickle = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
    folder = pickle.removesuffix("data.pkl")
    order = archive.read(f"{folder}byteorder").decode() if f"{folder}byteorder" in members else "little"
    value = load(io.BytesIO(archive.read(pickle)), path=path).value
    return _tensors(
        path, value, lambda storage: archive.read(f"{folder}data/{storage.key}"), big_endian=order == "big"
    )


def read_torch_legacy(path: pathlib.Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads a ``.pth`` or ``.pt`` file from before torch 1.6.

    Args:
        path: The file, which begins as a pickle does.

    Returns:
        As `read_torch_archive`.

    Raises:
        InputError: As `read_torch_archive`, and if the file is a pickle that torch did not write.
    """
    with path.open("rb") as stream:
        if load(stream, path=path).value != _MAGIC:
            raise InputError(f"{path} is a pickle, which is never run; {_ADVICE}")
        load(stream, path=path)  # the version of the format, of which there is one
        system = load(stream, path=path).value
        value, storages = load(stream, path=path)
        keys = load(stream, path=path).value
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise TypeError("its list of the numbers of tensors is none")
        runs = {key: _next_run(stream, path, storages[key]) for key in keys}
    return _tensors(path, value, lambda storage: runs[storage.key], big_endian=not system["little_endian"])


def _next_run(stream: io.BufferedReader, path: pathlib.Path, storage: Storage) -> bytes:
    """The bytes of one storage, after their number of elements."""
    count = int.from_bytes(stream.read(8), "little")
    size = count * np.dtype(DTYPES[storage.kind]).itemsize
    if count != storage.length or size > path.stat().st_size - stream.tell():
        raise EOFError(f"storage {storage.key} should have {storage.length} numbers")
    return stream.read(size)


def _tensors(
    path: pathlib.Path, value: Any, read: Callable[[Storage], bytes], *, big_endian: bool
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of the state dict in `value`; every storage is read and converted once."""
    runs: dict[Storage, np.ndarray] = {}
    tensors = {}
    for name, tensor in _state_dict(path, value).items():
        if tensor.storage not in runs:
            runs[tensor.storage] = _numbers(read(tensor.storage), tensor.storage.kind, big_endian=big_endian)
        tensors[name] = _view(path, name, tensor, runs[tensor.storage])
    return tensors


def _numbers(run: bytes, kind: str, *, big_endian: bool) -> Shaped[np.ndarray, " number"]:
    """The numbers of a storage in the machine's byte order."""
    dtype = np.dtype(DTYPES[kind]).newbyteorder(">" if big_endian else "<")
    numbers = np.frombuffer(run, dtype).astype(dtype.newbyteorder("="), copy=False)
    if kind == "BFloat16Storage":
        return widen_bfloat16(numbers)
    # Any other byte than 0 is true, but not to NumPy's own bool.
    return numbers != 0 if kind == "BoolStorage" else numbers


def _view(
    path: pathlib.Path, name: str, tensor: Tensor, numbers: Shaped[np.ndarray, " number"]
) -> Shaped[np.ndarray, "..."]:
    """A strided view of a storage, after a check that it stays inside.

    A tensor with more elements than its storage, which ``torch.expand`` makes, is refused as well: copied
    by an unwary reader it could fill the memory.
    """
    shape, strides = tensor.shape, tensor.strides
    count = math.prod(shape)
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(shape, strides)) if count else 0
    if count > numbers.size or last >= max(numbers.size, 1):
        raise InputError(
            f"{path} holds {quoted(name)} of shape {shape}, which does not fit into its {numbers.size} "
            "numbers; save contiguous tensors."
        )
    if not count:
        return np.empty(shape, numbers.dtype)
    steps = [stride * numbers.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], shape, steps, writeable=False)


def _state_dict(path: pathlib.Path, value: Any) -> dict[str, Tensor]:
    """The mapping of names to tensors, at the top or one level below."""
    entries = value.items() if isinstance(value, dict) else ()
    candidates = {str(key): entry for key, entry in entries if _has_tensors(entry)}
    if _has_tensors(value):
        candidates["(top level)"] = value
    usual = [name for name in _USUAL_NAMES if name in candidates]
    chosen = usual if len(usual) == 1 else list(candidates)
    if not candidates:
        raise InputError(f"{path} holds no mapping of names to tensors; {_ADVICE}")
    if len(chosen) > 1:
        raise InputError(
            f"{path} holds several state dicts ({', '.join(map(quoted, chosen[:MOST_NAMED]))}); save the "
            "wanted one alone."
        )
    tensors = {}
    for name, entry in candidates[chosen[0]].items():
        if isinstance(entry, Tensor):
            tensors[name] = entry
        elif type(entry) in (dict, list, tuple):
            raise InputError(
                f"{path} holds {quoted(name)} as a {type(entry).__name__}, not as a tensor; {_ADVICE}"
            )
    return tensors


def _has_tensors(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(key, str) for key in value)
        and any(isinstance(entry, Tensor) for entry in value.values())
    )
