"""Scale bars: of a round length, in micrometres where the size of a pixel is known, else in pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

SHARE = 0.22
"""Largest part of the width of an image that its scale bar takes."""


class ScaleBar(NamedTuple):
    """Length of a scale bar."""

    pixels: float
    """Length in pixels of the image."""
    label: str
    """Length with its unit."""


def scale_bar(width: int, pixel_size_um: float | None, *, share: float = SHARE) -> ScaleBar:
    """A scale bar for an image: 1, 2 or 5 times a power of ten.

    Args:
        width: Width of the image in pixels.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
        share: Largest part of the width that it takes.

    Returns:
        Its length.

    >>> scale_bar(512, 0.65), scale_bar(512, None)
    (ScaleBar(pixels=76.92307692307692, label='50 µm'), ScaleBar(pixels=100.0, label='100 px'))
    """
    size, unit = (1.0, "px") if pixel_size_um is None else (pixel_size_um, "µm")
    longest = share * width * size
    decade = 10.0 ** math.floor(math.log10(longest))
    length = max(step * decade for step in (1, 2, 5) if step * decade <= longest)
    return ScaleBar(length / size, f"{length:g} {unit}")


def draw_scale_bar(axes: Axes, shape: tuple[int, ...], pixel_size_um: float | None) -> None:
    """Draws a scale bar in the lower left corner of an image.

    Args:
        axes: Axes with the image.
        shape: Its rows and columns.
        pixel_size_um: Side of a pixel in micrometres, None where it is not known.
    """
    bar = scale_bar(shape[1], pixel_size_um)
    drawn = AnchoredSizeBar(
        axes.transData,
        bar.pixels,
        bar.label,
        "lower left",
        pad=0.3,
        borderpad=0.5,
        sep=3,
        color="white",
        size_vertical=max(shape[0] // 150, 1),
        fill_bar=True,
        fontproperties=FontProperties(size=9),
    )
    # White on black is seen on every image.
    drawn.patch.set(facecolor="black", edgecolor="none", alpha=0.65)
    drawn.set_in_layout(False)
    axes.add_artist(drawn)
