"""Normalisation of the brightness of an image by its percentiles."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Num

LOWER, UPPER = 0.1, 99.1
"""Percentiles of Gomez-de-Mariscal et al. 2021, Section 3.2."""
LIMIT = 1000.0
"""Values are clipped at this number of half-ranges from the middle; values beyond it are camera defects."""


def normalize_percentiles(
    image: Num[np.ndarray, "y x"], *, lower: float = LOWER, upper: float = UPPER
) -> Float32[np.ndarray, "y x"]:
    """Maps one percentile of an image to -1 and another to 1, the input range of MobileNetV2.

    The paper states the percentiles but not the values they are mapped to. Pixels brighter than the upper
    percentile exceed 1. If both percentiles are equal, because nearly all pixels have the background value,
    minimum and maximum are used instead.

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
