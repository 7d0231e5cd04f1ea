"""A trained tracking embedding with all that a tracker must do as the training did, and its file."""

from __future__ import annotations

import dataclasses
from typing import Any

from cellmotion_jax.models.embedding import TrackingEmbedding
from cellmotion_jax.weights.model_file import ModelFormat, restore


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EmbeddingModel:
    """A trained embedding with all that a tracker must do as the training did."""

    network: TrackingEmbedding
    """The network."""
    variables: dict[str, Any]
    """Its ``params``."""
    diameter: float
    """Grid pixels across a typical cell; see `methods.celltrack.grid.grid_zoom`."""
    window: int
    """Side of the filter's window in grid pixels."""
    filter_sigma: float
    """Standard deviation of the response that filters are taught, in grid pixels."""
    regularization: float
    """Lambda of the filters."""
    sharpness: float
    """What a response is multiplied by to be a log probability."""
    spread: float
    """Standard deviation of a cell's place around where it is expected, in grid pixels."""


MODEL_FORMAT = ModelFormat(
    key="cellmotion_jax.tracking_embedding",
    model=EmbeddingModel,
    decode={"network": lambda described: restore(TrackingEmbedding, described)},
    image_shape=lambda model: (4, 4, 1),
)
save_model, load_model = MODEL_FORMAT.save, MODEL_FORMAT.load
