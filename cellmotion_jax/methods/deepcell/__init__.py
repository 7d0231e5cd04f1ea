"""Nuclei by feature nets that classify pixels (Van Valen et al. 2016, DeepCell).

A network says of every pixel whether it is the boundary or the interior of a nucleus, or background.
CellTrack takes its first layers as features. In reading order:

- ``pixel_classes``: the classes of the pixels of annotated images, and crops of them.
- ``data``: where the images come from; tiles, or balanced pixels as the authors trained.
- ``augmentation``: random turns and contrast of crops.
- ``objective``: weighted cross entropy over the classes.
- ``experiment``: training and test of one network or an ensemble.
- ``nuclei``: from an image to nuclei, also with the published networks.
- ``evaluation``: classes of pixels, nuclei, tables and pictures.
- ``model_file``: the trained network and its file.
- ``segmenter``: an ensemble applied to a movie.

The network is `cellmotion_jax.models.feature_net.FeatureNet`.
"""

from cellmotion_jax.methods.deepcell.model_file import DeepCellModel, load_ensemble, load_model, save_model
from cellmotion_jax.methods.deepcell.nuclei import (
    DeepCellEnsemble,
    Nuclei,
    NucleiSettings,
    find_nuclei,
    load_published_ensemble,
)
from cellmotion_jax.methods.deepcell.objective import DeepCellObjective
from cellmotion_jax.methods.deepcell.segmenter import DeepCellSegmenter, open_segmenter

__all__ = [
    "DeepCellEnsemble",
    "DeepCellModel",
    "DeepCellObjective",
    "DeepCellSegmenter",
    "Nuclei",
    "NucleiSettings",
    "find_nuclei",
    "load_ensemble",
    "load_model",
    "load_published_ensemble",
    "open_segmenter",
    "save_model",
]
