"""How cells, background and camera differ from those of the movie that a look imitates, drawn at random."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

import numpy as np
from jaxtyping import Float

from cellmotion_jax.settings import NotNegative, Range, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Appearance(Settings):
    """Factors on what a look draws, 1 for the movie that it imitates."""

    blur: NotNegative = 1.0
    """Width of the microscope's blur."""
    length: NotNegative = 1.0
    """How much longer than wide cells in phase contrast are, as a power."""
    texture: NotNegative = 1.0
    """Contrast of the grains inside of cells."""
    difference: NotNegative = 1.0
    """Differences in brightness from nucleus to nucleus, as a power."""
    halo: NotNegative = 1.0
    """Brightness of the halos around cells in phase contrast, and of the haze around nuclei."""
    uneven_light: NotNegative = 1.0
    """Contrast of slow changes of the light over the field."""
    debris: NotNegative = 1.0
    """Number of rings, grains and fibres; nuclei have specks of light instead, none of them at 1 or below."""
    grey_levels: Annotated[int, Range(8, 65536)] = 65536
    """Number of grey levels between the darkest and the brightest pixel of a frame at most."""

    def quantised(self, image: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
        """Rounds a frame to the grey levels that the camera has."""
        low, high = float(image.min()), float(image.max())
        step = (high - low) / (self.grey_levels - 1)
        return image if step <= 1.0 else low + np.rint((image - low) / step) * step


NATURAL_RANGES = {
    "blur": (0.5, 3.0),
    "length": (0.5, 3.5),
    "texture": (0.3, 2.5),
    "difference": (0.2, 1.3),
    "halo": (0.3, 2.0),
    "uneven_light": (0.3, 12.0),
    "debris": (0.1, 5.0),
}
"""From the least to the most that is drawn of each factor, evenly on a logarithmic scale."""


def drawn_appearance(variety: float, rng: np.random.Generator) -> Appearance:
    """Draws an appearance at random.

    Args:
        variety: Width of the ranges, from 0 (always as in the movie that is imitated) to 1.
        rng: Source of randomness.

    Returns:
        The appearance.
    """
    factors = {name: between(low, high, variety, rng) for name, (low, high) in NATURAL_RANGES.items()}
    levels = math.exp(rng.uniform(math.log(24), math.log(65536)))
    return Appearance(grey_levels=round(65536 ** (1 - variety) * levels**variety), **factors)


def between(low: float, high: float, variety: float, rng: np.random.Generator) -> float:
    """A factor between ``low**variety`` and ``high**variety``, evenly on a logarithmic scale."""
    return math.exp(variety * rng.uniform(math.log(low), math.log(high)))
