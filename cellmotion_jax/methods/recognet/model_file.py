"""A trained RecogNet and its file."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from cellmotion_jax.errors import InputError
from cellmotion_jax.models.recognet import RecogNet
from cellmotion_jax.weights.fitting import variable_shapes
from cellmotion_jax.weights.model_file import read_description, read_variables, write_variables

RECOGNITION_KEY = "cellmotion_jax.recognition_model"
NETWORK_FIELDS = ("nuclei", "widths", "dense_width", "dropout", "dense_dropout")
NUMBERS = ("mean", "scale", "window", "downsample")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RecognitionModel:
    """A network, and how what it sees is made of a frame.

    The frame is averaged over blocks of ``downsample`` pixels, standardised, and becomes
    ``(frame - mean) / scale``, of which windows are cut.
    """

    network: RecogNet
    """The module."""
    variables: dict[str, Any]
    """Its variables."""
    mean: float
    """Mean over the training windows, in standard deviations of a frame."""
    scale: float
    """What the training windows were divided by to lie between -1 and 1."""
    window: int
    """Side of the windows that the head was trained on."""
    downsample: int
    """Side of the blocks over which frames are averaged."""
    names: tuple[str, ...]
    """Movie and track of each nucleus that it tells apart; the network's further outputs stand for none."""


def save_recognition_model(path: str | os.PathLike[str], model: RecognitionModel) -> None:
    """Writes a model to a safetensors file, replaced if it exists.

    Args:
        path: The file.
        model: What to write. The compute type of its network is not kept.
    """
    network = {name: getattr(model.network, name) for name in NETWORK_FIELDS}
    numbers = {name: getattr(model, name) for name in NUMBERS}
    described = {"network": network, "names": model.names} | numbers
    write_variables(path, model.variables, key=RECOGNITION_KEY, described=described)


def load_recognition_model(path: str | os.PathLike[str]) -> RecognitionModel:
    """Reads what :func:`save_recognition_model` wrote.

    Args:
        path: The file.

    Returns:
        The model, its variables on the default device.

    Raises:
        InputError: If the file is absent, damaged or no safetensors file, holds something else, or does not
            fit the networks of this version.
    """
    described = read_description(path, key=RECOGNITION_KEY, what="a RecogNet")
    try:
        settings = {name: described["network"][name] for name in NETWORK_FIELDS}
        settings["widths"] = tuple(settings["widths"])
        network = RecogNet(**settings)
        numbers = {name: described[name] for name in NUMBERS}
        names = tuple(described["names"])
        expected = variable_shapes(network, (numbers["window"], numbers["window"], 1))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} describes a RecogNet that this version cannot build ({error!r}); train it again."
        ) from error
    return RecognitionModel(network=network, variables=read_variables(path, expected), names=names, **numbers)
