"""Where thin protrusions end, known from how they were drawn."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from cellmotion_jax.data.simulate.canvas import PAD
from cellmotion_jax.data.simulate.conditions import Conditions
from cellmotion_jax.data.simulate.phase_shape import PhaseCell
from cellmotion_jax.data.simulate.protrusion import Protrusion

# A tip counts from this distance to the cell's centre on, measured inside the cell.
MIN_LENGTH_UM = 20.0
# A disc of this radius around a tip is mostly not the cell (half of it is at a straight border), and two
# tips of a cell lie this far apart.
MIN_RELIEF_UM, MAX_SHARE = 4.0, 0.55


def find_tips(
    conditions: Conditions, shape: PhaseCell, owner: Int[np.ndarray, "y x"], index: int
) -> list[tuple[float, float, float]]:
    """The tips of one cell that can be seen.

    The centre of a cell is the maximum of the Euclidean distance transform of its mask, as in
    Gomez-de-Mariscal et al. 2021. The length of a protrusion is that of the shortest way from the centre
    to the tip that runs straight to some point of the protrusion's axis, inside the mask, and follows the
    axis from there.

    Args:
        conditions: The settled simulation.
        shape: The cell.
        owner: Who owns each pixel of the field.
        index: The cell's number in there.

    Returns:
        Row, column and length in pixels of every tip at least `MIN_LENGTH_UM` from the centre.
    """
    if not shape.protrusions:
        return []
    rows, columns = (slice(max(0, s.start - PAD), max(0, s.stop - PAD)) for s in shape.outline.window)
    mask = owner[rows, columns] == index
    if not mask.any():
        return []
    corner = np.array([rows.start, columns.start], float)
    depth = np.asarray(ndimage.distance_transform_edt(mask))
    centre = np.array(np.unravel_index(depth.argmax(), depth.shape)) + corner
    found: list[tuple[float, float, float]] = []
    for protrusion in sorted(shape.protrusions, key=lambda one: -one.length):
        tip = shape.origin + protrusion.tip
        if not _is_inside(mask, (tip - corner)[None])[0]:
            continue
        row, column = np.rint(tip + PAD - (shape.outline.top, shape.outline.left)).astype(int)
        inside = shape.lamella[row, column] > 0 or shape.body[row, column] < 1
        crowd = any(np.hypot(*(tip - other[:2])) < conditions.pixels(MIN_RELIEF_UM) for other in found)
        if inside or crowd or not _is_end(mask, tip - corner, conditions.pixels(MIN_RELIEF_UM)):
            continue
        length = _way(protrusion, centre - shape.origin, mask, corner - shape.origin)
        if conditions.pixels(MIN_LENGTH_UM) <= length < np.inf:
            found.append((float(tip[0]), float(tip[1]), length))
    return found


def _way(
    protrusion: Protrusion,
    centre: Float[np.ndarray, " 2"],
    mask: Bool[np.ndarray, "y x"],
    corner: Float[np.ndarray, " 2"],
) -> float:
    """Length of the way from the centre to the tip; infinite where no straight line meets the axis."""
    # Half a pixel from point to point: no gap is jumped.
    axis = protrusion.axis(np.linspace(0, protrusion.length, max(2, int(2 * protrusion.length))))
    pieces = np.hypot(*np.diff(axis, axis=0).T)
    rest = np.concatenate([np.cumsum(pieces[::-1])[::-1], [0.0]])
    whole = _is_inside(mask, axis - corner)[::-1].cumprod()[::-1].astype(bool)
    shortest = np.inf
    for point, way in zip(axis[whole][::6], rest[whole][::6]):
        gap = float(np.hypot(*(point - centre)))
        line = np.linspace(0, 1, int(2 * gap) + 2)[:, None]
        if gap + way < shortest and _is_inside(mask, centre + line * (point - centre) - corner).all():
            shortest = gap + float(way)
    return shortest


def _is_end(mask: Bool[np.ndarray, "y x"], point: Float[np.ndarray, " 2"], radius: float) -> bool:
    """Whether little of a disc around a point belongs to the mask."""
    rows, columns = (np.arange(n) - place for n, place in zip(mask.shape, point))
    disc = np.hypot(rows[:, None], columns) <= radius
    return float(mask[disc].mean()) < MAX_SHARE


def _is_inside(mask: Bool[np.ndarray, "y x"], points: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
    """Whether the pixel nearest to each point belongs to the mask."""
    rows, columns = np.rint(points).astype(int).T
    height, width = mask.shape
    known = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return known & mask[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
