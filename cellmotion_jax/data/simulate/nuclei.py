"""Cell nuclei as a fluorescence microscope shows them: textured blobs of very different brightness."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from cellmotion_jax.data.simulate import contour
from cellmotion_jax.data.simulate.canvas import PAD, Drawing, Outline, crop, frame_patch, own_pixels
from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.motion import History
from cellmotion_jax.data.simulate.pose import Poses
from cellmotion_jax.data.simulate.texture import look_up, noise_tile

# Grey values of Fluo-N2DL-HeLa/01 (of which 32,768 are an offset of its file format): background 300 with a
# noise of 7, nuclei 430 above it in the median, 105 and 825 at the 10th and 90th percentile.
OFFSET, READ_NOISE = 300.0, 7.0
BRIGHTNESS, DIM_SPREAD, BRIGHT_SPREAD = 430.0, 1.1, 0.62
# Photo-electrons per grey value, from the growth of the noise with brightness.
GAIN = 1.6
BLUR_UM = 0.72
SPECKS_PER_MM2 = 40.0
# Amplitudes of the waves of order 2 to 5 (cosines, then sines) that make a resting nucleus no ellipse.
LOBES = np.tile([0.034, 0.021, 0.012, 0.008], 2)


class Nuclei:
    """Draws the frames of a movie of nuclei."""

    def __init__(self, conditions: Conditions, history: History, poses: Poses, rng: np.random.Generator):
        self.conditions, self.history, self.poses = conditions, history, poses
        cells = history.alive.shape[1]
        self.traits = rng.normal(size=(cells, 6))
        self.appearance = conditions.simulation.appearance
        self.brightness = _inherit_brightness(history, rng, difference=self.appearance.difference)
        self.tiles = tuple(noise_tile(max(0.6, conditions.pixels(um)), rng) for um in (0.55, 1.3))
        height, width = (n + 2 * PAD for n in conditions.field)
        light = ndimage.gaussian_filter(rng.normal(size=(height, width)), 60, mode="reflect")
        contrast = 8.0 * self.appearance.uneven_light
        self.light = (contrast * light / max(float(light.std()), 1e-9)).astype(np.float32)
        self.specks = self._specks((height, width), rng)

    def _specks(self, size: tuple[int, int], rng: np.random.Generator) -> Float[np.ndarray, "y x"]:
        """Light of debris that does not move: grains far smaller than a nucleus, and some larger blots."""
        light = np.zeros(size, np.float32)
        square_mm = size[0] * size[1] * (self.conditions.pixel_size_um / 1000) ** 2
        count = rng.poisson(SPECKS_PER_MM2 * max(0.0, self.appearance.debris - 1) * square_mm)
        for radius_um, part in ((0.7, count), (2.5, count // 4)):
            if not part:
                continue  # As in the movie that is imitated: nothing to blur.
            layer = np.zeros(size, np.float32)
            places = tuple(rng.integers(0, side, part) for side in size)
            np.add.at(layer, places, BRIGHTNESS * rng.uniform(0.1, 1.5, part).astype(np.float32))
            radius = self.conditions.pixels(radius_um)
            # The brightness is that of the middle of a speck.
            light += 2 * np.pi * radius**2 * ndimage.gaussian_filter(layer, radius, truncate=3.0)
        return light

    def draw(self, time: int, rng: np.random.Generator) -> Drawing:
        """Draws one frame."""
        cells = np.flatnonzero(self.history.alive[time])
        shapes = self._shape(time, cells)
        owner = own_pixels([outline for _, outline, _ in shapes], self.conditions.field)
        glow = np.zeros(owner.shape, np.float32)
        for index, (cell, outline, angle) in enumerate(shapes, start=1):
            rows, columns = np.nonzero(owner[outline.window] == index)
            place = (rows + outline.top, columns + outline.left)
            glow[place] = self._paint(time, cell, outline.level[rows, columns], place, angle)
        look = self.appearance
        sharp = ndimage.gaussian_filter(
            glow + self.specks, self.conditions.pixels(BLUR_UM) * look.blur, truncate=3.0
        )
        haze = ndimage.gaussian_filter(glow, self.conditions.pixels(4.0), truncate=2.5)
        signal = np.maximum(crop(0.90 * sharp + 0.09 * look.halo * haze + self.light), 0)
        noise = self.conditions.simulation.noise
        noisy = signal + noise * np.sqrt(READ_NOISE**2 + signal / GAIN) * rng.normal(size=signal.shape)
        identities = np.concatenate([[0], [1 + cell for cell, _, _ in shapes]]).astype(np.int32)
        image = np.clip(np.rint(OFFSET + look.quantised(noisy)), 0, 65535).astype(np.uint16)
        return Drawing(image, identities[crop(owner)], [])

    def _shape(self, time: int, cells: Int[np.ndarray, " cell"]) -> list[tuple[int, Outline, float]]:
        """Index, outline and orientation of the nuclei on the canvas."""
        history, traits = self.history, self.traits[cells]
        slow, fast = self.poses.slow[time, cells], self.poses.fast[time, cells]
        condensed = history.roundness[time, cells]
        size = np.sqrt(history.area[time, cells] / np.pi) * np.exp(0.03 * slow[:, 16])
        # A dividing nucleus condenses to a plate across the axis along which its daughters will part.
        aspect = np.exp(
            (1 - condensed) * (0.06 + 0.11 * np.abs(traits[:, 0] + 0.3 * slow[:, 12])) + condensed * 0.6
        )
        downsample = 1 - 0.52 * condensed
        angle = self._angles(cells, slow, condensed)
        ellipse = contour.ellipse(
            size * downsample * aspect, size * downsample / aspect, np.zeros(len(cells))
        )
        # Prometaphase is ragged: chromosomes stick out while they gather to the plate.
        ragged = 0.007 + 0.09 * condensed * (1 - condensed) + 0.03 * history.decay[time, cells]
        radii = ellipse * np.exp(
            contour.waves(slow[:, 2:10] * LOBES, 2) + ragged[:, None] * contour.waves(fast[:, :16], 4)
        )
        steepness = contour.steepness(radii)
        shapes = []
        for row, cell in enumerate(cells):
            place = history.place[time, cell]
            patch = frame_patch(
                place - radii[row].max() - 2, place + radii[row].max() + 2, self.conditions.field
            )
            if patch is None:
                continue
            top, left, rows, columns = patch
            dy, dx = (rows - place[0]).astype(np.float32), (columns - place[1]).astype(np.float32)
            turn = np.mod(np.arctan2(-dy, dx) - np.float32(angle[row]) + np.pi, 2 * np.pi) - np.pi
            direction = contour.direction_index(turn)
            gap = radii[row].astype(np.float32)[direction] - np.hypot(dy, dx)
            level = gap * steepness[row].astype(np.float32)[direction]
            shapes.append((int(cell), Outline(top, left, level), float(angle[row])))
        return shapes

    def _angles(
        self,
        cells: Int[np.ndarray, " cell"],
        slow: Float[np.ndarray, "cell slow"],
        condensed: Float[np.ndarray, " cell"],
    ) -> Float[np.ndarray, " cell"]:
        """Orientations: a plate stands across the axis of the division, a resting nucleus anyhow."""
        history = self.history
        mother = history.parent[cells]
        coming = history.axis[cells] + np.pi / 2
        past = np.where(mother >= 0, history.axis[mother] + np.pi / 2, coming)
        resting = coming + 0.8 * self.traits[cells, 1] + 0.15 * slow[:, 13]
        young = history.roundness[:, cells].argmax(0) == history.alive[:, cells].argmax(0)
        plate = np.where(young & (mother >= 0), past, coming)
        return resting + (plate - resting) * np.clip(1.5 * condensed, 0, 1)

    def _paint(
        self,
        time: int,
        cell: int,
        level: Float[np.ndarray, " pixel"],
        place: tuple[np.ndarray, np.ndarray],
        angle: float,
    ) -> Float[np.ndarray, " pixel"]:
        """Light from one nucleus at its pixels: denser where it is condensed, mottled by its chromatin."""
        history = self.history
        condensed, decay = history.roundness[time, cell], history.decay[time, cell]
        dy, dx = place[0] - PAD - history.place[time, cell, 0], place[1] - PAD - history.place[time, cell, 1]
        along = math.cos(angle) * dx - math.sin(angle) * dy
        across = -math.sin(angle) * dx - math.cos(angle) * dy
        offset = 256 + 40 * self.traits[cell, 2:6]
        fine = look_up(self.tiles[0], along + offset[0] + 8 * time, across + offset[1])
        coarse = look_up(self.tiles[1], along + offset[2] + 3 * time, across + offset[3])
        chromatin = 1 + self.appearance.texture * ((0.10 + 0.12 * condensed) * fine + 0.13 * coarse)
        dome = 0.72 + 0.28 * np.clip(level / (0.35 * math.sqrt(history.area[time, cell])), 0, 1)
        density = 1 + 1.9 * condensed**1.5 + 1.2 * decay
        return (self.brightness[cell] * density * dome * np.clip(chromatin, 0.3, 2)).astype(np.float32)


def _inherit_brightness(
    history: History, rng: np.random.Generator, *, difference: float
) -> Float[np.ndarray, " cell"]:
    """Brightness of every nucleus: very different between cells, alike in sisters."""
    draws = rng.normal(size=len(history.parent))
    fresh = BRIGHTNESS * np.exp(difference * np.where(draws < 0, DIM_SPREAD, BRIGHT_SPREAD) * draws)
    brightness = np.maximum(fresh, 12.0)
    for cell, mother in enumerate(history.parent):
        if mother >= 0:
            brightness[cell] = brightness[mother] * math.exp(0.12 * draws[cell])
    return brightness
