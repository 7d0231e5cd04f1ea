"""Closed outlines around a point as radii over all directions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

# Directions per outline: at 60 pixels from the centre they are 0.7 pixels apart.
DIRECTIONS = 512
THETA = np.linspace(-np.pi, np.pi, DIRECTIONS, endpoint=False)


def waves(
    amplitudes: Float[np.ndarray, "cell wave_twice"], first: int
) -> Float[np.ndarray, "cell direction"]:
    """A sum of waves around the outline: ``sum_k a_k cos(k theta) + b_k sin(k theta)`` for k from `first`.

    The columns of `amplitudes` are the ``a_k``, then the ``b_k``.
    """
    orders = first + np.arange(amplitudes.shape[1] // 2)
    phase = orders[:, None] * THETA
    return amplitudes @ np.concatenate([np.cos(phase), np.sin(phase)])


def area(radii: Float[np.ndarray, "cell direction"]) -> Float[np.ndarray, " cell"]:
    """Area inside each outline."""
    return 0.5 * (radii**2).mean(1) * 2 * np.pi


def centre(radii: Float[np.ndarray, "cell direction"]) -> Float[np.ndarray, "cell 2"]:
    """Centre of area of each outline as (along, across) its direction 0."""
    moment = radii**3 * (2 * np.pi / DIRECTIONS / 3)
    return np.stack([moment @ np.cos(THETA), moment @ np.sin(THETA)], -1) / area(radii)[:, None]


def steepness(radii: Float[np.ndarray, "cell direction"]) -> Float[np.ndarray, "cell direction"]:
    """Cosine between the radius and the outline's normal: radial gaps times it are distances."""
    slope = (np.roll(radii, -1, 1) - np.roll(radii, 1, 1)) * (DIRECTIONS / (4 * np.pi))
    return radii / np.hypot(radii, slope)


def direction_index(angle: Float[np.ndarray, "y x"]) -> np.ndarray:
    """Index of the direction nearest to each angle."""
    turns = np.float32(DIRECTIONS / (2 * np.pi))
    return np.rint(angle * turns).astype(np.int32) + DIRECTIONS // 2 & DIRECTIONS - 1
