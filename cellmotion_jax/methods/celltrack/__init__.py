"""Tracking of the cells of a movie by correlation filters (Jackson-Smith 2016, CellTrack).

Every cell has its own filter, which learns the appearance of the cell and locates it in the next frame. The
filters and the compiled tracker are in `cellmotion_jax.tracking`; this package applies them to movies. In
reading order:

- ``seeds``: the cells to track and the frames in which they begin.
- ``seeds_file``: reading of seeds from label images and tables.
- ``empty_places``: start points at which an image shows nothing to follow.
- ``grid``: frames resized to a standard cell diameter.
- ``network_features``: features from DeepCell, RecogNet and MobileNetV2 for the filters.
- ``track_movie``: tracking of all cells through a movie.
- ``recorder``, ``tracks``: collection of the results of all frames, and the table of tracks.
- ``relabel``, ``masks``, ``ctc_result``: tracks drawn as label images of the Cell Tracking Challenge.
- ``live``: window and response of one filter, for the live view.
- ``filters_file``: writing of the learned filters.
"""

from cellmotion_jax.methods.celltrack.ctc_result import track_spans, write_ctc_result
from cellmotion_jax.methods.celltrack.filters_file import LearnedFilters, save_filters
from cellmotion_jax.methods.celltrack.grid import grid_frame, grid_zoom
from cellmotion_jax.methods.celltrack.live import FilterView, filter_view
from cellmotion_jax.methods.celltrack.network_features import (
    DeepCellFeatures,
    MobileNetFeatures,
    RecogNetFeatures,
    RecogNetMaps,
    recognet_features,
)
from cellmotion_jax.methods.celltrack.seeds import Seeds, seeds_at_births, seeds_at_points, seeds_from_labels
from cellmotion_jax.methods.celltrack.seeds_file import read_seeds
from cellmotion_jax.methods.celltrack.track_movie import TrackedMovie, track_movie
from cellmotion_jax.methods.celltrack.tracks import Tracks, write_track_table

__all__ = [
    "DeepCellFeatures",
    "FilterView",
    "LearnedFilters",
    "MobileNetFeatures",
    "RecogNetFeatures",
    "RecogNetMaps",
    "Seeds",
    "TrackedMovie",
    "Tracks",
    "filter_view",
    "grid_frame",
    "grid_zoom",
    "read_seeds",
    "recognet_features",
    "save_filters",
    "seeds_at_births",
    "seeds_at_points",
    "seeds_from_labels",
    "track_movie",
    "track_spans",
    "write_ctc_result",
    "write_track_table",
]
