"""Start points at which an image shows nothing that could be followed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Real
from scipy import ndimage

LEAST_STRUCTURE = 5.0
"""Structure at a cell relative to that of camera noise. Over cells of real movies it is at least 7.4
(DIC-C2DH-HeLa; 15 in Fluo-N2DL-HeLa, 80 in Fluo-N2DH-SIM+, 150 in PhC-C2DH-U373), over empty places of
fluorescence mostly 1 to 3. The gel and debris of phase contrast have 6 and more: empty places are not found
there."""
_REACH = 1.6
_GAUSS_PER_DIAMETER = 8


def empty_places(
    image: Real[np.ndarray, "y x"], points: Float[np.ndarray, "point 2"], *, diameter: float
) -> Bool[np.ndarray, " point"]:
    r"""Finds the points around which an image has hardly more structure than camera noise.

    The image is smoothed by a Gaussian with :math:`s = \max(d / 8, 1)`. The structure at a point is the
    standard deviation of what is left in a disc of 1.6 cell radii when a plane (uneven light) is taken away.
    White noise of standard deviation :math:`\sigma` would leave :math:`\sigma / (2 \sqrt{\pi} s)`, where
    :math:`\sigma` is estimated from the differences of neighbouring pixels of the whole image (their median
    absolute value, which cells hardly change). A place is empty if it has less than five times as much.

    Args:
        image: Grey values.
        points: Points (y, x) in pixels.
        diameter: Diameter of a cell in pixels.

    Returns:
        Whether each point is empty; False where most neighbouring pixels are equal and no noise is seen.
    """
    spread = max(diameter / _GAUSS_PER_DIAMETER, 1.0)
    differences = np.abs(np.diff(image.astype(np.float64), axis=1))
    noise = float(np.median(differences)) / (0.6745 * np.sqrt(2)) if differences.size else 0.0
    expected = noise / (2 * np.sqrt(np.pi) * spread)
    structure = np.array([_structure(image, point, diameter, spread) for point in points], float)
    return structure < LEAST_STRUCTURE * expected


def _structure(
    image: Real[np.ndarray, "y x"], point: Float[np.ndarray, "2"], diameter: float, spread: float
) -> float:
    reach = _REACH * max(diameter / 2, 3.0)
    around = reach + 4 * spread + 1
    corner = np.maximum(np.floor(point - around).astype(int), 0)
    ends = np.ceil(point + around).astype(int) + 1
    part = image[corner[0] : ends[0], corner[1] : ends[1]].astype(np.float64)
    y, x = np.indices(part.shape) + corner[:, None, None] - point[:, None, None]
    inside = np.hypot(y, x) <= reach
    values = ndimage.gaussian_filter(part, spread)[inside]
    plane = np.stack([np.ones(len(values)), y[inside], x[inside]], axis=1)
    return float(np.std(values - plane @ np.linalg.lstsq(plane, values)[0]))
