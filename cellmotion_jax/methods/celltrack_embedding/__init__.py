"""Features for the filters of `methods.celltrack`, trained through the filter (CFNet, 2017).

The filter is learned in closed form from one window of a cell, so that the gradient of the response in
another window reaches the features. In reading order:

- ``pairs``: two windows of one cell from an annotated movie.
- ``still_pairs``: pairs from single images, whose cells are moved and deformed at random.
- ``records``: storage of pairs, with random access.
- ``data``: the sources of pairs.
- ``augmentation``: random changes of pairs.
- ``objective``: cross entropy of the position that the filter finds.
- ``experiment``: training and test.
- ``evaluation``: localisation errors on held-out cells.
- ``model_file``: the trained network and its file.
- ``features``: the network as features for the tracker.

The network is `cellmotion_jax.models.embedding.TrackingEmbedding`.
"""

from cellmotion_jax.methods.celltrack_embedding.features import EmbeddingFeatures, embedding_features
from cellmotion_jax.methods.celltrack_embedding.model_file import EmbeddingModel, load_model, save_model
from cellmotion_jax.methods.celltrack_embedding.objective import EmbeddingObjective

__all__ = [
    "EmbeddingFeatures",
    "EmbeddingModel",
    "EmbeddingObjective",
    "embedding_features",
    "load_model",
    "save_model",
]
