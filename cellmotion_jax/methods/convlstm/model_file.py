"""Trained video models as one file: tensors as safetensors, everything else as JSON in its metadata."""

from __future__ import annotations

import dataclasses
import os

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.convlstm.foreground import VideoModel
from cellmotion_jax.methods.convlstm.instances import InstanceSettings
from cellmotion_jax.models.convlstm_unet import ConvLSTMUNet
from cellmotion_jax.weights.fitting import variable_shapes
from cellmotion_jax.weights.model_file import read_description, read_variables, write_variables

VIDEO_MODEL_KEY = "cellmotion_jax.video_model"
NETWORK_FIELDS = ("base_filters", "levels", "recurrent", "dropout")
NUMBERS = ("window", "downsample", "cell_diameter")


def save_video_model(path: str | os.PathLike[str], model: VideoModel) -> None:
    """Writes a model to a safetensors file, replaced if it exists; the compute type is not kept.

    Args:
        path: The file.
        model: What to write.
    """
    described = {
        "network": {name: getattr(model.network, name) for name in NETWORK_FIELDS},
        "instances": dataclasses.asdict(model.instances),
    }
    described |= {name: getattr(model, name) for name in NUMBERS}
    write_variables(path, model.variables, key=VIDEO_MODEL_KEY, described=described)


def load_video_model(path: str | os.PathLike[str]) -> VideoModel:
    """Reads what :func:`save_video_model` wrote; nothing in the file is ever run.

    Args:
        path: The file.

    Returns:
        The model, its variables on the default device.

    Raises:
        InputError: If the file is absent, damaged or no safetensors file, holds something else than a video
            model, or does not fit the networks of this version.
    """
    described = read_description(path, key=VIDEO_MODEL_KEY, what="a video model")
    try:
        settings, numbers = dict(described["network"]), {name: described[name] for name in NUMBERS}
        # A default that stood in for a field of another version would change what the model finds.
        known = {field.name for field in dataclasses.fields(InstanceSettings)}
        if differing := (set(settings) ^ set(NETWORK_FIELDS)) | (set(described["instances"]) ^ known):
            raise KeyError(*sorted(differing))
        network, instances = ConvLSTMUNet(**settings), InstanceSettings(**described["instances"])
        if not all(
            isinstance(numbers[name], int) and numbers[name] >= 1 for name in ("window", "downsample")
        ):
            raise ValueError("window and downsample are whole numbers from 1 on")
        expected = variable_shapes(network, (2, 32, 32, 1))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} describes a video model that this version cannot build ({error!r}); train it again."
        ) from error
    variables = read_variables(path, expected)
    return VideoModel(network=network, variables=variables, instances=instances, **numbers)
