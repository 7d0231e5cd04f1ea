"""What lies behind the cells in phase contrast: uneven light, fibres, rings out of focus, debris."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from cellmotion_jax.data.simulate.canvas import PAD
from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.texture import TILE, noise_tile

# Counts per square millimetre, by eye from PhC-C2DH-U373/01 (0.15 mm^2) and T98G-phase.
RINGS_PER_MM2 = 85.0
SPECKS_PER_MM2 = 150.0
BRIGHT_PER_MM2 = 25.0
FIBRES_PER_MM2 = 30.0


def scenery(conditions: Conditions, *, rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Draws a background that stays the same over the movie.

    Args:
        conditions: The settled simulation.
        rng: Source of randomness.

    Returns:
        Grey values relative to an even background, on the canvas.
    """
    height, width = (n + 2 * PAD for n in conditions.field)
    look = conditions.simulation.appearance
    canvas = look.uneven_light * _light(height, width, rng) + _mottling(height, width, rng)
    square_mm = look.debris * height * width * (conditions.pixel_size_um / 1000) ** 2
    for _ in range(rng.poisson(FIBRES_PER_MM2 * square_mm)):
        _draw_fibre(canvas, conditions, rng)
    for _ in range(rng.poisson(RINGS_PER_MM2 * square_mm)):
        radius = conditions.pixels(rng.uniform(8, 32))
        _stamp(canvas, _ring(radius, rng), rng)
    for _ in range(rng.poisson(SPECKS_PER_MM2 * square_mm)):
        _stamp(canvas, _speck(conditions.pixels(rng.uniform(0.6, 1.5)), rng), rng)
    for _ in range(rng.poisson(BRIGHT_PER_MM2 * square_mm)):
        _stamp(canvas, _bright_grain(conditions.pixels(rng.uniform(1.2, 2.2)), rng), rng)
    return canvas.astype(np.float32)


def _light(height: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """A slow gradient of the illumination."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    a, b, c, d, e = rng.normal(0, (0.9, 0.9, 0.6, 0.6, 0.6))
    return a * y + b * x + c * y * x + d * (y**2 - 1 / 3) + e * (x**2 - 1 / 3)


def _mottling(height: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Faint unevenness of the gel on all scales, as strong as in the real background (about 0.8 grey)."""
    tile = 0.45 * noise_tile(1.2, rng) + 0.35 * noise_tile(4.0, rng) + 0.4 * noise_tile(14.0, rng)
    repeats = (-(-height // TILE), -(-width // TILE))
    return np.tile(tile, repeats)[:height, :width]


def _draw_fibre(canvas: Float[np.ndarray, "y x"], conditions: Conditions, rng: np.random.Generator) -> None:
    """Adds a long faint curved fibre: bright along its axis between dark flanks."""
    height, width = canvas.shape
    length = conditions.pixels(rng.uniform(30, 220))
    steps = max(8, int(length))
    bends = ndimage.gaussian_filter1d(rng.normal(size=steps), steps / 6, mode="nearest")
    angle = rng.uniform(0, 2 * np.pi) + 1.2 * np.cumsum(bends / max(bends.std(), 1e-9)) / steps * 2
    y = rng.uniform(0, height) - np.cumsum(np.sin(angle)) * length / steps
    x = rng.uniform(0, width) + np.cumsum(np.cos(angle)) * length / steps
    fade = np.sin(np.linspace(0, np.pi, steps)) ** 0.5 * rng.uniform(0.6, 1.4)
    layer = np.zeros_like(canvas, dtype=np.float32)
    inside = (y >= 0) & (y < height - 1) & (x >= 0) & (x < width - 1)
    if not inside.any():
        return
    np.add.at(layer, (y[inside].astype(int), x[inside].astype(int)), fade[inside])
    top, bottom = max(0, int(y[inside].min()) - 20), int(y[inside].max()) + 20
    left, right = max(0, int(x[inside].min()) - 20), int(x[inside].max()) + 20
    part = layer[top:bottom, left:right]
    sharp = rng.uniform(0.9, 2.2)
    line = ndimage.gaussian_filter(part, sharp) * sharp
    flank = ndimage.gaussian_filter(part, 2.6 * sharp) * sharp
    canvas[top:bottom, left:right] += rng.uniform(6, 24) * (line - 1.5 * flank) * rng.choice([1.0, 1.0, -0.6])


def _stamp(
    canvas: Float[np.ndarray, "y x"], patch: Float[np.ndarray, "v u"], rng: np.random.Generator
) -> None:
    """Adds a patch somewhere on the canvas, cut at its border."""
    height, width = canvas.shape
    tall, broad = patch.shape
    top, left = rng.integers(-tall // 2, height - tall // 2), rng.integers(-broad // 2, width - broad // 2)
    rows, columns = slice(max(0, top), min(height, top + tall)), slice(max(0, left), min(width, left + broad))
    canvas[rows, columns] += patch[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]


def _radius(reach: float, squeeze: float) -> Float[np.ndarray, "y x"]:
    """Distance from the middle of a square patch."""
    half = int(np.ceil(reach))
    line = np.arange(-half, half + 1.0)
    return np.hypot(line[:, None] * squeeze, line)


def _ring(radius: float, rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Something floating out of focus: faint concentric rings, sometimes with a bright blur inside."""
    distance = _radius(1.7 * radius, rng.uniform(0.92, 1.08)) / radius
    rings = np.cos(2 * np.pi * distance * rng.uniform(0.8, 1.8)) * np.exp(-((distance / 0.9) ** 4))
    blur = rng.choice([0.0, 0.0, 1.0]) * rng.uniform(6, 22) * np.exp(-((distance / 0.25) ** 2))
    return rng.uniform(0.8, 3.2) * rings - rng.uniform(0.0, 3.5) * np.exp(-((distance / 0.8) ** 2)) + blur


def _speck(radius: float, rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """A small dark grain with a faint halo."""
    distance = _radius(6 * radius, rng.uniform(0.6, 1.4)) / radius
    return rng.uniform(8, 34) * (-np.exp(-(distance**2)) + 0.12 * np.exp(-((distance / 2.5) ** 2)))


def _bright_grain(radius: float, rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """A small bright grain inside a dark ring."""
    distance = _radius(6 * radius, rng.uniform(0.7, 1.3)) / radius
    return rng.uniform(10, 90) * (
        np.exp(-((distance / 0.9) ** 2)) - rng.uniform(0.15, 0.5) * np.exp(-((distance - 1.7) ** 2))
    )
