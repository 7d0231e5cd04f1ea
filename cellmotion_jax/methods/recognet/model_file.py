"""A trained RecogNet with how what it sees is made of a frame, and its file."""

from __future__ import annotations

import dataclasses
from typing import Any

from cellmotion_jax.models.recognet import RecogNet
from cellmotion_jax.weights.model_file import ModelFormat, restore


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RecogNetModel:
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


MODEL_FORMAT = ModelFormat(
    key="cellmotion_jax.recognition_model",
    model=RecogNetModel,
    decode={
        "network": lambda described: restore(RecogNet, described, decode={"widths": tuple}),
        "names": tuple,
    },
    image_shape=lambda model: (model.window, model.window, 1),
)
save_model, load_model = MODEL_FORMAT.save, MODEL_FORMAT.load
