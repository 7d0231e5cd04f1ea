"""Overlap of two masks."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from cellmotion_jax.ops.numerics import check_same_shape, select


def jaccard_index(
    predictions: Bool[ArrayLike, "..."],
    targets: Bool[ArrayLike, "..."],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Float[Array, ""]:
    r"""Intersection over union of two masks.

    .. math:: J = \frac{|X \cap Y|}{|X \cup Y|}

    Eq. (3) of Gomez-de-Mariscal et al. 2021, over all pixels given at once.

    Args:
        predictions: Predicted mask.
        targets: True mask.
        where: Pixels that count; all if absent.

    Returns:
        A share in [0, 1]; 1 if both masks are empty.

    Raises:
        ValueError: If the shapes differ.

    >>> float(jaccard_index(jnp.array([True, True, False]), jnp.array([True, False, False])))
    0.5
    """
    check_same_shape(predictions=predictions, targets=targets, where=where)
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    both = jnp.sum(select(where, predictions & targets), dtype=jnp.float32)
    either = jnp.sum(select(where, predictions | targets), dtype=jnp.float32)
    return jnp.where(either > 0, both / jnp.maximum(either, 1), 1.0)
