"""Random changes of a window of two frames, turned and scaled in the same way in both, and its boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from cellmotion_jax.methods.celltrack_rcnn.pairs import UNKNOWN
from cellmotion_jax.ops.warp import affine_warp, warp_labels
from cellmotion_jax.settings import Exponent, NotNegative, Settings, Share, Side

SMALLEST_AREA = 12
"""Pixels of a cell in an image; of a smaller rest of a cell it is not known what it is."""


class PairInputs(NamedTuple):
    """Both frames of a batch of pairs with their annotation, for `training_pass.TrainingPass`."""

    pixels: Float[Array, "batch 2 y x"]
    """Grey levels."""
    number: Int[Array, "batch 2 y x"]
    """Number of the cell of a pixel, 0 for background, `pairs.UNKNOWN` where it is not known."""
    boxes: Float[Array, "batch 2 cell 4"]
    """Box of every cell, as far as it is within the image."""
    where: Bool[Array, "batch 2 cell"]
    """Which cells are in the image."""
    centres: Float[Array, "batch 2 cell 2"]
    """Middle of the box of every cell, also of those beyond the image."""
    present: Bool[Array, "batch 2 cell"]
    """Which cells count as neighbours."""
    source: Int[Array, "batch cell"]
    """Number of the cell of the first frame that a cell of the second comes from, 0 for none."""
    key: UInt32[Array, "batch 2"]
    """Data of the random key of the samples drawn for the losses."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowAugmentation(Settings):
    """Random parts of a window, turned, mirrored, scaled and changed in brightness.

    Both frames are turned and scaled in the same way. Their parts lie in different places: a network knows
    from the padding of its convolutions where in an image a cell is, and with the same part of both frames
    it learns to compare places instead of cells. Brightness, contrast and noise differ a little, as bleaching
    and the lamp make them differ.
    """

    crop: Side = 256
    """Rows and columns of the images that the network is trained on, a multiple of 32."""
    turns: bool = True
    """Turn by a random quarter and mirror in half of the cases."""
    rotation: Share = 0.05
    """Largest further rotation either way, as a fraction of half a turn."""
    scale: Exponent = 0.15
    """Largest change of scale either way: lengths are multiplied by the exponential of it."""
    contrast: Exponent = 0.3
    """Largest change of contrast either way: the images are multiplied by the exponential of it."""
    brightness: NotNegative = 0.2
    """Largest shift of brightness either way."""
    bleaching: Exponent = 0.1
    """Largest further change of contrast of the second frame."""
    noise: NotNegative = 0.1
    """Largest standard deviation of white noise."""
    missed: Share = 0.05
    """Share of the cells that do not count as neighbours of others, as if they had been missed."""

    def __call__(self, key: Array, batch: Mapping[str, Array]) -> dict[str, PairInputs]:
        """Cuts the input of a training pass from windows [batch, ...] of `records.WindowSource`."""
        keys = jax.random.split(key, batch["image"].shape[0])
        named = {name: batch[name] for name in ("image", "number", "centre", "present", "source")}
        return {"image": jax.vmap(self._one)(keys, named)}

    def _one(self, key: Array, window: dict[str, Array]) -> PairInputs:
        place_key, light_key, noise_key, missed_key, sample_key = jax.random.split(key, 5)
        side = window["image"].shape[-1]
        forward, starts = self._placement(place_key, side)
        # The inverse map, from output to input; sums, since accelerators may round products of matrices.
        back = jnp.linalg.inv(forward)
        middle = (self.crop - 1) / 2
        shape = (self.crop, self.crop)

        def part(image: Array, number: Array, start: Array) -> tuple[Array, Array]:
            matrix = jnp.concatenate([back, (start - jnp.sum(back * middle, axis=1))[:, None]], axis=1)
            pixels = affine_warp(image[..., None], matrix, output_shape=shape)[..., 0]
            return pixels, warp_labels(number, matrix, fill=UNKNOWN, output_shape=shape)

        pixels, number = jax.vmap(part)(window["image"], window["number"], starts)
        offset = window["centre"] - 0.5 - starts[:, None]
        centres = jnp.sum(forward[None, None] * offset[:, :, None], axis=-1) + middle + 0.5
        boxes, area = jax.vmap(lambda labels: label_boxes(labels, count=window["present"].shape[1]))(number)
        where = area >= SMALLEST_AREA
        rest = jnp.concatenate([jnp.zeros((2, 1), bool), (area > 0) & ~where], axis=1)
        small = jax.vmap(lambda rest, number: rest[jnp.minimum(number, rest.shape[0] - 1)])(rest, number)
        missed = jax.random.uniform(missed_key, window["present"].shape) < self.missed
        return PairInputs(
            pixels=self._lit(light_key, noise_key, pixels),
            number=jnp.where(small & (number != UNKNOWN), UNKNOWN, number),
            boxes=boxes,
            where=where,
            centres=centres,
            present=window["present"] & ~missed,
            source=window["source"],
            key=jax.random.key_data(sample_key),
        )

    def _placement(self, key: Array, side: int) -> tuple[Float[Array, "2 2"], Float[Array, "frame 2"]]:
        """How content is turned and scaled, and the point of each frame that comes to the middle."""
        turn_key, size_key, shift_key = jax.random.split(key, 3)
        transposed, *mirrored = jax.random.bernoulli(turn_key, shape=(3,)) & self.turns
        signs = 1.0 - 2.0 * jnp.stack(mirrored)
        turn = signs[:, None] * jnp.where(transposed, jnp.eye(2)[::-1], jnp.eye(2))
        angle, size, chance = jax.random.uniform(size_key, (3,), minval=-1, maxval=1)
        # Half of the windows are not resampled: frames are not either.
        resampled = chance > 0
        angle = jnp.where(resampled, jnp.pi * self.rotation * angle, 0.0)
        scale = jnp.where(resampled, jnp.exp(self.scale * size), 1.0)
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        rotation = jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])
        forward = scale * jnp.sum(rotation[:, :, None] * turn[None], axis=1)
        free = jnp.maximum(side - self.crop / scale, 0) / 2
        place = jnp.array([[-0.5, -0.5], [0.5, 0.5]])
        if self.turns:
            place = jax.random.uniform(shift_key, (2, 2), minval=-1, maxval=1)
        # Whole pixels away from the corner, so that a crop of any side is not interpolated by half a pixel.
        middle = (side - self.crop) // 2 + (self.crop - 1) / 2
        return forward, middle + jnp.round(free * place)

    def _lit(self, light_key: Array, noise_key: Array, pixels: Float[Array, "2 y x"]) -> Array:
        gain, shift, fading = jax.random.uniform(light_key, (3,), minval=-1, maxval=1)
        factors = jnp.exp(self.contrast * gain + jnp.stack([jnp.zeros(()), self.bleaching * fading]))
        level_key, white_key = jax.random.split(noise_key)
        noise = self.noise * jax.random.uniform(level_key) * jax.random.normal(white_key, pixels.shape)
        return pixels * factors[:, None, None] + self.brightness * shift + noise


