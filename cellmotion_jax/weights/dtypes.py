"""Conversion of number types in weight files to those of NumPy."""

from __future__ import annotations

import pathlib

import numpy as np
from jaxtyping import Float32, Shaped, UInt16

from cellmotion_jax.errors import InputError
from cellmotion_jax.weights.refusals import plain, quoted

_WIDEST = 8  # Bytes of a number: the types beyond float64 differ from machine to machine.


def widen_bfloat16(bits: UInt16[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Exact float32 values of bfloat16 numbers, which are the upper halves of float32 numbers.

    Args:
        bits: The bit patterns.

    Returns:
        The values; every NaN stays the NaN it is.
    """
    return (bits.astype(np.uint32) << 16).view(np.float32)


def as_numbers(
    array: Shaped[np.ndarray, "..."], *, name: str, path: pathlib.Path
) -> Shaped[np.ndarray, "..."]:
    """An array in the machine's byte order, of bool, integers or real numbers.

    NumPy and HDF5 have no bfloat16 and keep it as two bytes without a meaning (``V2``); nothing else that
    libraries write as weights has this type, so it is read as bfloat16.

    Args:
        array: Array from a file.
        name: Name of the array in the file.
        path: The file.

    Returns:
        The same values; bfloat16 as float32.

    Raises:
        InputError: If the array holds text, objects, records, complex numbers, or numbers beyond float64.
    """
    if array.dtype.str == "|V2":
        return widen_bfloat16(array.view("<u2"))
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > _WIDEST:
        raise InputError(
            f"{path} holds {quoted(name)} of type {plain(str(array.dtype))}; weights are real numbers."
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)
