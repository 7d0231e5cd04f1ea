"""Detection, segmentation and tracking by one network (Chen et al. 2021, CellTrack R-CNN).

Mask R-CNN finds and outlines the cells of a frame; two Siamese heads compare all cells of two adjacent frames
by their appearance and by the positions of their neighbours. In reading order:

- ``frames``: frames at the scale of the network.
- ``pairs``: adjacent annotated frames with the identities of their cells.
- ``records``: storage of windows of pairs; ``data``: the sources of movies, and their split.
- ``augmentation``: random changes of a window, and the boxes of its cells.
- ``targets``: samples of anchors and boxes with what they are trained towards.
- ``training_pass``: the network with these samples; ``objective``: the loss.
- ``pretrained``: weights of a backbone or of a Mask R-CNN to start from.
- ``experiment``: training and test; ``validation``: the loss on held-out windows.
- ``detection``: the cells of a frame, or of a given label image, with their embeddings.
- ``fusion``: links by the rule of the paper; ``pair_features``, ``assignment``: links by calibrated
  probabilities, fitted by ``calibration``; ``turnover``: what births and ends cost in the movie at hand;
  ``tracker``: the tracks of a movie.
- ``evaluation``, ``results``: scores, tables and pictures.
- ``model_file``: the trained network and its file; ``segmenter``: its use on a movie.

The network is `cellmotion_jax.models.celltrack_rcnn.CellTrackRCNN`.
"""

from cellmotion_jax.methods.celltrack_rcnn.detection import (
    FoundCells,
    RCNNSettings,
    cells_of_mask,
    find_cells,
)
from cellmotion_jax.methods.celltrack_rcnn.fusion import FrameLinks, fuse
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel, load_model, save_model
from cellmotion_jax.methods.celltrack_rcnn.objective import RCNNObjective
from cellmotion_jax.methods.celltrack_rcnn.segmenter import RCNNSegmenter, open_model, open_segmenter
from cellmotion_jax.methods.celltrack_rcnn.tracker import (
    LinkRule,
    RCNNLinkSettings,
    RCNNTracker,
    TrackedMovie,
)

__all__ = [
    "FoundCells",
    "FrameLinks",
    "LinkRule",
    "RCNNLinkSettings",
    "RCNNModel",
    "RCNNObjective",
    "RCNNSegmenter",
    "RCNNSettings",
    "RCNNTracker",
    "TrackedMovie",
    "cells_of_mask",
    "find_cells",
    "fuse",
    "load_model",
    "open_model",
    "open_segmenter",
    "save_model",
]
