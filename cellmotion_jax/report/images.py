"""Drawing of microscopy images of any size and type, and of cell outlines over them.

Axes that show an image keep its own pixels as their coordinates, so that points (y, x) of the image are
drawn at ``(x, y)`` whatever the resolution of what lies below them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Integer, Shaped, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage

CONTRAST_PERCENTILES = (1, 99.8)
"""Percentiles shown as black and white; they clip noise below and the brightest nuclei above."""
DARK = 0.25
"""Images whose median grey is below this are brightened, by a square root at most."""
PIXELS_PER_INCH = 150
"""Resolution from which on images are reduced, a little above that of the pictures."""
LINES_PER_INCH = 110
"""A thin contour is this part of an inch wide."""
MOST_MAP_PIXELS = 800
"""Longest side from which on maps are averaged over blocks; their panels are small."""


def screen_image(image: Shaped[np.ndarray, "..."], *, most: int) -> Float32[np.ndarray, "y x *rgb"]:
    """Converts an image for drawing: at most ``most`` pixels on a side, from 0 (black) to 1 (white).

    Large images are averaged over blocks. Black and white are the percentiles 1 and 99.8 of what is left,
    of all colours together; where these are equal, because few pixels differ from the rest, they are the
    smallest and the largest value. A constant image becomes mid-grey. Pixels that are not finite are black.
    Where most of the image is dark, as in fluorescence, the greys between are lifted (a power between 1/2
    and 1, which brings the median towards 0.25), or faint cells that were missed could not be seen.

    Args:
        image: [y, x], [y, x, 1] or [y, x, 3] of any real type.
        most: Longest side.

    Returns:
        One number per pixel, or three for a colour image.

    Raises:
        ValueError: If it is no image with one or three channels, or has no pixels.
    """
    if image.ndim not in (2, 3) or not image.size or image.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"image must be [y, x], [y, x, 1] or [y, x, 3], got shape {image.shape}")
    small = image[..., 0] if image.shape[2:] == (1,) else image
    values = _block_means(small, _block(image.shape, most))
    return contrast_of(values).shares(values)


class Contrast(NamedTuple):
    """Contrast: map from values to greys; a movie uses that of its first frame that is not constant."""

    low: float
    """Value shown as black."""
    high: float
    """Value shown as white; equal to ``low`` for a constant image, which is drawn mid-grey."""
    power: float
    """Exponent; below 1 dark greys are brightened."""

    @property
    def is_constant(self) -> bool:
        """Whether all finite values of the image are equal, or none is finite."""
        return self.low == self.high

    def shares(self, values: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
        """From 0 (black) to 1 (white); black where a value is not finite."""
        if self.is_constant:
            return np.where(np.isfinite(values), np.float32(0.5), np.float32(0))
        finite = np.where(np.isfinite(values), values, self.low)
        stretched = np.clip((finite - self.low) / (self.high - self.low), 0, 1)
        return (stretched**self.power).astype(np.float32)


NOTHING_SEEN = Contrast(0.0, 0.0, 1.0)
"""Contrast of no image, or of an image without a finite pixel."""


def contrast_of(image: Shaped[np.ndarray, "..."]) -> Contrast:
    """The contrast in which :func:`screen_image` draws an image.

    Args:
        image: Array of any shape and real or boolean type.

    Returns:
        The contrast.
    """
    finite = image[np.isfinite(image)].astype(np.float64)
    if not finite.size:
        return NOTHING_SEEN
    low, high = (float(end) for end in np.percentile(finite, CONTRAST_PERCENTILES))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    if low == high:
        return Contrast(low, high, 1.0)
    median = np.clip((np.median(finite) - low) / (high - low), DARK**2, DARK)
    return Contrast(low, high, float(np.log(DARK) / np.log(median)))


def contour_overlay(
    labels: Integer[np.ndarray, "y x"],
    color: str,
    *,
    shape: tuple[int, int],
    thick: bool,
) -> UInt8[np.ndarray, "row column 4"]:
    """The outlines of all cells as an image to lay over another: opaque on outlines, else transparent.

    The label image is resized to the resolution of the picture first, so that outlines are equally thin
    over an image of 100 pixels and one of 4,000, also between touching cells. A cell smaller than a pixel
    of the picture may be left out. The edge of the image is no outline.

    Args:
        labels: Label image, 0 for background.
        color: Any colour of matplotlib. Transparent pixels have it too, so that blurring the overlay
            leaves no dark fringe.
        shape: Rows and columns of the overlay, which covers the whole image.
        thick: Two pixels wide, one on either side of the edges of cells; else one.

    Returns:
        Red, green, blue and opacity, 0 or 255.
    """
    rows, columns = (
        np.arange(wanted) * given // wanted for wanted, given in zip(shape, labels.shape, strict=True)
    )
    shown = labels[np.ix_(rows, columns)]
    below, beside = shown[1:] != shown[:-1], shown[:, 1:] != shown[:, :-1]
    outline = np.zeros(shape, bool)
    outline[:-1] |= below
    outline[:, :-1] |= beside
    if thick:
        outline[1:] |= below
        outline[:, 1:] |= beside
    overlay = np.empty((*shape, 4), np.uint8)
    overlay[..., :3] = np.round(255 * np.array(to_rgb(color)))
    overlay[..., 3] = 255 * outline
    return overlay


def draw_image(axes: Axes, image: Shaped[np.ndarray, "..."], *, inches: float) -> None:
    """Draws an image as :func:`screen_image` has it and makes its pixels the coordinates of the axes.

    Args:
        axes: Axes to draw in.
        image: [y, x], [y, x, 1] or [y, x, 3] of any real type.
        inches: About the longest side of the axes.
    """
    most = max(1, round(PIXELS_PER_INCH * inches))
    drawn = screen_image(image, most=most)
    axes.imshow(drawn, cmap="gray", vmin=0, vmax=1, extent=_extent(drawn.shape, _block(image.shape, most)))
    _frame(axes, image.shape)


def draw_map(axes: Axes, values: Float[np.ndarray, "y x"], shape: tuple[int, ...]) -> AxesImage:
    """Draws a predicted map over the coordinates of its image, in colours from 0 to 1.

    Args:
        axes: Axes to draw in; they get the coordinates of the image.
        values: One value per pixel, or per block of s x s pixels where the image was downsampled by s and
            rows and columns that do not fill a block were dropped.
        shape: That of the image.

    Returns:
        What a colour bar can be made for.

    Raises:
        ValueError: If ``values`` is not of the shape of the image downsampled by a whole number.
    """
    step = min(whole // max(part, 1) for whole, part in zip(shape, values.shape))
    if step < 1 or any(whole // step != part for whole, part in zip(shape, values.shape)):
        raise ValueError(
            f"a map has shape {values.shape}, but an image of shape {shape} divided by a whole number has not"
        )
    block = _block(values.shape, MOST_MAP_PIXELS)
    shown = _block_means(values, block)
    mappable = axes.imshow(shown, cmap="viridis", vmin=0, vmax=1, extent=_extent(shown.shape, step * block))
    _frame(axes, shape)
    return mappable


def draw_contours(
    axes: Axes,
    labels: Integer[np.ndarray, "y x"],
    color: str,
    *,
    size: tuple[float, float],
    thick: bool = True,
) -> None:
    """Draws the outlines of all cells over an image.

    Args:
        axes: Axes with an image of the same shape.
        labels: Label image, 0 for background.
        color: Colour of the lines.
        size: About the width and height of the axes in inches.
        thick: Lines of double width.
    """
    height, width = labels.shape
    scale = LINES_PER_INCH * min(size[0] / width, size[1] / height)
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    axes.imshow(
        contour_overlay(labels, color, shape=shape, thick=thick), extent=_extent(labels.shape, step=1)
    )
    _frame(axes, labels.shape)


def _block(shape: tuple[int, ...], most: int) -> int:
    """Side of the blocks that an image is averaged over to have at most ``most`` pixels on a side."""
    return math.ceil(max(shape[:2]) / most)


def _block_means(image: Shaped[np.ndarray, "..."], step: int) -> Float64[np.ndarray, "..."]:
    """Means over blocks of ``step`` x ``step`` pixels, over fewer at the end of rows and columns."""
    for axis in (0, 1):
        starts = np.arange(0, image.shape[axis], step)
        sums = np.add.reduceat(image, starts, axis=axis, dtype=np.float64)
        sizes = np.diff(starts, append=image.shape[axis])
        image = sums / sizes.reshape([-1 if i == axis else 1 for i in range(image.ndim)])
    return image


def _extent(shape: tuple[int, ...], step: int) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of pixels that each cover ``step`` x ``step`` pixels of the image."""
    return -0.5, shape[1] * step - 0.5, shape[0] * step - 0.5, -0.5


def _frame(axes: Axes, shape: tuple[int, ...]) -> None:
    axes.set_xlim(-0.5, shape[1] - 0.5)
    axes.set_ylim(shape[0] - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
