r"""Element-wise squared errors of distance and probability maps, for DeepDistance.

Koyuncu et al., *DeepDistance: A Multi-task Deep Regression Model for Cell Detection in Inverted Microscopy
Images*, 2020, Sections 3.1.2 and 3.2: the mean squared error for every task, with weights 1, 1 and 0.1
(`methods.deep_distance.objective.DeepDistanceObjective`). Both functions are element-wise and read the
network's output before its activation; ``where`` leaves out pixels that are not annotated.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_where
from cellmotion_jax.ops.numerics import check_same_shape, select


def rectified_squared_error(
    raw: Number[ArrayLike, "*shape"] | Sequence,
    targets: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*shape"]:
    r"""Squared error of a distance after a ReLU, with a gradient also where the ReLU is zero.

    .. math:: \ell(r, t) = \begin{cases} (r - t)^2 & t > 0 \\ \max(r, 0)^2 & t = 0 \end{cases}

    with the output :math:`r` before the ReLU and the target :math:`t \ge 0`. Where :math:`r \ge 0` or
    :math:`t = 0` this is the paper's :math:`(\max(r, 0) - t)^2`, and it is 0 exactly where that is 0. It
    differs on the pixels of cells at which the ReLU is inactive: the printed error has no gradient there, and
    since most pixels are background and decrease the output, a network whose last ReLU has become inactive
    everywhere cannot learn any more. Here such pixels have a gradient that increases the output, proportional
    to the error.

    Args:
        raw: Output of the network before its ReLU.
        targets: Distances, not negative, of the same shape.
        where: Mask of the elements that count, of the same shape; everything if absent.

    Returns:
        Squared errors, 0 with zero gradient where nothing counts.

    Raises:
        ValueError: If the shapes differ.

    >>> rectified_squared_error(jnp.array([-2.0, -2.0]), jnp.array([0.0, 1.0])).tolist()
    [0.0, 9.0]
    """
    raw, targets, where = to_floats("raw", raw), to_floats("targets", targets), to_where(where)
    check_same_shape(raw=raw, targets=targets, where=where)
    raw, targets = select(where, raw), select(where, targets)
    return jnp.square(jnp.where(targets > 0, raw - targets, jax.nn.relu(raw)))


def probability_squared_error(
    logits: Number[ArrayLike, "*shape"] | Sequence,
    labels: Number[ArrayLike, "..."] | Sequence,
    *,
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*shape"]:
    r"""Squared error of a probability, the Brier score :math:`(\sigma(z) - y)^2`.

    Args:
        logits: Output of the network before its sigmoid.
        labels: 0 or 1 (or a boolean), or a probability, of the same shape.
        where: Mask of the elements that count, of the same shape; everything if absent.

    Returns:
        Squared errors in [0, 1], 0 with zero gradient where nothing counts.

    Raises:
        ValueError: If the shapes differ.

    >>> probability_squared_error(jnp.array([0.0, 100.0]), jnp.array([1.0, 1.0])).tolist()
    [0.25, 0.0]
    """
    logits, labels, where = to_floats("logits", logits), to_floats("labels", labels), to_where(where)
    check_same_shape(logits=logits, labels=labels, where=where)
    logits, labels = select(where, logits), select(where, labels)
    # A pixel that does not count has logit and label 0, and would have an error of 1/4.
    return select(where, jnp.square(jax.nn.sigmoid(logits) - labels))
