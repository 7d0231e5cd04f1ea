"""Pictures and tables for checking results; each picture states what a good and a bad result look like."""

from cellmotion_jax.report.cells import plot_cells, plot_overview
from cellmotion_jax.report.comparisons import TABLE_3, Spread, plot_grid, plot_tta
from cellmotion_jax.report.confidence import plot_calibration, plot_error_by_confidence
from cellmotion_jax.report.detection_scores import (
    plot_models,
    plot_parameter_curve,
)
from cellmotion_jax.report.directions import plot_arrows, plot_rose, signed_errors
from cellmotion_jax.report.figures import plot_curves, save_figure

__all__ = [
    "TABLE_3",
    "Spread",
    "plot_arrows",
    "plot_calibration",
    "plot_cells",
    "plot_curves",
    "plot_error_by_confidence",
    "plot_grid",
    "plot_models",
    "plot_overview",
    "plot_parameter_curve",
    "plot_rose",
    "plot_tta",
    "save_figure",
    "signed_errors",
]
