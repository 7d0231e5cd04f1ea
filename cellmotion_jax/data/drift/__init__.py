"""Drift of the microscope, measured and taken back.

In reading order: ``correct`` (a movie whose frames show the field that all share), ``registration`` (the
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
