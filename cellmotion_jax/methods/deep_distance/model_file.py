"""Trained cell models as one file: tensors as safetensors, everything else as JSON in its metadata."""

from __future__ import annotations

import dataclasses
import os

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.deep_distance.cells import CellModel
from cellmotion_jax.methods.deep_distance.detection import DetectionSettings
from cellmotion_jax.models.deep_distance import DeepDistance, Task
from cellmotion_jax.weights.fitting import variable_shapes
from cellmotion_jax.weights.model_file import read_description, read_variables, write_variables

CELL_MODEL_KEY = "cellmotion_jax.cell_model"
NETWORK_FIELDS = ("base_width", "depth", "dropout", "batch_norm", "compress", "cascaded")
NUMBERS = ("channels", "downsample", "cell_diameter", "boundary_width", "area_threshold")


def save_cell_model(path: str | os.PathLike[str], model: CellModel) -> None:
    """Writes a model to a safetensors file, replaced if it exists.

    Tensors are float32 and named ``params/...`` and ``batch_stats/...``. The compute type of the network is
    not kept: it belongs to the machine that trained.

    Args:
        path: The file.
        model: What to write.
    """
    described = {
        "network": {"tasks": [task.value for task in model.network.tasks]}
        | {name: getattr(model.network, name) for name in NETWORK_FIELDS},
        "detection": dataclasses.asdict(model.detection),
    } | {name: getattr(model, name) for name in NUMBERS}
    write_variables(path, model.variables, key=CELL_MODEL_KEY, described=described)


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
    described = read_description(path, key=CELL_MODEL_KEY, what="a cell model")
    try:
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
    variables = read_variables(path, expected)
    return CellModel(network=network, variables=variables, detection=detection, **numbers)
