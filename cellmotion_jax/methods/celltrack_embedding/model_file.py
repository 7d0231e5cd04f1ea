"""Model file of a tracking embedding, with the settings of its training that a tracker needs."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from cellmotion_jax.models.embedding import TrackingEmbedding
from cellmotion_jax.settings import NotNegative, Positive, Range, Settings
from cellmotion_jax.weights.model_file import ModelFormat


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EmbeddingModel(Settings):
    """A trained embedding with the settings of its training that a tracker needs."""

    network: TrackingEmbedding
    """The network."""
    variables: dict[str, Any]
    """``params`` of the network."""
    diameter: Positive
    """Diameter of a typical cell in grid pixels; see `methods.celltrack.grid.grid_zoom`."""
    window: Annotated[int, Range(8, 56)]
    """Side of the filter's window in grid pixels."""
    filter_sigma: Positive
    """Standard deviation of the Gaussian target of the filters, in grid pixels."""
    regularization: Positive
    """Lambda of the filters."""
    sharpness: NotNegative
    """Factor from response to log probability."""
    spread: Annotated[float, Range(0.1, 1e4)]
    """Standard deviation of a cell's position around the predicted one, in grid pixels."""


MODEL_FORMAT = ModelFormat(
    key="cellmotion_jax.tracking_embedding",
    model=EmbeddingModel,
    image_shape=lambda model: (4, 4, 1),
    layers=lambda model: 1,
)
save_model, load_model = MODEL_FORMAT.save, MODEL_FORMAT.load
