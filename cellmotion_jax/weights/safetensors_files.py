"""Reading of safetensors files: a JSON header with names, types, shapes and offsets, then the bytes."""

from __future__ import annotations

import pathlib

import numpy as np
import safetensors
from jaxtyping import Shaped

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.dtypes import widen_bfloat16

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


def read_safetensors(path: pathlib.Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads all tensors of a safetensors file; bfloat16 becomes float32.

    The bytes are interpreted here, not by ``safetensors.numpy``, which has no bfloat16.

    Args:
        path: The file.

    Returns:
        The tensors by name.

    Raises:
        InputError: If a tensor has a type that NumPy lacks, such as an 8-bit float.
        safetensors.SafetensorError: If the file is damaged.
    """
    tensors = {}
    for name, tensor in safetensors.deserialize(path.read_bytes()):
        if tensor["dtype"] not in _DTYPES:
            raise InputError(
                f"{path} holds {name!r} of type {tensor['dtype']}; save it as float32, float16 or bfloat16."
            )
        flat = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]])
        if tensor["dtype"] == "BF16":
            flat = widen_bfloat16(flat)
        tensors[name] = flat.reshape(tensor["shape"])
    return tensors


def read_metadata(path: pathlib.Path) -> dict[str, str]:
    """Reads the metadata of a safetensors file.

    Args:
        path: The file.

    Returns:
        Text by key, empty if the file has none.

    Raises:
        InputError: If the file is absent, damaged or not safetensors.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} is absent, truncated or no safetensors file ({error}).") from error
