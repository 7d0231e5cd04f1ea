"""Positions of points relative to their nearest neighbours."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_mask
from cellmotion_jax.ops.host_arguments import one_integer


def nearest_offsets(
    points: Number[ArrayLike, "point 2"] | Sequence,
    others: Number[ArrayLike, "other 2"] | Sequence,
    where: Mask[ArrayLike, "point other"] | Sequence,
    *,
    count: int,
) -> Float[Array, "point count 2"]:
    """Offsets from every point to its nearest neighbours, nearest first.

    The relative position encoding of Chen et al. 2021, Section 2.2, before its normalisation. Of neighbours
    at one distance the first comes first.

    Args:
        points: (y, x).
        others: (y, x) of what may be neighbours.
        where: Which of them count for each point; a point itself should not.
        count: Number of neighbours.

    Returns:
        (dy, dx) to each neighbour; 0 where a point has fewer.

    Raises:
        ValueError: If ``where`` has not one row per point and one column per other.

    >>> centres = jnp.array([[0.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
    >>> nearest_offsets(centres, centres, ~jnp.eye(3, dtype=bool), count=3)[0].tolist()
    [[0.0, 3.0], [4.0, 0.0], [0.0, 0.0]]
    """
    points, others = to_floats("points", points, "point 2"), to_floats("others", others, "other 2")
    where, count = to_mask("where", where, "point other"), one_integer("count", count)
    if where.shape != (len(points), len(others)):
        raise ValueError(
            f"where must have a row for each of {len(points)} points and a column for each of {len(others)} "
            f"others; it has the shape {where.shape}"
        )
    missing = max(0, count - len(others))
    others = jnp.pad(others, ((0, missing), (0, 0)))
    where = jnp.pad(where, ((0, 0), (0, missing)))
    offsets = others[None] - points[:, None]
    wide = offsets.astype(jnp.promote_types(offsets.dtype, jnp.float32))
    squares = jnp.where(where, jnp.sum(jnp.square(wide), axis=-1), jnp.inf)
    _, nearest = jax.lax.top_k(-squares, count)
    found = jnp.take_along_axis(where, nearest, axis=1)
    return jnp.where(found[..., None], jnp.take_along_axis(offsets, nearest[..., None], axis=1), 0)
