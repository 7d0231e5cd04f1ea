"""Cells as a phase contrast microscope shows them: dark ruffled fronts, bright bodies, halos."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from cellmotion_jax.data.simulate.canvas import crop
from cellmotion_jax.data.simulate.phase_shape import PhaseCell
from cellmotion_jax.data.simulate.texture import look_up

# Grey values of PhC-C2DH-U373/01, where the background is at 82.
BACKGROUND = 82.0


def paint_cells(
    shapes: list[PhaseCell | None],
    owner: Int[np.ndarray, "y x"],
    tiles: tuple[Float[np.ndarray, "y x"], ...],
    rng: np.random.Generator,
) -> Float[np.ndarray, "y x"]:
    """Adds cells and their halos to an even background of 0, before blur and noise.

    Args:
        shapes: The cells; the owner of a pixel is its cell's index plus 1.
        owner: Owners of the canvas's pixels.
        tiles: Noise of fine, middle and coarse grain.
        rng: Source of randomness.

    Returns:
        Grey values relative to the background, on the canvas.
    """
    paint = np.zeros(owner.shape, np.float32)
    thick = np.zeros(owner.shape, np.float32)
    edge = np.zeros(owner.shape, np.float32)
    for index, shape in enumerate(shapes, start=1):
        offsets = rng.uniform(100, 400, 4).astype(np.float32)
        ruffle = _ruffles(rng)
        if shape is None:
            continue
        window = shape.outline.window
        mine = np.nonzero(owner[window] == index)
        if not len(mine[0]):
            continue
        grey, solid, rim = _paint_cell(shape, mine, tiles, offsets, ruffle)
        place = (mine[0] + shape.outline.top, mine[1] + shape.outline.left)
        paint[place], thick[place], edge[place] = grey, solid, rim
    near = ndimage.gaussian_filter(thick, 3.0, truncate=3.0)
    wide = ndimage.gaussian_filter(thick + 0.25 * edge, 8.0, truncate=2.5)
    rim_glow = ndimage.gaussian_filter(edge, 2.5, truncate=3.0)
    outside = owner == 0
    halo = np.where(outside, 75.0 * near + 26.0 * wide + 14 * rim_glow, 22.0 * near + 34.0 * wide)
    return paint + halo * (1 - np.clip(thick, 0, 1))


def _ruffles(rng: np.random.Generator) -> Float[np.ndarray, " direction"]:
    """How dark the front's edge is in every direction: uneven, with gaps."""
    raw = rng.normal(size=512).astype(np.float32)
    fine = ndimage.gaussian_filter1d(raw, 2.5, mode="wrap")
    rough = ndimage.gaussian_filter1d(rng.normal(size=512).astype(np.float32), 14, mode="wrap")
    return np.clip(0.85 + 0.3 * fine / fine.std() + 0.3 * rough / rough.std(), 0.05, 1.5)


def _paint_cell(
    shape: PhaseCell,
    mine: tuple[np.ndarray, np.ndarray],
    tiles: tuple[Float[np.ndarray, "y x"], ...],
    offsets: Float[np.ndarray, "4"],
    ruffle: Float[np.ndarray, " direction"],
) -> tuple[Float[np.ndarray, " pixel"], ...]:
    """Grey values, thickness and edge of one cell at its own pixels."""
    fine, middle, coarse = tiles
    rows, columns = shape.along[mine], shape.across[mine]
    grain = look_up(fine, rows + offsets[0], columns + offsets[1])
    patches = look_up(middle, rows + offsets[2], columns + offsets[3])
    clouds = look_up(coarse, rows + offsets[1], columns + offsets[2])
    depth, body, process = shape.lamella[mine], shape.body[mine], shape.process[mine]
    front = shape.front[shape.direction[mine]]
    band = ruffle[shape.direction[mine]]
    outer = np.maximum(depth, process)
    # Lamella: a little darker than the medium, mottled, darkest in the ruffles along the front's edge.
    flat = -6.0 + 2.2 * patches + 2.5 * clouds - 2.5 * np.clip(grain - 1.0, 0, None)
    width = 1.9 + 0.8 * np.clip(patches, -1, 1.5)
    rim = np.exp(-(((outer - 2.0) / width) ** 2)) * band * (0.25 + 0.75 * front) * (1 - shape.roundness)
    ruffles = -44.0 * rim * (0.85 + 0.3 * grain * 0.5)
    lamella = flat + ruffles
    # Protrusions: denser than the lamella, dark to their tip.
    strand = np.clip(process / 2.0 + 0.3, 0, 1) * (depth < 2)
    lamella = lamella - 12.0 * strand * (1 + 0.2 * patches)
    # Body: a dark granular middle inside a bright rim, or flat and dark all over.
    ragged = body + 0.10 * patches + 0.04 * grain
    core = 1 / (1 + np.exp((ragged - 0.62) / 0.07))
    ring = np.exp(-(((body - 0.84) / 0.16) ** 2))
    thickness = 1 - shape.flatness
    bright = (16.0 + 44.0 * thickness + 30.0 * shape.roundness) * ring
    dark = (-26.0 + 4.0 * thickness) * core
    inner = 6.0 + bright + dark + (5.0 + 7.0 * core) * grain + 3.0 * patches
    solid = 1 / (1 + np.exp((body - 1.0) / 0.05))
    return lamella * (1 - solid) + inner * solid, solid * (0.45 + 0.55 * thickness + 0.4 * shape.roundness), rim
