"""Trained cell models as one file: tensors as safetensors, everything else as JSON in its metadata."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.files import written_beside
from cellmotion_jax.inference.cells import CellModel
from cellmotion_jax.inference.detection import DetectionSettings
from cellmotion_jax.models.deep_distance import DeepDistance, Task
from cellmotion_jax.weights.convert import MODEL_KEY
from cellmotion_jax.weights.fitting import misfits, some_names, variable_shapes
from cellmotion_jax.weights.safetensors_files import read_metadata, read_safetensors

CELL_MODEL_KEY = "cellmotion_jax.cell_model"
NETWORK_FIELDS = ("base_width", "depth", "dropout", "batch_norm", "compress", "cascaded")
NUMBERS = ("channels", "shrink", "cell_diameter", "boundary_width", "area_threshold")


def save_cell_model(path: str | os.PathLike[str], model: CellModel) -> None:
    """Writes a model to a safetensors file, replaced if it exists.

    Tensors are float32 and named ``params/...`` and ``batch_stats/...``. The compute type of the network is
    not kept: it belongs to the machine that trained.

    Args:
        path: The file.
        model: What to write.
    """
    flat = flax.traverse_util.flatten_dict(jax.device_get(model.variables), sep="/")
    # C order: safetensors writes the bytes as they lie in memory.
    tensors = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in flat.items()}
    described = {
        "network": {"tasks": [task.value for task in model.network.tasks]}
        | {name: getattr(model.network, name) for name in NETWORK_FIELDS},
        "detection": dataclasses.asdict(model.detection),
    } | {name: getattr(model, name) for name in NUMBERS}
    with written_beside(path) as partial:
        save_file(tensors, partial, metadata={CELL_MODEL_KEY: json.dumps(described)})


def load_cell_model(path: str | os.PathLike[str]) -> CellModel:
    """Reads what :func:`save_cell_model` wrote; nothing in the file is ever run.

    Args:
        path: The file.

    Returns:
        The model, its variables on the default device.

    Raises:
        InputError: If the file is absent, damaged or no safetensors file, holds something else than a cell
            model, or does not fit the networks of this version.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path} is no file; give the model.safetensors that training writes.")
    metadata = read_metadata(path)
    if CELL_MODEL_KEY not in metadata:
        imported = metadata.get(MODEL_KEY)
        held = f"the weights of the backbone {imported}" if imported else "tensors of another origin"
        raise InputError(
            f"{path} holds {held}, not a cell model; give the model.safetensors that training writes."
        )
    try:
        described = json.loads(metadata[CELL_MODEL_KEY])
        settings = dict(described["network"])
        tasks = tuple(Task(name) for name in settings.pop("tasks"))
        # A default that stood in for a field of another version would change what the model finds.
        known = {field.name for field in dataclasses.fields(DetectionSettings)}
        if differing := (set(settings) ^ set(NETWORK_FIELDS)) | (set(described["detection"]) ^ known):
            raise KeyError(*sorted(differing))
        network = DeepDistance(tasks=tasks, **settings)
        detection = DetectionSettings(**described["detection"])
        numbers = {name: described[name] for name in NUMBERS}
        expected = variable_shapes(network, (network.multiple, network.multiple, numbers["channels"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} describes a cell model that this version cannot build ({error!r}); train it again."
        ) from error
    tensors = read_safetensors(path)
    differing = misfits(tensors, expected)
    if differing:
        raise InputError(f"{path} does not fit the network it describes ({some_names(differing)}).")
    variables = flax.traverse_util.unflatten_dict(
        {name: jnp.asarray(tensor) for name, tensor in tensors.items()}, sep="/"
    )
    return CellModel(network=network, variables=variables, detection=detection, **numbers)
