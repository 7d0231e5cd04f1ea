"""Random sampling of pixels of an image, inside a compiled step."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from cellmotion_jax.ops.numerics import check_same_shape


def draw_pixel(
    key: Array,
    foreground: Bool[Array, "y x"],
    *,
    weight: float | Float[Array, ""],
    where: Bool[Array, "..."],
) -> Int[Array, "2"]:
    r"""Draws one pixel, with a probability proportional to a weight in the foreground and to 1 elsewhere.

    .. math:: P(p) = \frac{w^{f(p)}}{w N_f + N_b}

    where :math:`f` is 1 on the :math:`N_f` foreground pixels that may be drawn and 0 on the :math:`N_b`
    others (Gomez-de-Mariscal et al. 2021, Section 3.1, "training data sampling strategy"). Drawn through the
    cumulative distribution, factorised exactly into a class and a pixel of that class: a cumulative sum of
    the weights themselves, in float32, would lose the background beside a foreground of 50,000 each. Sums
    over rows, and then over the one row that holds the pixel, do with O(y + x) what is sequential.

    Args:
        key: JAX random key.
        foreground: Pixels of cells.
        weight: Weight of a foreground pixel, from 0 on; 1 draws all pixels alike.
        where: Pixels that may be drawn.

    Returns:
        (y, x) of the pixel; the middle of the image if none may be drawn.

    Raises:
        ValueError: If the shapes differ.
    """
    check_same_shape(foreground=foreground, where=where)
    class_key, pixel_key = jax.random.split(key)
    cells, others = foreground & where, ~foreground & where
    cell_count, other_count = jnp.sum(cells), jnp.sum(others)
    weighted = weight * cell_count
    chosen = jax.random.uniform(class_key) * (weighted + other_count) < weighted
    # By weight alone: with a weight of 0 an image full of cells still has a pixel to draw.
    chosen = jnp.where(other_count == 0, True, chosen) & (cell_count > 0)
    mask = jnp.where(chosen, cells, others)

    of_row = jnp.cumsum(jnp.sum(mask, axis=1))
    rank = jax.random.randint(pixel_key, (), 0, jnp.maximum(of_row[-1], 1))
    row = jnp.searchsorted(of_row, rank, side="right")
    before = jnp.where(row > 0, of_row[row - 1], 0)
    column = jnp.searchsorted(jnp.cumsum(mask[row]), rank - before, side="right")
    middle = jnp.array(mask.shape) // 2
    return jnp.where(of_row[-1] > 0, jnp.stack([row, column]), middle).astype(jnp.int32)
