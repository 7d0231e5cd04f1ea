"""Cell shapes on the host: training targets, label images from predicted maps, and measurements.

Works on label images [y, x] with 0 for background, in whole numbers of any type (also stored as floats).
Needs scipy and scikit-image (extra ``io``).
"""

from cellmotion_jax.morphology.cell_shapes import CellShapes, cell_shapes
from cellmotion_jax.morphology.distance_targets import (
    DistanceTargets,
    boundary_map,
    centroid_pixels,
    classification_map,
    distance_targets,
    distance_to_boundary,
    inner_distance,
    normalised_outer_distance,
)
from cellmotion_jax.morphology.geodesic import geodesic_distance, shortest_way
from cellmotion_jax.morphology.joining import join_pieces
from cellmotion_jax.morphology.majority import majority_filter
from cellmotion_jax.morphology.marker_growth import (
    Grow,
    flood_markers,
    grow_markers,
    segment_from_markers,
    widen_markers,
)
from cellmotion_jax.morphology.protrusions import (
    CellAnatomy,
    Protrusions,
    ProtrusionSettings,
    dissect_cell,
    find_protrusions,
)
from cellmotion_jax.morphology.tip_tracks import TipMemory, angle_to_migration, follow_tips, forget_tips

__all__ = [
    "CellAnatomy",
    "CellShapes",
    "DistanceTargets",
    "Grow",
    "ProtrusionSettings",
    "Protrusions",
    "TipMemory",
    "angle_to_migration",
    "boundary_map",
    "cell_shapes",
    "centroid_pixels",
    "classification_map",
    "dissect_cell",
    "distance_targets",
    "distance_to_boundary",
    "find_protrusions",
    "flood_markers",
    "follow_tips",
    "forget_tips",
    "geodesic_distance",
    "grow_markers",
    "inner_distance",
    "join_pieces",
    "majority_filter",
    "normalised_outer_distance",
    "segment_from_markers",
    "shortest_way",
    "widen_markers",
]
