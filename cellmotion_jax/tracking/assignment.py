"""Assignment of positions to all cells jointly, so that two tracks never follow one cell."""

from __future__ import annotations

import dataclasses
from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.ops.fourier import first_maximum, signed_shifts
from cellmotion_jax.settings import NotNegative, Positive, Range, Settings

FORBIDDEN = 1e6
"""Cost of a forbidden pair; larger than any sum of allowed costs of one row, and exact in float32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exclusion(Settings):
    """Settings of the assignment of positions to tracks by response (Jackson-Smith 2016, Section 7)."""

    radius: Positive = 8.0
    """Two peaks closer than this many pixels count as one cell; half a cell on the grid."""
    division: NotNegative = 16.0
    """Largest distance in pixels from the last position of a dividing cell to its daughters."""
    peaks: Annotated[int, Range(1, 64)] = 3
    """Number of peaks of each cell's map that are candidate positions for all cells."""
    missing: NotNegative = 8.0
    """Cost of leaving a cell unassigned, as a difference of log probability (natural logarithm) to its best
    position: a cell whose assigned position would be less likely than that counts as not found in this
    frame."""


class Places(NamedTuple):
    """Result of the assignment.

    Attributes:
        flat_index: Flat index into each cell's map; that of the zero shift for a cell without a position.
        seen: Whether a cell was given a position.
    """

    flat_index: Int[Array, " cell"]
    seen: Bool[Array, " cell"]


def exclusive_places(
    logits: Float[Array, "cell y x"],
    origins: Float[Array, "cell 2"],
    steps: Float[Array, " cell"],
    active: Bool[Array, " cell"],
    exclusion: Exclusion,
) -> Places:
    """The jointly most likely positions of all cells; each position is given to at most one cell.

    The highest local maxima of every cell's map are candidates; of candidates that lie closer together than
    the radius only the most likely is kept. The cost of a cell at a candidate is minus the highest log
    probability that its own map has in the 3 x 3 pixels there, and infinite outside its window. Each cell may
    also stay unassigned, at the cost of its best position plus ``missing``; of two cells that have only one
    common position, the one with the higher probability gets it. The sum of the costs is minimised exactly
    (Hungarian algorithm): for n cells and k peaks (nk)^2 distances and O(k n^3) steps.

    Args:
        logits: Log probability of each shift, per cell.
        origins: Pixel at the zero shift of each map, whole numbers.
        steps: Pixels between the entries of each map.
        active: Whether a cell is tracked in this frame.
        exclusion: Settings.

    Returns:
        One position per cell. Inactive cells are never seen.
    """
    cells, height, width = logits.shape
    cell = jnp.arange(cells)
    neighbourhood = _highest_of_three(_highest_of_three(logits, axis=1), axis=2)
    summits = jnp.where(logits >= neighbourhood, logits, -FORBIDDEN)
    values, summit = _highest(summits, exclusion.peaks)
    shifts = jnp.stack(
        [
            jnp.asarray(signed_shifts(height))[summit // width],
            jnp.asarray(signed_shifts(width))[summit % width],
        ],
        axis=-1,
    )
    points = (origins[:, None] + shifts * steps[:, None, None]).reshape(-1, 2)
    values = jnp.where(active[:, None], values, -FORBIDDEN).reshape(-1)
    kept = _best_of_close(points, values, exclusion.radius) & (values > -FORBIDDEN)

    shifts = jnp.round((points[None] - origins[:, None]) / steps[:, None, None]).astype(jnp.int32)
    sides = np.array([[[height, width]]])
    within = jnp.all(jnp.abs(shifts) < sides // 2, axis=-1) & kept[None] & active[:, None]
    wrapped = shifts % sides
    at = jnp.where(within, neighbourhood[cell[:, None], wrapped[..., 0], wrapped[..., 1]], -FORBIDDEN)
    best = jnp.where(active, jnp.max(logits, axis=(1, 2)), 0.0)
    # Relative to its best any cell loses the same by going unseen. A hundredth of the best itself decides
    # between two that have but one place, so that the surer has it.
    price = exclusion.missing + 0.01 * best
    unseen = jnp.where(jnp.eye(cells, dtype=bool), price[:, None], FORBIDDEN)
    # Costs relative to each cell's best: the sum over cells is shifted by a constant, and float32 keeps its
    # digits.
    costs = jnp.concatenate([jnp.where(within, best[:, None] - at, FORBIDDEN), unseen], axis=1)
    rows, columns = optax.assignment.hungarian_algorithm(costs)
    column = jnp.zeros(cells, jnp.int32).at[rows].set(columns.astype(jnp.int32))
    seen = active & (column < len(points))
    given = wrapped[cell, jnp.minimum(column, len(points) - 1)]
    return Places(jnp.where(seen, _climb(logits, given), 0), seen)


def _highest_of_three(maps: Float[Array, "cell y x"], *, axis: int) -> Float[Array, "cell y x"]:
    """The highest of every entry and its two neighbours along an axis, around the border."""
    return jnp.maximum(maps, jnp.maximum(jnp.roll(maps, 1, axis), jnp.roll(maps, -1, axis)))


def _highest(
    maps: Float[Array, "cell y x"], count: int
) -> tuple[Float[Array, "cell peak"], Int[Array, "cell peak"]]:
    """The highest entries of each map and their flat indices; repeated argmax is cheaper than a sort."""
    cells = maps.shape[0]
    entries = np.arange(maps[0].size, dtype=np.int32).reshape(1, *maps.shape[1:])
    values, indices = [], []
    for _ in range(count):
        index = first_maximum(maps)
        values.append(jnp.take_along_axis(maps.reshape(cells, -1), index[:, None], axis=1)[:, 0])
        indices.append(index)
        maps = jnp.where(entries == index[:, None, None], -FORBIDDEN, maps)
    return jnp.stack(values, axis=1), jnp.stack(indices, axis=1)


def _best_of_close(
    points: Float[Array, "place 2"], values: Float[Array, " place"], radius: float
) -> Bool[Array, " place"]:
    """Whether a point has the highest value within a radius; of equal values, the first counts."""
    apart = points[:, None] - points[None]
    close = jnp.sum(jnp.square(apart), axis=-1) < radius**2
    number = jnp.arange(len(points))
    earlier = (values[None] == values[:, None]) & (number[None] < number[:, None])
    return ~jnp.any(close & ((values[None] > values[:, None]) | earlier), axis=1)


def _climb(logits: Float[Array, "cell y x"], start: Int[Array, "cell 2"]) -> Int[Array, " cell"]:
    """Flat index of the highest entry in the 3 x 3 entries around given ones, around the border."""
    cells, height, width = logits.shape
    steps = np.array([(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)])
    around = (start[:, None] + steps[None]) % np.array([[[height, width]]])
    values = logits[jnp.arange(cells)[:, None], around[..., 0], around[..., 1]]
    chosen = around[jnp.arange(cells), jnp.argmax(values, axis=1)]
    return chosen[:, 0] * width + chosen[:, 1]
