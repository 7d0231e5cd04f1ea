"""Places for all cells together, so that two tracks do not sit on one cell."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.ops.fourier import first_maximum, signed_shifts

FORBIDDEN = 1e6
"""Cost of a pair that must not be; above any sum of real costs of one row, and exact in float32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exclusion:
    """How tracks compete for places: responses are costs of an assignment (Jackson-Smith 2016, Section 7)."""

    radius: float = 8.0
    """Pixels within which two peaks are one cell; half a cell on the grid."""
    division: float = 16.0
    """Pixels from the last place of a dividing cell within which its daughters are born."""
    peaks: int = 3
    """Peaks of each cell's own map that are places for all."""
    missing: float = 8.0
    """How much less likely (natural logarithm) a place may be than a cell's best before the cell rather
    counts as not seen in this frame."""

    def __post_init__(self) -> None:
        """Refuses settings without a meaning."""
        if not (self.radius > 0 and self.peaks >= 1):
            raise ValueError(f"radius is {self.radius} and peaks is {self.peaks}; both are positive")


class Places(NamedTuple):
    """What the assignment gave.

    Attributes:
        flat_index: Flat index into each cell's map; where a cell was given no place, that of the zero shift.
        seen: Whether a cell was given a place.
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
    """The most likely places of all cells together, each place given to one cell at most.

    The highest local maxima of every cell's map are candidates; of candidates that lie closer together than
    the radius the most likely remains. The cost of a cell at a candidate is minus the highest log
    probability that its own map has in the 3 x 3 pixels there, and infinite outside its window. Each cell
    may also go unseen, at the price of its best place plus ``missing``; of two with no other place the surer
    one stays. The sum of the costs is minimised exactly (Hungarian algorithm): for n cells and k peaks (nk)^2
    distances and O(k n^3) steps.

    Args:
        logits: Log probability of each shift, per cell.
        origins: Pixel at the zero shift of each map, whole numbers.
        steps: Pixels between the entries of each map.
        active: Which cells take part.
        exclusion: Settings.

    Returns:
        One place per cell. Cells that take no part are not seen.
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
    """The highest entries of each map and their flat indices; a few passes cost less than a sort."""
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
    """Whether a point has the highest value, the first of equals, of all within a radius."""
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
