"""Numbers by which predictions are judged: angular errors, calibration, detection, segmentation."""

from cellmotion_jax.metrics.angular import (
    UNIFORM_GUESS_DEG,
    QuadrantBaseline,
    maximum_error_estimate_deg,
    mean_angular_error_deg,
    quadrant_baseline_deg,
)
from cellmotion_jax.metrics.calibration import (
    LARGEST_KAPPA,
    Coverage,
    ErrorByConfidence,
    arc_half_width,
    coverage_table,
    error_by_confidence,
    fit_concentration,
)
from cellmotion_jax.metrics.counts import Counts, total_counts
from cellmotion_jax.metrics.detection import PointMatches, one_to_one_matches, optimal_matches
from cellmotion_jax.metrics.segmentation import (
    IOU_THRESHOLDS,
    CellMatches,
    CellOverlaps,
    cell_matches,
    cell_overlaps,
    segmentation_counts,
)

__all__ = [
    "IOU_THRESHOLDS",
    "LARGEST_KAPPA",
    "UNIFORM_GUESS_DEG",
    "CellMatches",
    "CellOverlaps",
    "Counts",
    "Coverage",
    "ErrorByConfidence",
    "PointMatches",
    "QuadrantBaseline",
    "arc_half_width",
    "cell_matches",
    "cell_overlaps",
    "coverage_table",
    "error_by_confidence",
    "fit_concentration",
    "maximum_error_estimate_deg",
    "mean_angular_error_deg",
    "one_to_one_matches",
    "optimal_matches",
    "quadrant_baseline_deg",
    "segmentation_counts",
    "total_counts",
]
