"""Features for correlation filters from a trained tracking embedding."""

from __future__ import annotations

from typing import Any

import flax.struct
from jaxtyping import Array, Float

from cellmotion_jax.methods.celltrack_embedding.model_file import EmbeddingModel
from cellmotion_jax.models.embedding import TrackingEmbedding
from cellmotion_jax.tracking.features import DenseFeatures, Maps


@flax.struct.dataclass
class EmbeddingFeatures(DenseFeatures):
    """Learned features of a frame and evidence for centres of cells; see `tracking.features.Features`."""

    network: TrackingEmbedding = flax.struct.field(pytree_node=False)
    """The network; it is a static part of the compiled program."""
    params: Any
    """Parameters of the network."""
    with_intensity: bool = flax.struct.field(pytree_node=False)
    """Whether compressed intensities are a second level, with its own filter."""

    @property
    def compressed(self) -> bool:
        """Frames are given compressed, as in training."""
        return True

    @property
    def strides(self) -> tuple[int, ...]:
        """Every level has the resolution of the grid."""
        return (1, 1) if self.with_intensity else (1,)

    def prepare(self, frame: Float[Array, "y x"]) -> Maps:
        """Features of a compressed frame on the grid (`methods.celltrack.grid.grid_frame`)."""
        image = frame[..., None]
        maps: Any = self.network.apply({"params": self.params}, image[None], train=False)
        levels = (maps.features[0], image)[: len(self.strides)]
        return Maps(levels, None if maps.centre is None else maps.centre[0])


def embedding_features(model: EmbeddingModel, *, with_intensity: bool) -> EmbeddingFeatures:
    """Features of a trained embedding.

    Args:
        model: Model from `load_model`.
        with_intensity: See `EmbeddingFeatures.with_intensity`.

    Returns:
        The features.
    """
    return EmbeddingFeatures(
        network=model.network, params=model.variables["params"], with_intensity=with_intensity
    )
