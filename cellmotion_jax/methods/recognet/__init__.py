"""RecogNet, a classifier of the nucleus that a window shows (Jackson-Smith 2016, CellTrack, Section 6).

Its layers are features for the filters of `methods.celltrack`. In reading order:

- ``windows``: windows around the nuclei with the longest tracks.
- ``data``: sources of the windows, and their split.
- ``objective``: cross entropy over the nuclei.
- ``experiment``: training and test.
- ``results``: accuracy, filters and maps.
- ``model_file``: the trained network and its file.

The network is `cellmotion_jax.models.recognet.RecogNet`.
"""

from cellmotion_jax.methods.recognet.model_file import RecogNetModel, load_model, save_model
from cellmotion_jax.methods.recognet.objective import RecogNetObjective

__all__ = [
    "RecogNetModel",
    "RecogNetObjective",
    "load_model",
    "save_model",
]
