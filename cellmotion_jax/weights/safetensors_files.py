"""safetensors files: a JSON header with names, types, shapes and offsets, then the bytes."""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float32, Shaped
from safetensors.numpy import save

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.input_files import parse_json, refusal
from cellmotion_jax.weights.dtypes import widen_bfloat16
from cellmotion_jax.weights.formats import LARGEST_HEADER, Format, file_format
from cellmotion_jax.weights.refusals import damaged, quoted

_DTYPES = {
    "BOOL": "?",
    "U8": "<u1",
    "I8": "<i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",
    "F32": "<f4",
    "F64": "<f8",
}
_WANTED = "a safetensors file, as `cellmotion train` and `cellmotion import-weights` write"
_MOST_AXES = 32
_LENGTH = 8  # Bytes of the length of the header, which begins the file.


class Entry(NamedTuple):
    """What a header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    """Of its bytes, counted from the end of the header."""
    stop: int


class Header(NamedTuple):
    """Header of a file; its entries were checked to lie one after another and to fill the file."""

    tensors: dict[str, Entry]
    metadata: dict[str, str]
    end: int
    """Where the header ends in the file and the bytes of the tensors begin."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor."""
        return {name: entry.shape for name, entry in self.tensors.items()}


def read_header(path: str | os.PathLike[str]) -> Header:
    """Reads the header of a safetensors file; no tensor is read.

    Args:
        path: The file.

    Returns:
        The header.

    Raises:
        InputError: If the file is absent, damaged, of another format, or holds a tensor of a type that NumPy
            lacks, such as an 8-bit float.
    """
    path = pathlib.Path(path)
    with _opened(path) as file:
        return _header_of(path, file)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads the metadata of a safetensors file.

    Args:
        path: The file.

    Returns:
        Text by key, empty if the file has none.

    Raises:
        InputError: As `read_header`.
    """
    return read_header(path).metadata


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads all tensors of a safetensors file; bfloat16 becomes float32.

    The bytes are interpreted here, not by ``safetensors.numpy``, which has no bfloat16. They are read once,
    and the tensors are read-only views of them.

    Args:
        path: The file.

    Returns:
        The tensors by name.

    Raises:
        InputError: As `read_header`.
    """
    path = pathlib.Path(path)
    with _opened(path) as file:
        header = _header_of(path, file)
        return _tensors_of(path, header, file.read())


def read_variables(path: str | os.PathLike[str]) -> dict[str, Float32[np.ndarray, "..."]]:
    """Reads the variables of a network from a file of this library, which are finite float32 numbers.

    Args:
        path: The file.

    Returns:
        The tensors by name.

    Raises:
        InputError: As `read_header`; or if a tensor, which is named, has another type, or holds NaN or
            infinite values.
    """
    path = pathlib.Path(path)
    with _opened(path) as file:
        header = _header_of(path, file)
        for name, entry in header.tensors.items():
            if entry.dtype != "F32":
                raise InputError(
                    f"{path} holds {quoted(name)} of type {entry.dtype}; the weights of a network are "
                    "written as float32 (F32), and nothing else is taken."
                )
        tensors = _tensors_of(path, header, file.read())
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise InputError(
                f"{path} holds {quoted(name)} with values that are NaN or infinite; the training that wrote "
                "it diverged, or the file was altered."
            )
    return tensors


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Shaped[np.ndarray, "..."]],
    *,
    metadata: Mapping[str, str],
) -> None:
    """Writes a safetensors file that is either complete or as it was before.

    ``safetensors.numpy.save_file`` would make a file that only its owner may read, whatever the umask says.

    Args:
        path: The file, replaced if it exists.
        tensors: The tensors by name.
        metadata: Text by key.
    """
    # C order: safetensors writes the bytes as they lie in memory.
    contents = save(
        {name: np.asarray(it, order="C") for name, it in tensors.items()}, metadata=dict(metadata)
    )
    with written_beside(path) as partial:
        partial.write_bytes(contents)


def parse_safetensors(contents: bytes, *, path: pathlib.Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensors and metadata of a safetensors file in memory.

    Args:
        contents: The file.
        path: The file that they are from, for messages.

    Returns:
        The tensors by name, views of the contents, and the metadata.

    Raises:
        InputError: If they are damaged.
    """
    end = _LENGTH + int.from_bytes(contents[:_LENGTH], "little")
    header = _checked(path, contents[_LENGTH:end], end=end, size=len(contents) - end)
    return _tensors_of(path, header, memoryview(contents)[end:]), header.metadata


def _opened(path: pathlib.Path) -> BinaryIO:
    kind = file_format(path, what=_WANTED)
    if kind is not Format.safetensors:
        raise InputError(f"{path} is {kind.value}; it should be {_WANTED}.")
    try:
        return path.open("rb")
    except OSError as error:
        raise refusal(path, error, what=_WANTED) from error


def _header_of(path: pathlib.Path, file: BinaryIO) -> Header:
    end = _LENGTH + int.from_bytes(file.read(_LENGTH), "little")
    return _checked(path, file.read(end - _LENGTH), end=end, size=path.stat().st_size - end)


def _checked(path: pathlib.Path, text: bytes, *, end: int, size: int) -> Header:
    """The header in `text`; the tensors have `size` bytes."""
    if size < 0 or end > _LENGTH + LARGEST_HEADER:
        raise damaged(path, "its header is longer than the file")
    try:
        decoded = text.decode()
        entries = parse_json(decoded, source=str(path))
        json.loads(decoded, object_pairs_hook=_once)
        metadata = entries.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(it, str) for it in metadata.values()):
            raise ValueError("its metadata are no text")
        tensors = {name: _entry(path, name, entry) for name, entry in entries.items()}
        "".join((*tensors, *metadata, *metadata.values())).encode()  # Refuses halves of UTF-16 pairs.
        place = 0
        for entry in sorted(tensors.values(), key=lambda entry: (entry.start, entry.stop)):
            if entry.start != place:
                raise ValueError("its tensors overlap or leave bytes out")
            place = entry.stop
        if place != size:
            raise ValueError(f"its header tells of {place} bytes, but {size} are there")
    except InputError:
        raise
    except ValueError as error:
        raise damaged(path, error) from error
    return Header(tensors, metadata, end)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(once := dict(pairs)) < len(pairs):
        raise ValueError("its header gives a name twice")
    return once


def _entry(path: pathlib.Path, name: str, entry: Any) -> Entry:
    try:
        dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"it does not say type, shape and place of {quoted(name)}") from error
    if not all(type(number) is int and 0 <= number < 2**63 for number in (*shape, start, stop)):
        raise ValueError(f"shape or place of {quoted(name)} are no counts")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise InputError(
            f"{path} holds {quoted(name)} of type {quoted(dtype)[1:-1]}; save it as float32, float16 or "
            "bfloat16."
        )
    if len(shape) > _MOST_AXES or math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize != stop - start:
        raise ValueError(f"the bytes of {quoted(name)} are not as many as its shape says")
    return Entry(dtype, shape, start, stop)


def _tensors_of(
    path: pathlib.Path, header: Header, data: bytes | memoryview
) -> dict[str, Shaped[np.ndarray, "..."]]:
    tensors = {}
    for name, entry in header.tensors.items():
        run = memoryview(data)[entry.start : entry.stop]
        if len(run) < entry.stop - entry.start:
            raise damaged(path, "it was cut off while it was read")
        flat = np.frombuffer(run, _DTYPES[entry.dtype]).reshape(entry.shape)
        tensors[name] = widen_bfloat16(flat) if entry.dtype == "BF16" else flat
    return tensors
