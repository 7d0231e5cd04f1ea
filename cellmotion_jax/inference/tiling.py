"""Prediction of maps of an image of any size, tile by tile."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tqdm
from jaxtyping import Array, Float, Float32, Int, Num

from cellmotion_jax.errors import InputError
from cellmotion_jax.settings import Range, Settings, Side


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiling(Settings):
    """How an image is cut into overlapping tiles. Lengths are in pixels of the network's input."""

    tile: Side = 512
    """Largest side of a tile, a multiple of the network's total pooling factor. Smaller images get smaller
    tiles."""
    margin: Annotated[int, Range(0, 2**13)] = 48
    """Width of the border of a tile whose predictions are not used, because part of their receptive field
    lies outside of the tile."""
    stride: Side | None = None
    """Step from tile to tile. None places the tiles such that their parts inside the margins touch without
    overlap."""
    batch_size: Annotated[int, Range(1, 4096)] = 1
    """Number of tiles per batch."""

    def check_together(self) -> None:
        """Refuses tiles without a middle, and strides that leave gaps."""
        middle = self.tile - 2 * self.margin
        if middle < 1:
            self.refuse("tile", f"it must exceed twice the margin of {self.margin} pixels")
        if self.stride is not None and self.stride > middle:
            self.refuse(
                "stride",
                f"for no pixel to be left out it is at most {middle}, the tile without its margins",
            )

    def stride_for(self, multiple: int) -> int:
        """Pixels from tile to tile for a network whose tiles are multiples of a length.

        Raises:
            InputError: If the tile is not such a multiple, or the step is smaller than one multiple.
        """
        if self.tile % multiple:
            self.refuse("tile", f"for this network it is a multiple of {multiple}")
        wanted = self.tile - 2 * self.margin if self.stride is None else self.stride
        if wanted < multiple:
            self.refuse(
                "stride" if self.stride is not None else "tile",
                f"with margins of {self.margin} tiles cannot go on by {multiple} pixels, as this network "
                "needs; choose a larger one",
            )
        return wanted // multiple * multiple


DEFAULT_TILING = Tiling()

PAPER_TILING = Tiling(tile=512, margin=0, stride=64)
"""Koyuncu et al. 2020, Section 3.3: 64 predictions are averaged for a pixel that is not near the border."""


def predict_tiled(
    predict: Callable[[Float[Array, "batch y x channel"]], Any],
    image: Float32[np.ndarray, "..."],
    *,
    tiling: Tiling,
    multiple: int,
) -> Any:
    """Applies a network to overlapping tiles of an image and averages the predictions of every pixel.

    A pixel is the mean over all tiles in which it lies at least the margin away from the edges. For that the
    image is continued beyond its borders by its mirror image (NumPy's ``symmetric``), by the margin rounded
    up to ``multiple``; no padded copy of it is made.

    Every tile begins at a multiple of ``multiple``, counted from the image's first pixel, and the stride is
    rounded down to one: the pooling windows of the network then lie where they would lie in the whole
    image. If the margin is at least half the receptive field, the result is that of the network on the whole
    mirrored image. With a smaller margin it differs by the influence of the pixels that are cut off.

    All tiles of an image have one shape, so that one program is compiled for images of one size. Without a
    stride the tiles are as small as their number allows: 600 pixels are cut into two tiles of 400, not of
    512. Memory is that of the image, of one batch, and of one float32 sum per pixel and map, however many
    tiles there are.

    Args:
        predict: Jitted; images ``[batch y x channel]`` to a pytree of maps ``[batch y x]``.
        image: Image ``[y x channel]``, standardised.
        tiling: Sizes of the tiles.
        multiple: Number of which the sides of a tile are multiples, ``2**depth`` for a network that halves
            its maps ``depth`` times.

    Returns:
        The pytree with maps ``[y x]``, NumPy, float32.

    Raises:
        ValueError: If the image is not of shape ``[y x channel]``, holds no pixel, or the maps do not have
            the size of the tile.
        InputError: If a pixel or a value of a map is not finite, the tile is no multiple of ``multiple`` or
            leaves less than that beside its margins, or the stride is smaller.
    """
    check_image(image)
    axes = [_plan_axis(size, tiling, multiple) for size in image.shape[:2]]
    corners = list(itertools.product(*(axis.starts for axis in axes)))
    batch = min(tiling.batch_size, len(corners))
    sums: list[Float32[np.ndarray, "y x"]] = []
    structure = None
    with tqdm.tqdm(total=len(corners), unit="tile", leave=False, delay=3, disable=None) as bar:
        for first in range(0, len(corners), batch):
            chosen = corners[first : first + batch]
            # The last batch is filled up, to be of the shape that is compiled.
            filled = chosen + chosen[-1:] * (batch - len(chosen))
            tiles = np.stack([_cut(image, axes, corner) for corner in filled])
            maps, structure = jax.tree.flatten(jax.device_get(predict(jnp.asarray(tiles))))
            sums = sums or [np.zeros(image.shape[:2], np.float32) for _ in maps]
            for total, parts in zip(sums, maps):
                if parts.shape != tiles.shape[:3]:
                    raise ValueError(f"predict made maps of shape {parts.shape} from tiles of {tiles.shape}")
                for corner, part in zip(chosen, parts):
                    there, here = zip(*(axis.kept(start) for axis, start in zip(axes, corner)))
                    total[there] += part[here]
            bar.update(len(chosen))
    rows, columns = (axis.counts() for axis in axes)
    for total in sums:
        total /= rows[:, None]
        total /= columns
        if not np.isfinite(total).all():
            raise InputError(
                "the network gives NaN or infinity: its weights are too large for this image. Train it "
                "again, or take another model."
            )
    return jax.tree.unflatten(structure, sums)


