"""Closed outlines around a point as radii over all directions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

# Directions per outline: at 60 pixels from the centre they are 0.7 pixels apart.
DIRECTIONS = 512
THETA = np.linspace(-np.pi, np.pi, DIRECTIONS, endpoint=False)


def waves(
    amplitudes: Float[np.ndarray, "cell wave_twice"], first: int
) -> Float[np.ndarray, "cell direction"]:
    """A sum of waves around the outline: ``sum_k a_k cos(k theta) + b_k sin(k theta)`` for k from `first`.

    The columns of `amplitudes` are the ``a_k``, then the ``b_k``.
    """
    count = amplitudes.shape[1] // 2
    # The first direction is -pi, which turns the sign of every odd wave.
    signs = (-1.0) ** np.arange(first, first + count)
    spectrum = np.zeros((len(amplitudes), DIRECTIONS // 2 + 1), complex)
    spectrum[:, first : first + count] = signs * (amplitudes[:, :count] - 1j * amplitudes[:, count:])
    return np.fft.irfft(spectrum, DIRECTIONS) * (DIRECTIONS / 2)


def area(radii: Float[np.ndarray, "cell direction"]) -> Float[np.ndarray, " cell"]:
    """Area inside each outline."""
    return 0.5 * (radii**2).mean(1) * 2 * np.pi


def centre(radii: Float[np.ndarray, "cell direction"]) -> Float[np.ndarray, "cell 2"]:
    """Centre of area of each outline as (along, across) its direction 0."""
    moment = radii**3 * (2 * np.pi / DIRECTIONS / 3)
    return np.stack([moment @ np.cos(THETA), moment @ np.sin(THETA)], -1) / area(radii)[:, None]


def ellipse(
    long: Float[np.ndarray, " cell"], short: Float[np.ndarray, " cell"], tilt: Float[np.ndarray, " cell"]
) -> Float[np.ndarray, "cell direction"]:
    """Radii of ellipses with the given half axes; the first half axis points to `tilt`."""
    turned = THETA - tilt[:, None]
    return (long * short)[:, None] / np.hypot(short[:, None] * np.cos(turned), long[:, None] * np.sin(turned))


def steepness(radii: Float[np.ndarray, "cell direction"]) -> Float[np.ndarray, "cell direction"]:
    """Cosine between the radius and the outline's normal: radial gaps times it are distances."""
    slope = (np.roll(radii, -1, 1) - np.roll(radii, 1, 1)) * (DIRECTIONS / (4 * np.pi))
    return radii / np.hypot(radii, slope)


def direction_index(angle: Float[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """Index of the direction nearest to each angle."""
    turns = np.float32(DIRECTIONS / (2 * np.pi))
    return (np.rint(angle * turns).astype(np.int32) + DIRECTIONS // 2) & (DIRECTIONS - 1)


def unit_vector(angle: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """Vectors (dy, dx) of length 1 in directions counter-clockwise from +x."""
    return np.stack([-np.sin(angle), np.cos(angle)], -1)
