"""Endless random textures: tiles of filtered noise that cells and backgrounds look their values up in."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage

TILE = 512


def noise_tile(scale: float, rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
    """Periodic noise of mean 0 and standard deviation 1 whose grains are about `scale` pixels wide."""
    tile = ndimage.gaussian_filter(rng.normal(size=(TILE, TILE)).astype(np.float32), scale, mode="wrap")
    return (tile - tile.mean()) / tile.std()


def look_up(
    tile: Float[np.ndarray, "y x"], rows: Float[np.ndarray, "*n"], columns: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Values of a periodic tile at the nearest pixels."""
    wrap = TILE - 1
    return tile[rows.astype(np.int32) & wrap, columns.astype(np.int32) & wrap]
