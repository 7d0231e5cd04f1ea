"""Trained tracking embeddings as one file, and as features that correlation filters look at."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import flax.struct
from jaxtyping import Array, Float

from cellmotion_jax.errors import InputError
from cellmotion_jax.models.embedding import TrackingEmbedding
from cellmotion_jax.tracking.features import DenseFeatures, Maps
from cellmotion_jax.weights.fitting import variable_shapes
from cellmotion_jax.weights.model_file import read_description, read_variables, write_variables

EMBEDDING_KEY = "cellmotion_jax.tracking_embedding"
NETWORK_FIELDS = ("features", "base_width", "centre")
NUMBERS = ("diameter", "window", "filter_sigma", "regularization", "sharpness", "spread")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EmbeddingModel:
    """A trained embedding with all that a tracker must do as the training did."""

    network: TrackingEmbedding
    """The network."""
    params: Any
    """Its parameters."""
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

    def as_features(self, *, with_intensity: bool) -> EmbeddingFeatures:
        """The features of this model; see `EmbeddingFeatures.with_intensity`."""
        return EmbeddingFeatures(network=self.network, params=self.params, with_intensity=with_intensity)


@flax.struct.dataclass
class EmbeddingFeatures(DenseFeatures):
    """Learned features of a frame and evidence for centres of cells; see `tracking.features.Features`."""

    network: TrackingEmbedding = flax.struct.field(pytree_node=False)
    """The network; a frame is compiled for it."""
    params: Any
    """Its parameters."""
    with_intensity: bool = flax.struct.field(pytree_node=False)
    """Whether compressed intensities are a second level, with a filter of its own."""

    @property
    def compressed(self) -> bool:
        """Frames are given compressed, as in training."""
        return True

    @property
    def strides(self) -> tuple[int, ...]:
        """Every level is as fine as the grid."""
        return (1, 1) if self.with_intensity else (1,)

    def prepare(self, frame: Float[Array, "y x"]) -> Maps:
        """Features of a compressed frame on the grid (`methods.celltrack.grid.grid_frame`)."""
        image = frame[..., None]
        maps: Any = self.network.apply({"params": self.params}, image[None], train=False)
        levels = (maps.features[0], image)[: len(self.strides)]
        return Maps(levels, None if maps.centre is None else maps.centre[0])


def save_embedding(path: str | os.PathLike[str], model: EmbeddingModel) -> None:
    """Writes a model to a safetensors file, replaced if it exists; the compute type is not kept.

    Args:
        path: The file.
        model: What to write.
    """
    described = {"network": {name: getattr(model.network, name) for name in NETWORK_FIELDS}} | {
        name: getattr(model, name) for name in NUMBERS
    }
    write_variables(path, {"params": model.params}, key=EMBEDDING_KEY, described=described)


def load_embedding(path: str | os.PathLike[str]) -> EmbeddingModel:
    """Reads what `save_embedding` wrote; nothing in the file is ever run.

    Args:
        path: The file.

    Returns:
        The model, its parameters on the default device.

    Raises:
        InputError: If the file is absent, damaged or no safetensors file, holds something else than an
            embedding, or does not fit the network of this version.
    """
    described = read_description(path, key=EMBEDDING_KEY, what="a tracking embedding")
    try:
        # A default that stood in for a field of another version would change what the model finds.
        if differing := set(described["network"]) ^ set(NETWORK_FIELDS):
            raise KeyError(*sorted(differing))
        network = TrackingEmbedding(**described["network"])
        numbers = {name: described[name] for name in NUMBERS}
        expected = variable_shapes(network, (4, 4, 1))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} describes an embedding that this version cannot build ({error!r}); train it again."
        ) from error
    params = read_variables(path, expected)["params"]
    return EmbeddingModel(network=network, params=params, **numbers)
