"""Overlap of two masks."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Mask, to_mask, to_where
from cellmotion_jax.ops.numerics import check_same_shape, select


def jaccard_index(
    predictions: Mask[ArrayLike, "..."] | Sequence,
    targets: Mask[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, ""]:
    r"""Intersection over union of two masks.

    .. math:: J = \frac{|X \cap Y|}{|X \cup Y|}

    Eq. (3) of Gomez-de-Mariscal et al. 2021, over all pixels given at once.

    Args:
        predictions: Predicted mask; of whole numbers, such as labels, what is not 0.
        targets: True mask.
        where: Pixels that count; all if absent.

    Returns:
        A share in [0, 1]; 1 if both masks are empty.

    Raises:
        ValueError: If the shapes differ.

    >>> float(jaccard_index(jnp.array([True, True, False]), jnp.array([True, False, False])))
    0.5
    """
    predictions, targets = to_mask("predictions", predictions), to_mask("targets", targets)
    where = to_where(where)
    check_same_shape(predictions=predictions, targets=targets, where=where)
    both = jnp.sum(select(where, predictions & targets), dtype=jnp.float32)
    either = jnp.sum(select(where, predictions | targets), dtype=jnp.float32)
    return jnp.where(either > 0, both / jnp.maximum(either, 1), 1.0)
