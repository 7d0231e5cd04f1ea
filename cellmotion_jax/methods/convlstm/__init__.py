"""Segmentation of phase-contrast movies with memory of previous frames (Gomez-de-Mariscal et al. 2021).

A U-Net on MobileNetV2 with a ConvLSTM at its end sees a window of frames and segments the last of them. In
reading order:

- ``records``: storage of frames with their pixel classes, and windows of frames.
- ``data``: sources of the movies, and their split.
- ``augmentation``: random patches, preferably at cells, rotated and mirrored (Section 3.2).
- ``objective``: weighted cross entropy of cell and background (Eq. 1).
- ``experiment``: the two steps of training (Section 3.1), and the networks of Table 1 by name.
- ``foreground``: the probability of a cell at every pixel of a movie, frame by frame.
- ``instances``: from probabilities to cells, and the fit of its settings to training masks.
- ``evaluation``, ``results``: SEG and Jaccard index, tables and pictures.
- ``model_file``: the trained network and its file.
- ``segmenter``: the network applied to a movie.

The network is `cellmotion_jax.models.convlstm_unet.ConvLSTMUNet`; protrusions are in
`cellmotion_jax.morphology`.
"""

from cellmotion_jax.methods.convlstm.foreground import Memory, foreground_maps
from cellmotion_jax.methods.convlstm.instances import InstanceSettings, find_instances, fit_instances
from cellmotion_jax.methods.convlstm.model_file import ConvLSTMModel, load_model, save_model
from cellmotion_jax.methods.convlstm.objective import ConvLSTMObjective
from cellmotion_jax.methods.convlstm.segmenter import ConvLSTMSegmenter, open_segmenter

__all__ = [
    "ConvLSTMModel",
    "ConvLSTMObjective",
    "ConvLSTMSegmenter",
    "InstanceSettings",
    "Memory",
    "find_instances",
    "fit_instances",
    "foreground_maps",
    "load_model",
    "open_segmenter",
    "save_model",
]
