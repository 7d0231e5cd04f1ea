"""Metrics of predictions: angular errors, calibration, detection, segmentation and tracking.

All take numbers of any type, lists among them; see `ops.arguments`. Label images may be stored as floats if
their labels are whole numbers.
"""

from cellmotion_jax.metrics.angular import (
    UNIFORM_GUESS_DEG,
    QuadrantBaseline,
    maximum_error_estimate_deg,
    mean_angular_error_deg,
    quadrant_baseline_deg,
)
from cellmotion_jax.metrics.aogm import EdgeErrors, NodeErrors, aogm_score, edge_errors, node_errors
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
from cellmotion_jax.metrics.ctc import CtcScores, ctc_scores
from cellmotion_jax.metrics.ctc_matching import FrameMatches, Segmentation, match_frame, segmentation_score
from cellmotion_jax.metrics.detection import PointMatches, one_to_one_matches, optimal_matches
from cellmotion_jax.metrics.divisions import division_counts
from cellmotion_jax.metrics.identity_switches import IdentitySwitches, identity_switches
from cellmotion_jax.metrics.overlap import jaccard_index
from cellmotion_jax.metrics.precision_curve import (
    HEADLINE_THRESHOLD,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    LostReport,
    PrecisionCurve,
    SuccessCurve,
    centre_errors,
    lost_curve,
    lost_report,
    precision_curve,
    success_curve,
)
from cellmotion_jax.metrics.segmentation import (
    IOU_THRESHOLDS,
    CellMatches,
    CellOverlaps,
    cell_matches,
    cell_overlaps,
    segmentation_counts,
)
from cellmotion_jax.metrics.track_graph import Lineage

__all__ = [
    "HEADLINE_THRESHOLD",
    "IOU_THRESHOLDS",
    "LARGEST_KAPPA",
    "PRECISION_THRESHOLDS",
    "SUCCESS_THRESHOLDS",
    "UNIFORM_GUESS_DEG",
    "CellMatches",
    "CellOverlaps",
    "Counts",
    "Coverage",
    "CtcScores",
    "EdgeErrors",
    "ErrorByConfidence",
    "FrameMatches",
    "IdentitySwitches",
    "Lineage",
    "LostReport",
    "NodeErrors",
    "PointMatches",
    "PrecisionCurve",
    "QuadrantBaseline",
    "Segmentation",
    "SuccessCurve",
    "aogm_score",
    "arc_half_width",
    "cell_matches",
    "cell_overlaps",
    "centre_errors",
    "coverage_table",
    "ctc_scores",
    "division_counts",
    "edge_errors",
    "error_by_confidence",
    "fit_concentration",
    "identity_switches",
    "jaccard_index",
    "lost_curve",
    "lost_report",
    "match_frame",
    "maximum_error_estimate_deg",
    "mean_angular_error_deg",
    "node_errors",
    "one_to_one_matches",
    "optimal_matches",
    "precision_curve",
    "quadrant_baseline_deg",
    "segmentation_counts",
    "segmentation_score",
    "success_curve",
    "total_counts",
]
