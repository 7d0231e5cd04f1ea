"""Shapes of cells on the host: what a network learns about them, and label images from what it predicts.

Works on label images [y, x] with 0 for background. Needs scipy and scikit-image (extra ``io``).
"""

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
from cellmotion_jax.morphology.majority import majority_filter
from cellmotion_jax.morphology.marker_growth import (
    Grow,
    flood_markers,
    grow_markers,
    segment_from_markers,
    widen_markers,
)

__all__ = [
    "DistanceTargets",
    "Grow",
    "boundary_map",
    "centroid_pixels",
    "classification_map",
    "distance_targets",
    "distance_to_boundary",
    "flood_markers",
    "grow_markers",
    "inner_distance",
    "majority_filter",
    "normalised_outer_distance",
    "segment_from_markers",
    "widen_markers",
]
