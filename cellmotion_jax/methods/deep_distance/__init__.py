"""Detection and segmentation of cells by learned distances (Koyuncu et al. 2020, DeepDistance).

A network predicts for every pixel the inner distance (to the centre of its cell), the normalised outer
distance (to the cell's outline) and the probability of a cell. In reading order:

- ``records``: storage of image tiles with their target distances.
- ``data``: sources of the images, and their split.
- ``augmentation``: random rotation, scale and brightness of a tile with its maps.
- ``objective``: the weighted loss over the tasks of Table 2.
- ``experiment``: training and test of one or several models of Table 2.
- ``detection``: peaks of the inner distance become cells (h-maxima, Section 3.3).
- ``cells``: the cells of an image of any size, with outlines (Section 4.7).
- ``evaluation``, ``results``: F-scores, outlines, tables and pictures.
- ``model_file``: the trained network and its file.
- ``segmenter``: the network applied to a movie.

The network is `cellmotion_jax.models.deep_distance.DeepDistance`, the targets are in
`cellmotion_jax.morphology`.
"""

from cellmotion_jax.methods.deep_distance.cells import Cells, find_cells, predict_maps, segment_cells
from cellmotion_jax.methods.deep_distance.detection import Detections, DetectionSettings, detect_cells
from cellmotion_jax.methods.deep_distance.model_file import DeepDistanceModel, load_model, save_model
from cellmotion_jax.methods.deep_distance.objective import DeepDistanceObjective
from cellmotion_jax.methods.deep_distance.segmenter import DeepDistanceSegmenter, open_segmenter

__all__ = [
    "Cells",
    "DeepDistanceModel",
    "DeepDistanceObjective",
    "DeepDistanceSegmenter",
    "DetectionSettings",
    "Detections",
    "detect_cells",
    "find_cells",
    "load_model",
    "open_segmenter",
    "predict_maps",
    "save_model",
    "segment_cells",
]