def check_image(image: Num[np.ndarray, "..."]) -> None:
    """Checks that an array is an image ``[y x channel]`` of finite numbers.

    Args:
        image: The array.

    Raises:
        ValueError: If it has other axes or no pixel.
        InputError: If a pixel is NaN or infinite; the first one is named.
    """
    if image.ndim != 3 or not image.size:
        raise ValueError(f"image must have the axes [y x channel] and a pixel, got shape {image.shape}")
    finite = np.isfinite(image).all(axis=-1)
    if not finite.all():
        y, x = np.unravel_index(np.argmin(finite), finite.shape)
        raise InputError(
            f"the image holds NaN or infinity in {np.count_nonzero(~finite)} pixels, the first in row {y}, "
            f"column {x}; fill such pixels, for instance with the median of the image."
        )


class _Axis(NamedTuple):
    """The tiles along one axis, in pixels from the image's first one."""

    size: int
    tile: int
    margin: int
    starts: tuple[int, ...]

    def pixels(self, start: int) -> Int[np.ndarray, " tile"]:
        """Indices of the pixels of a tile; pixels beyond the border are mirrored, repeatedly if necessary."""
        positions = np.arange(start, start + self.tile) % (2 * self.size)
        return np.minimum(positions, 2 * self.size - 1 - positions)

    def kept(self, start: int) -> tuple[slice, slice]:
        """Slices, of the image and of the tile, of the part that lies inside the margins and the image."""
        first = max(0, start + self.margin)
        end = min(self.size, start + self.tile - self.margin)
        return slice(first, end), slice(first - start, end - start)

    def counts(self) -> Float32[np.ndarray, " size"]:
        """Number of tiles that predict each position along the axis; for a pixel, multiply both axes."""
        counts = np.zeros(self.size, np.float32)
        for start in self.starts:
            counts[self.kept(start)[0]] += 1
        return counts


def _plan_axis(size: int, tiling: Tiling, multiple: int) -> _Axis:
    tile, margin = tiling.tile, tiling.margin
    stride = tiling.stride_for(multiple)
    before = _rounded_up(margin, multiple)
    # What the parts of the tiles within the margins have to cover, from the first of them on.
    covered = before - margin + size
    if tiling.stride is None:
        number = -(-covered // stride)
        stride = _rounded_up(-(-covered // number), multiple)
        tile = _rounded_up(stride + 2 * margin, multiple)
    else:
        tile = min(tile, _rounded_up(covered + 2 * margin, multiple))
        number = 1 + max(0, -(-(covered - (tile - 2 * margin)) // stride))
    return _Axis(size, tile, margin, tuple(i * stride - before for i in range(number)))


def _rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _cut(
    image: Float32[np.ndarray, "y x channel"], axes: list[_Axis], corner: tuple[int, ...]
) -> Float32[np.ndarray, "y2 x2 channel"]:
    rows, columns = (axis.pixels(start) for axis, start in zip(axes, corner))
    return image[rows[:, None], columns]
