"""Identity switches: how often tracks jump from one cell to another."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Int

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_where
from cellmotion_jax.ops.numerics import check_same_shape


class IdentitySwitches(NamedTuple):
    """The cell that each track follows in each frame, and the number of changes."""

    switches: Int[Array, " track"]
    """Number of times each track follows another cell than the last one that it followed."""
    cells: Int[Array, "frame track"]
    """Index in ``references`` of the cell that each track follows, -1 for none."""


def identity_switches(
    predictions: Number[ArrayLike, "frame track 2"] | Sequence,
    references: Number[ArrayLike, "_ cell 2"] | Sequence,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
    *,
    radius: Number[ArrayLike, ""],
) -> IdentitySwitches:
    """Counts changes of the reference cell that is nearest to each track.

    A track follows the nearest of all reference cells that are alive in the frame, if this cell is at most
    ``radius`` away; of cells at the same distance, the first. A switch is a frame in which it follows another
    cell than in the last frame in which it followed any, however many frames ago that was. So a track that
    jumps to a neighbour and back has two.

    Deviation from the ID switches of MOTA (Bernardin and Stiefelhagen 2008): there tracks are matched to
    cells one to one and switches belong to cells; here every track is evaluated independently, so that two
    tracks on one cell are possible. When a reference cell divides and its track continues on a daughter, this
    is also a switch; exclude the frames after the division by ``where`` if it should not count.

    Args:
        predictions: Points (y, x) of the tracks, NaN where they have none.
        references: Centroids of all cells [frame, cell, 2], NaN where they are not alive.
        where: Frames in which each track counts [frame, track]; all if absent.
        radius: Pixels, for instance the radius of a cell.

    Returns:
        The count of each track, and the cells.

    Raises:
        ValueError: If the numbers of frames differ or ``where`` has another shape than the tracks.

    >>> cells = jnp.array([[[0.0, 0.0], [9.0, 0.0]]] * 3)
    >>> track = jnp.array([[[1.0, 0.0]], [[4.5, 0.0]], [[8.0, 0.0]]])
    >>> found = identity_switches(track, cells, radius=3.0)
    >>> found.switches.tolist(), found.cells.ravel().tolist()
    ([1], [0, -1, 1])
    """
    predictions = to_floats("predictions", predictions, "frame track 2")
    references = to_floats("references", references, "frame cell 2")
    radius, where = to_floats("radius", radius, ""), to_where(where)
    if len(predictions) != len(references):
        raise ValueError(
            f"predictions and references must have the same frames, got the shapes {predictions.shape} and "
            f"{references.shape}"
        )
    frames_of_tracks = predictions[..., 0]
    check_same_shape(predictions=frames_of_tracks, where=where)
    counted = jnp.ones(frames_of_tracks.shape, bool) if where is None else where
    if not references.shape[1]:
        return IdentitySwitches(
            jnp.zeros(predictions.shape[1], jnp.int32), jnp.full(counted.shape, -1, jnp.int32)
        )

    # Frame by frame, so that memory does not grow with frames x tracks x cells.
    def step(
        last: Int[Array, " track"], frame: tuple[Array, Array, Array]
    ) -> tuple[Int[Array, " track"], tuple[Array, Array]]:
        points, cells, counts = frame
        squared = jnp.sum((points[:, None] - cells[None]) ** 2, axis=-1)
        squared = jnp.where(jnp.isnan(squared), jnp.inf, squared)
        near = counts & (jnp.min(squared, axis=1) <= radius**2)
        cell = jnp.where(near, jnp.argmin(squared, axis=1).astype(jnp.int32), -1)
        switched = near & (last >= 0) & (cell != last)
        return jnp.where(near, cell, last), (switched, cell)

    nowhere = jnp.full(predictions.shape[1], -1, jnp.int32)
    _, (switched, cells) = jax.lax.scan(step, nowhere, (predictions, references, counted))
    return IdentitySwitches(jnp.sum(switched, axis=0, dtype=jnp.int32), cells)
