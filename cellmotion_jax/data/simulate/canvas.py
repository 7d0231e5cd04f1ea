"""Who owns which pixel: outlines compete, every pixel goes to one cell, every cell keeps one piece."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

# Cells are drawn this far beyond the field, so that blur and halos are right at its border.
PAD = 24
# A cell of which less than this many pixels would be seen is not drawn at all.
MIN_VISIBLE = 30


@dataclasses.dataclass(frozen=True, eq=False)
class Outline:
    """The shape of one cell on a patch of the canvas.

    Attributes:
        top: First row of the patch on the canvas, the field and `PAD` pixels around it.
        left: First column.
        level: About the distance in pixels to the outline, positive inside.
    """

    top: int
    left: int
    level: Float[np.ndarray, "y x"]

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the patch lies on the canvas."""
        height, width = self.level.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def frame_patch(
    low: Float[np.ndarray, " 2"], high: Float[np.ndarray, " 2"], field: tuple[int, int]
) -> tuple[int, int, Float[np.ndarray, "y 1"], Float[np.ndarray, "1 x"]] | None:
    """The part of the canvas between two corners given in coordinates of the field.

    Returns:
        Its first row and column on the canvas, and its rows and columns in coordinates of the field; None
        where nothing of it lies on the canvas.
    """
    top, left = (max(0, int(np.floor(corner)) + PAD) for corner in low)
    bottom, right = (min(n + 2 * PAD, int(np.ceil(corner)) + PAD + 1) for corner, n in zip(high, field))
    if top >= bottom or left >= right:
        return None
    rows = np.arange(top - PAD, bottom - PAD, dtype=np.float32)[:, None]
    columns = np.arange(left - PAD, right - PAD, dtype=np.float32)[None, :]
    return top, left, rows, columns


def own_pixels(outlines: list[Outline], field: tuple[int, int]) -> Int[np.ndarray, "y x"]:
    """Gives every pixel of the canvas to the cell that reaches farthest over it.

    Of a cell that others cut apart the largest piece stays, and a cell of which less than `MIN_VISIBLE`
    pixels lie in the field disappears.

    Args:
        outlines: The cells' outlines.
        field: Height and width of the field.

    Returns:
        Index of the owner plus 1, 0 for background, on the canvas.
    """
    height, width = field
    owner = np.zeros((height + 2 * PAD, width + 2 * PAD), np.int32)
    best = np.zeros(owner.shape, np.float32)
    for index, outline in enumerate(outlines, start=1):
        window = outline.window
        wins = outline.level > best[window]
        owner[window][wins] = index
        best[window][wins] = outline.level[wins]
    owned = np.bincount(owner.ravel(), minlength=len(outlines) + 1)
    for index, outline in enumerate(outlines, start=1):
        part = owner[outline.window]
        if owned[index] < np.count_nonzero(outline.level > 0):
            _keep_largest_piece(part, index)
    seen = np.bincount(crop(owner).ravel(), minlength=len(outlines) + 1)
    for index in np.flatnonzero((seen < MIN_VISIBLE) & (np.arange(len(seen)) > 0)):
        part = owner[outlines[index - 1].window]
        part[part == index] = 0
    return owner


def _keep_largest_piece(part: Int[np.ndarray, "y x"], index: int) -> None:
    """Gives all but the largest piece of a cell back to the background."""
    mine = part == index
    pieces = np.empty(mine.shape, np.int32)
    ndimage.label(mine, output=pieces)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    if len(sizes) > 2:
        part[mine & (pieces != sizes.argmax())] = 0


def crop(canvas: np.ndarray) -> np.ndarray:
    """The field within the canvas."""
    return canvas[PAD:-PAD, PAD:-PAD]


@dataclasses.dataclass(frozen=True, eq=False)
class Drawing:
    """One frame as the microscope records it, and what is in it.

    Attributes:
        image: Grey values.
        owner: Index plus 1 of the cell that each pixel belongs to, 0 for background.
        tips: Cell index, row, column and length in pixels of every visible tip of a protrusion.
    """

    image: np.ndarray
    owner: Int[np.ndarray, "y x"]
    tips: list[tuple[int, float, float, float]]
