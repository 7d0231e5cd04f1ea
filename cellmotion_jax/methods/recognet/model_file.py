"""Model file of a trained RecogNet, with the preprocessing of frames."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from cellmotion_jax.models.recognet import RecogNet
from cellmotion_jax.settings import Downsample, Positive, Range, Settings
from cellmotion_jax.weights.model_file import ModelFormat


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RecogNetModel(Settings):
    """A trained network with the preprocessing of frames.

    The frame is averaged over blocks of ``downsample`` pixels, standardised, and becomes
    ``(frame - mean) / scale``, from which windows are cut.
    """

    network: RecogNet
    """The module."""
    variables: dict[str, Any]
    """Variables of the network."""
    mean: float
    """Mean over the training windows, in standard deviations of a frame."""
    scale: Positive
    """Divisor that scaled the training windows to values between -1 and 1."""
    window: Annotated[int, Range(8, 2**12)]
    """Side of the windows that the head was trained on."""
    downsample: Downsample
    """Side of the blocks over which frames are averaged."""
    names: tuple[str, ...]
    """Movie and track of the nucleus of each class; further outputs of the network are not used."""


MODEL_FORMAT = ModelFormat(
    key="cellmotion_jax.recognition_model",
    model=RecogNetModel,
    image_shape=lambda model: (model.window, model.window, 1),
    layers=lambda model: len(model.network.widths),
)
save_model, load_model = MODEL_FORMAT.save, MODEL_FORMAT.load
