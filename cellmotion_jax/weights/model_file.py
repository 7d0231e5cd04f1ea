"""Variables of a network and a description of it in one safetensors file; nothing in it is ever run."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.weights.convert import MODEL_KEY
from cellmotion_jax.weights.fitting import misfits, some_names
from cellmotion_jax.weights.safetensors_files import read_metadata, read_safetensors


def write_variables(
    path: str | os.PathLike[str], variables: Mapping[str, Any], *, key: str, described: Mapping[str, Any]
) -> None:
    """Writes variables as float32 tensors named ``params/...`` and ``batch_stats/...``.

    Args:
        path: The file, replaced if it exists.
        variables: Of a network.
        key: Under which the description stands in the metadata; it tells kinds of files apart.
        described: Everything else, as JSON can hold it.
    """
    flat = flax.traverse_util.flatten_dict(jax.device_get(dict(variables)), sep="/")
    # C order: safetensors writes the bytes as they lie in memory.
    tensors = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in flat.items()}
    with written_beside(path) as partial:
        save_file(tensors, partial, metadata={key: json.dumps(described)})


def read_description(path: str | os.PathLike[str], *, key: str, what: str) -> dict[str, Any]:
    """Reads what :func:`write_variables` wrote of a network besides its tensors.

    Args:
        path: The file.
        key: As it was written under.
        what: What the file should hold, for messages, such as "a cell model".

    Returns:
        The description.

    Raises:
        InputError: If the file is absent, damaged, no safetensors file, or holds something else.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path} is no file; give the model.safetensors that training writes.")
    metadata = read_metadata(path)
    if key not in metadata:
        imported = metadata.get(MODEL_KEY)
        held = f"the weights of the backbone {imported}" if imported else "tensors of another origin"
        raise InputError(f"{path} holds {held}, not {what}; give the model.safetensors that training writes.")
    try:
        return json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is damaged: its description cannot be read ({error}).") from error


def read_variables(path: str | os.PathLike[str], expected: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Reads the tensors of a file and holds their shapes against those of a network.

    Args:
        path: The file.
        expected: Shapes by path, see `cellmotion_jax.weights.fitting.variable_shapes`.

    Returns:
        Variables on the default device.

    Raises:
        InputError: If a tensor is missing, unknown or of another shape.
    """
    tensors = read_safetensors(pathlib.Path(path))
    differing = misfits(tensors, expected)
    if differing:
        raise InputError(f"{path} does not fit the network it describes ({some_names(differing)}).")
    return flax.traverse_util.unflatten_dict(
        {name: jnp.asarray(tensor) for name, tensor in tensors.items()}, sep="/"
    )
