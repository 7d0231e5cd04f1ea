"""Features for the correlation filters of `methods.celltrack`, learned through the filter (CFNet, 2017).

The filter is learned in closed form from one window of a cell, so that the gradient of what it finds in
another window reaches the features. In reading order:

- ``pairs``: two windows of one cell from an annotated movie.
- ``still_pairs``: the same from single images, whose cells are moved and bent at random.
- ``records``: pairs stored once, read at random.
- ``data``: where the pairs come from.
- ``augmentation``: random changes of pairs.
- ``objective``: cross entropy of the place that the filter finds.
- ``experiment``: training and test.
- ``evaluation``: localisation errors on cells that were held out.
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
