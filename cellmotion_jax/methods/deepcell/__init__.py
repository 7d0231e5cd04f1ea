"""Segmentation of nuclei by feature nets that classify pixels (Van Valen et al. 2016, DeepCell).

A network classifies every pixel as boundary or interior of a nucleus, or background. CellTrack uses its first
layers as features. In reading order:

- ``pixel_classes``: the classes of the pixels of annotated images, and crops of them.
- ``data``: sources of the images; tiles, or balanced pixels as in the paper.
- ``augmentation``: random rotation and contrast of crops.
- ``objective``: weighted cross entropy over the classes.
- ``experiment``: training and test of one network or an ensemble.
- ``nuclei``: segmentation of nuclei, also with the published networks.
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
