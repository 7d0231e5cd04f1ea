"""Numbers by which predictions are judged: angular errors and their calibration."""

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

__all__ = [
    "LARGEST_KAPPA",
    "UNIFORM_GUESS_DEG",
    "Coverage",
    "ErrorByConfidence",
    "QuadrantBaseline",
    "arc_half_width",
    "coverage_table",
    "error_by_confidence",
    "fit_concentration",
    "maximum_error_estimate_deg",
    "mean_angular_error_deg",
    "quadrant_baseline_deg",
]
