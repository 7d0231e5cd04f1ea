"""Measurement and correction of the drift of the microscope.

In reading order: ``correct`` (a movie whose frames show the common field of view), ``registration`` (the
shift of a frame by phase correlation of its background), ``stackreg`` (affine changes, by pystackreg).
"""

from cellmotion_jax.data.drift.correct import (
    CorrectedMovie,
    Correction,
    Drift,
    drift_corrected,
    measure_drift,
    write_drift,
)

__all__ = [
    "CorrectedMovie",
    "Correction",
    "Drift",
    "drift_corrected",
    "measure_drift",
    "write_drift",
]
