"""Scale bars: of a round length, in micrometres where the size of a pixel is known, else in pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

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
    y, left = shape[0] * 0.965, shape[1] * 0.03
    (line,) = axes.plot([left, left + bar.pixels], [y, y], color="white", linewidth=3, solid_capstyle="butt")
    line.set(path_effects=[withStroke(linewidth=4.5, foreground="black")], in_layout=False)
    axes.annotate(
        bar.label,
        (left + bar.pixels / 2, y),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color="white",
        path_effects=[withStroke(linewidth=2.4, foreground="black")],
    )
