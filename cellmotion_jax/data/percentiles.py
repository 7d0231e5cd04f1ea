"""Brightness on a scale of its own percentiles."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Num

LOWER, UPPER = 0.1, 99.1
"""Percentiles of Gomez-de-Mariscal et al. 2021, Section 3.2."""
LIMIT = 1000.0
"""What lies so many half-ranges from the middle is a defect of the camera, and cut off."""


def normalize_percentiles(
    image: Num[np.ndarray, "y x"], *, lower: float = LOWER, upper: float = UPPER
) -> Float32[np.ndarray, "y x"]:
    """Brings one percentile of an image to -1 and another to 1, the range that a MobileNetV2 sees.

    The paper names the percentiles but not what they become. What is brighter than the upper percentile
    exceeds 1. If both percentiles are equal, since hardly anything differs from the background, the extremes
    take their place.

    Args:
        image: Finite pixels.
        lower: Percentile that becomes -1.
        upper: Percentile that becomes 1.

    Returns:
        The image on its new scale, within -1000 and 1000; zeros if it is constant.

    >>> normalize_percentiles(np.array([[0, 5, 10]]), lower=0.0, upper=100.0).tolist()
    [[-1.0, 0.0, 1.0]]
    """
    low, high = np.percentile(image, (lower, upper))
    if high == low:
        low, high = float(image.min()), float(image.max())
    if high == low:
        return np.zeros(image.shape, np.float32)
    return np.clip((image - low) * (2 / (high - low)) - 1, -LIMIT, LIMIT).astype(np.float32)
