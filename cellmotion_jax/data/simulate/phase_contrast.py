"""Cells as a phase contrast microscope shows them: dark ruffled fronts, bright bodies, halos."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from cellmotion_jax.data.simulate import contour
from cellmotion_jax.data.simulate.canvas import Drawing, crop, own_pixels
from cellmotion_jax.data.simulate.config import Conditions
from cellmotion_jax.data.simulate.motion import History
from cellmotion_jax.data.simulate.phase_shape import PhaseCell, shape_cells
from cellmotion_jax.data.simulate.pose import Poses
from cellmotion_jax.data.simulate.scenery import scenery
from cellmotion_jax.data.simulate.texture import look_up, noise_tile
from cellmotion_jax.data.simulate.tips import find_tips

# Grey values of PhC-C2DH-U373/01: background at 82, camera noise of 0.7 that is a little soft because the
# movie was resampled once.
BACKGROUND, CAMERA_NOISE, CAMERA_SOFTNESS = 82.0, 0.7, 0.55
OPTICAL_BLUR = 0.75


class PhaseContrast:
    """Draws the frames of a movie of whole cells."""

    def __init__(self, conditions: Conditions, history: History, poses: Poses, rng: np.random.Generator):
        self.conditions, self.history, self.poses = conditions, history, poses
        self.tiles = tuple(noise_tile(scale, rng) for scale in (0.62, 1.8, 6.0))
        self.scenery = scenery(conditions, rng=rng)

    def draw(self, time: int, rng: np.random.Generator) -> Drawing:
        """Draws one frame."""
        conditions = self.conditions
        alive = np.flatnonzero(self.history.alive[time])
        shaped = shape_cells(conditions, self.history, self.poses, time=time, cells=alive, rng=rng)
        cells = [int(cell) for cell, shape in zip(alive, shaped) if shape is not None]
        shapes = [shape for shape in shaped if shape is not None]
        owner = own_pixels([shape.outline for shape in shapes], conditions.field)
        grey = self.scenery + paint_cells(shapes, owner, self.tiles, rng)
        image = crop(ndimage.gaussian_filter(grey, OPTICAL_BLUR, truncate=3.0))
        noise = ndimage.gaussian_filter(
            rng.normal(size=image.shape).astype(np.float32), CAMERA_SOFTNESS, truncate=3.0
        )
        noise *= conditions.simulation.noise * CAMERA_NOISE / noise.std()
        image = np.clip(np.rint(BACKGROUND + image + noise), 0, 255).astype(np.uint8)
        owner = crop(owner)
        identities = np.concatenate([[0], 1 + np.array(cells, int)]).astype(np.int32)
        tips = []
        for index, (cell, shape) in enumerate(zip(cells, shapes), start=1):
            for y, x, length in find_tips(conditions, shape, owner, index):
                tips.append((cell, y, x, length))
        return Drawing(image, identities[owner], tips)


def paint_cells(
    shapes: list[PhaseCell],
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
        window = shape.outline.window
        mine = np.nonzero(owner[window] == index)
        if not len(mine[0]):
            continue
        grey, solid, rim = _paint_cell(shape, mine, tiles, offsets, ruffle)
        place = (mine[0] + shape.outline.top, mine[1] + shape.outline.left)
        paint[place], thick[place], edge[place] = grey, solid, rim
    near = ndimage.gaussian_filter(thick, 3.0, truncate=3.0)
    wide = ndimage.gaussian_filter(thick + 0.25 * edge, 9.0, truncate=2.5)
    rim_glow = ndimage.gaussian_filter(edge, 2.5, truncate=3.0)
    outside = owner == 0
    halo = np.where(outside, 190.0 * near + 85.0 * wide + 30.0 * rim_glow, 50.0 * near + 75.0 * wide)
    return paint + halo * (1 - np.clip(thick, 0, 1))


def _ruffles(rng: np.random.Generator) -> Float[np.ndarray, " direction"]:
    """How dark the front's edge is in every direction: uneven, with gaps."""
    raw = rng.normal(size=512).astype(np.float32)
    fine = ndimage.gaussian_filter1d(raw, 4.0, mode="wrap")
    rough = ndimage.gaussian_filter1d(rng.normal(size=512).astype(np.float32), 14, mode="wrap")
    return np.clip(0.85 + 0.2 * fine / fine.std() + 0.35 * rough / rough.std(), 0.05, 1.5)


def _paint_cell(
    shape: PhaseCell,
    mine: tuple[np.ndarray, np.ndarray],
    tiles: tuple[Float[np.ndarray, "y x"], ...],
    offsets: Float[np.ndarray, " 4"],
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
    # Lamella: a little darker than the medium, mottled, darkest in the ruffles along the front's edge.
    flat = -3.0 + 2.0 * patches + 2.5 * clouds - 2.5 * np.clip(grain - 1.0, 0, None)
    width = 2.7 + 1.0 * np.clip(patches, -1, 1.5)
    rim = np.exp(-(((depth - 2.6) / width) ** 2)) * band * (0.2 + 0.8 * front) * (1 - shape.roundness)
    lamella = flat - 43.0 * rim * (0.9 + 0.12 * grain)
    # Protrusions: denser than the lamella, darkest at their edge and tip.
    strand = _soft_step((process - 0.5) / 0.8) * (depth < 1.5)
    foot = shape.remote[mine]
    lamella = lamella - (7.0 + 4.0 * patches + 2.0 * grain + 22.0 * foot) * strand
    # Body: a dark granular middle inside a bright rim, or flat and dark all over.
    thickness = 1 - shape.flatness
    ragged = body + 0.08 * patches + 0.06 * grain
    core = _soft_step((0.58 + 0.2 * shape.flatness - ragged) / 0.14)
    ring = np.exp(-(((body - 0.83) / 0.19) ** 2))
    rear = 1 - 0.3 * np.cos(contour.THETA[shape.direction[mine]])
    bright = (14.0 + 105.0 * thickness**1.5 + 30.0 * shape.roundness) * ring * rear
    dark = -20.0 - 12.0 * thickness
    inner = 2.0 + bright * (1 - 0.7 * core) + dark * core + (5.0 + 9.0 * core) * grain + 4.0 * patches
    solid = _soft_step((1.0 - body) / 0.06)
    seam = -8.0 * thickness * np.exp(-(((body - 1.1) / 0.06) ** 2))
    lamella = lamella + seam
    return (
        lamella * (1 - solid) + inner * solid,
        np.maximum(solid * (0.5 + 0.5 * thickness + 0.4 * shape.roundness), 0.3 * strand),
        rim,
    )


def _soft_step(value: Float[np.ndarray, " pixel"]) -> Float[np.ndarray, " pixel"]:
    """The logistic function, without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * value)