def unchanged(augmentation: WindowAugmentation) -> WindowAugmentation:
    """The same two parts of every window, on either side of its middle, without any change."""
    return WindowAugmentation(
        crop=augmentation.crop,
        turns=False,
        rotation=0.0,
        scale=0.0,
        contrast=0.0,
        brightness=0.0,
        bleaching=0.0,
        noise=0.0,
        missed=0.0,
    )


def label_boxes(
    labels: Int[Array, "y x"], *, count: int
) -> tuple[Float[Array, "count 4"], Int[Array, " count"]]:
    """Tight boxes and areas of the labels 1 to ``count`` of an image, inside a compiled step.

    Args:
        labels: Label image; other labels are passed over.
        count: Number of labels.

    Returns:
        ``(y0, x0, y1, x1)``, half-open, and pixels; 0 for a label that does not occur.
    """
    y, x = labels.shape
    index = jnp.where((labels > 0) & (labels <= count), labels, 0).ravel()
    rows, columns = (grid.ravel() for grid in jnp.meshgrid(jnp.arange(y), jnp.arange(x), indexing="ij"))
    places = jnp.stack([-rows, -columns, rows + 1, columns + 1], axis=-1)
    # One pass over the pixels finds all four sides as maxima.
    largest = jnp.full((count + 1, 4), -max(y, x), jnp.int32).at[index].max(places.astype(jnp.int32))[1:]
    area = jnp.zeros(count + 1, jnp.int32).at[index].add(1)[1:]
    boxes = jnp.concatenate([-largest[:, :2], largest[:, 2:]], axis=-1)
    return jnp.where(area[:, None] > 0, boxes, 0).astype(jnp.float32), area
