"""Tracking of all cells of a movie with correlation filters, in one compiled program."""

from cellmotion_jax.tracking.assignment import Exclusion, Places, exclusive_places
from cellmotion_jax.tracking.centring import Centring, refine_centres
from cellmotion_jax.tracking.confidence import normalized_entropy, peak_to_sidelobe_ratio
from cellmotion_jax.tracking.correlation_filter import CorrelationFilter, LinearFilter, LinearState
from cellmotion_jax.tracking.features import (
    DenseFeatures,
    Features,
    Intensity,
    IntensityAndGradient,
    Maps,
    Windows,
    windows_of_maps,
)
from cellmotion_jax.tracking.hierarchical import (
    PAPER_WEIGHTS,
    init_levels,
    respond_levels,
    similarity_levels,
    update_levels,
)
from cellmotion_jax.tracking.kernel_filter import KernelFilter, KernelState
from cellmotion_jax.tracking.linking import (
    Instances,
    LinkCost,
    LinkState,
    begin_linking,
    intersections,
    link_frames,
    link_next,
    measure_instances,
)
from cellmotion_jax.tracking.redetection import Redetection
from cellmotion_jax.tracking.search import Search, search
from cellmotion_jax.tracking.state import (
    Births,
    ConfidenceSettings,
    Motion,
    Observation,
    Tracker,
    TrackState,
    empty_state,
)
from cellmotion_jax.tracking.tracker import follow, skip, step

__all__ = [
    "PAPER_WEIGHTS",
    "Births",
    "Centring",
    "ConfidenceSettings",
    "CorrelationFilter",
    "DenseFeatures",
    "Exclusion",
    "Features",
    "Instances",
    "Intensity",
    "IntensityAndGradient",
    "KernelFilter",
    "KernelState",
    "LinearFilter",
    "LinearState",
    "LinkCost",
    "LinkState",
    "Maps",
    "Motion",
    "Observation",
    "Places",
    "Redetection",
    "Search",
    "TrackState",
    "Tracker",
    "Windows",
    "begin_linking",
    "empty_state",
    "exclusive_places",
    "follow",
    "init_levels",
    "intersections",
    "link_frames",
    "link_next",
    "measure_instances",
    "normalized_entropy",
    "peak_to_sidelobe_ratio",
    "refine_centres",
    "respond_levels",
    "search",
    "similarity_levels",
    "skip",
    "step",
    "update_levels",
    "windows_of_maps",
]
