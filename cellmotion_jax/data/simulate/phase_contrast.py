"""Cells as a phase contrast microscope shows them: dark ruffled fronts, bright bodies, halos.

The grey values are those of PhC-C2DH-U373/01, compared by eye and by the percentiles of grey values and
gradients inside the reference masks, along their border and around them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from cellmotion_jax.data.simulate import contour
from cellmotion_jax.data.simulate.canvas import Drawing, crop, own_pixels
from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.motion import History
from cellmotion_jax.data.simulate.phase_shape import PhaseCell, shape_cells
from cellmotion_jax.data.simulate.pose import Poses
from cellmotion_jax.data.simulate.scenery import scenery
from cellmotion_jax.data.simulate.texture import look_up, noise_tile
from cellmotion_jax.data.simulate.tips import find_tips

# Camera noise is a little soft because that movie was resampled once.
BACKGROUND, CAMERA_NOISE, CAMERA_SOFTNESS = 82.0, 0.7, 0.55
OPTICAL_BLUR = 0.62
# Width of the grains of the cells' texture: granules, patches, clouds.
GRAINS_UM = (0.33, 1.1, 3.9)
# Halos: a narrow one and a wide one around what is thick, and one along dark edges.
NEAR_UM, WIDE_UM, EDGE_UM = 2.0, 5.9, 1.6
# The ruffles of a front lie this deep inside its outline and are so wide.
RUFFLE_UM = 1.7


class PhaseContrast:
    """Draws the frames of a movie of whole cells."""

    def __init__(self, conditions: Conditions, history: History, poses: Poses, rng: np.random.Generator):
        self.conditions, self.history, self.poses = conditions, history, poses
        self.tiles = tuple(noise_tile(max(0.5, conditions.pixels(grain)), rng) for grain in GRAINS_UM)
        self.appearance = conditions.simulation.appearance
        self.scenery = scenery(conditions, rng=rng)

    def draw(self, time: int, rng: np.random.Generator) -> Drawing:
        """Draws one frame."""
        conditions = self.conditions
        alive = np.flatnonzero(self.history.alive[time])
        shaped = shape_cells(conditions, self.history, self.poses, time=time, cells=alive, rng=rng)
        cells = [int(cell) for cell, shape in zip(alive, shaped) if shape is not None]
        shapes = [shape for shape in shaped if shape is not None]
        owner = own_pixels([shape.outline for shape in shapes], conditions.field)
        grey = self.scenery + self._paint(shapes, owner, rng)
        image = BACKGROUND + crop(
            ndimage.gaussian_filter(grey, OPTICAL_BLUR * self.appearance.blur, truncate=3.0)
        )
        image += self._camera_noise(image.shape, rng)
        owner = crop(owner)
        tips = [
            (cell, *tip)
            for index, (cell, shape) in enumerate(zip(cells, shapes), start=1)
            for tip in find_tips(conditions, shape, owner, index)
        ]
        identity = np.concatenate([[0], 1 + np.array(cells, int)]).astype(np.int32)
        image = self.appearance.quantised(image)
        return Drawing(np.clip(np.rint(image), 0, 255).astype(np.uint8), identity[owner], tips)

    def _camera_noise(self, shape: tuple[int, int], rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
        """Fresh noise of one frame."""
        noise = rng.normal(size=shape).astype(np.float32)
        noise = ndimage.gaussian_filter(noise, CAMERA_SOFTNESS, truncate=3.0)
        return noise * np.float32(self.conditions.simulation.noise * CAMERA_NOISE / noise.std())

    def _paint(
        self, shapes: list[PhaseCell], owner: Int[np.ndarray, "y x"], rng: np.random.Generator
    ) -> Float[np.ndarray, "y x"]:
        """Cells and their halos as grey values relative to the background, on the canvas."""
        paint, thick, edge = (np.zeros(owner.shape, np.float32) for _ in range(3))
        offsets = rng.uniform(100, 400, (len(shapes), 3, 2)).astype(np.float32)
        ruffles = _ruffles(len(shapes), rng)
        for index, shape in enumerate(shapes):
            rows, columns = np.nonzero(owner[shape.outline.window] == index + 1)
            mine, place = (rows, columns), (rows + shape.outline.top, columns + shape.outline.left)
            along, across = shape.along[mine], shape.across[mine]
            grains = [
                self.appearance.texture * look_up(tile, along + offset[0], across + offset[1])
                for tile, offset in zip(self.tiles, offsets[index])
            ]
            lamella, dark_edge, strand = self._paint_lamella(shape, mine, grains, ruffles[index])
            body, solid = _paint_body(shape, mine, grains)
            paint[place] = lamella * (1 - solid) + body * solid
            thick[place] = np.maximum(
                solid * (1 - 0.5 * shape.flatness + 0.4 * shape.roundness), 0.3 * strand
            )
            edge[place] = dark_edge
        blur = self.conditions.pixels
        near = ndimage.gaussian_filter(thick, blur(NEAR_UM), truncate=3.0)
        wide = ndimage.gaussian_filter(thick + 0.25 * edge, blur(WIDE_UM), truncate=2.5)
        along_edge = ndimage.gaussian_filter(edge, blur(EDGE_UM), truncate=3.0)
        around = self.appearance.halo * (190.0 * near + 85.0 * wide + 30.0 * along_edge)
        within = self.appearance.halo * (50.0 * near + 75.0 * wide)
        return paint + np.where(owner == 0, around, within) * (1 - np.clip(thick, 0, 1))

    def _paint_lamella(
        self,
        shape: PhaseCell,
        mine: tuple[np.ndarray, np.ndarray],
        grains: list[Float[np.ndarray, " pixel"]],
        ruffles: Float[np.ndarray, " direction"],
    ) -> tuple[Float[np.ndarray, " pixel"], ...]:
        """Grey values of lamella and protrusions, the dark edge's strength, and what is protrusion.

        A lamella is a little darker than the medium, mottled, and darkest in the ruffles along the front's
        edge. Protrusions are denser, darkest at their tip.
        """
        fine, middle, coarse = grains
        direction, depth = shape.direction[mine], shape.lamella[mine]
        flat = -3.0 + 2.0 * middle + 2.5 * coarse - 2.5 * np.clip(fine - 1.0, 0, None)
        seam = -8.0 * (1 - shape.flatness) * np.exp(-(((shape.body[mine] - 1.1) / 0.06) ** 2))
        ruffle = np.float32(self.conditions.pixels(RUFFLE_UM))
        width = ruffle * (1 + 0.37 * np.clip(middle, -1, 1.5))
        edge = np.exp(-(((depth - ruffle) / width) ** 2)) * ruffles[direction]
        edge *= (0.2 + 0.8 * shape.front[direction]) * (1 - shape.roundness)
        strand = _soft_step((shape.process[mine] - 0.5) / 0.8) * (depth < 1.5)
        dense = (7.0 + 4.0 * middle + 2.0 * fine + 22.0 * shape.remote[mine]) * strand
        return flat + seam - 43.0 * edge * (0.9 + 0.12 * fine) - dense, edge, strand


def _paint_body(
    shape: PhaseCell, mine: tuple[np.ndarray, np.ndarray], grains: list[Float[np.ndarray, " pixel"]]
) -> tuple[Float[np.ndarray, " pixel"], Float[np.ndarray, " pixel"]]:
    """Grey values of the body, and what is body.

    A thick body has a dark granular middle inside a bright rim, brightest at the rear where no lamella
    borders it; a flat one is dark and granular all over.
    """
    fine, middle, _ = grains
    body, thickness = shape.body[mine], 1 - shape.flatness
    core = _soft_step((0.58 + 0.2 * shape.flatness - body - 0.08 * middle - 0.06 * fine) / 0.19)
    rim = np.exp(-(((body - 0.83) / 0.19) ** 2)) * (1 - 0.3 * np.cos(contour.THETA[shape.direction[mine]]))
    bright = (14.0 + 105.0 * thickness**1.5 + 30.0 * shape.roundness) * rim
    dark = -20.0 - 10.0 * thickness
    grey = 2.0 + bright * (1 - 0.7 * core) + dark * core + (5.0 + 9.0 * core) * fine + 3.0 * middle
    return grey, _soft_step((1.0 - body) / 0.06)


def _ruffles(count: int, rng: np.random.Generator) -> Float[np.ndarray, "cell direction"]:
    """How dark the front's edge is in every direction: uneven, with gaps."""
    noise = rng.normal(size=(2, count, contour.DIRECTIONS)).astype(np.float32)
    fine = ndimage.gaussian_filter1d(noise[0], 4.0, mode="wrap")
    rough = ndimage.gaussian_filter1d(noise[1], 14.0, mode="wrap")
    # White noise smoothed with width s keeps the standard deviation (4 pi s^2)^(-1/4).
    fine, rough = (part * np.float32((4 * np.pi * s**2) ** 0.25) for part, s in ((fine, 4.0), (rough, 14.0)))
    return np.clip(0.85 + 0.2 * fine + 0.35 * rough, 0.05, 1.5)


def _soft_step(value: Float[np.ndarray, " pixel"]) -> Float[np.ndarray, " pixel"]:
    """The logistic function, without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * value)
