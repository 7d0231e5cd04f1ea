"""Measures of confidence in the response of a filter."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Number, to_floats
from cellmotion_jax.ops.fourier import first_maximum
from cellmotion_jax.ops.host_arguments import one_integer
from cellmotion_jax.ops.numerics import map_sums


def peak_to_sidelobe_ratio(
    responses: Number[ArrayLike, "cell y x"] | Sequence, *, excluded: int = 11
) -> Float[Array, " cell"]:
    r"""Height of the peak above the mean of the sidelobe, in standard deviations of the sidelobe.

    .. math:: \mathrm{PSR} = \frac{g_{max} - \mu}{\sigma}

    where the sidelobe is the whole response except for a square around the peak (Bolme et al. 2010,
    Section 3.5). In their experience it is 20 to 60 while a target is tracked, and about 7 when it is lost;
    for filters on few pixels, as for small cells, it is always lower.

    Args:
        responses: Maps over circular shifts.
        excluded: Side of the square in samples; at most half of the response counts as peak, so that there is
            a sidelobe in a small one.

    Returns:
        Values of at least 0; 0 for a constant response.
    """
    responses = to_floats("responses", responses, "cell y x")
    excluded = one_integer("excluded", excluded)
    cells, height, width = responses.shape
    index = first_maximum(responses)
    peak = jnp.max(responses, axis=(1, 2))
    sides = [np.arange(min(excluded, size // 2)) - min(excluded, size // 2) // 2 for size in (height, width)]
    rows = (index[:, None] // width + sides[0][None]) % height
    columns = (index[:, None] % width + sides[1][None]) % width
    square = responses[jnp.arange(cells)[:, None, None], rows[:, :, None], columns[:, None, :]]
    count = height * width - square.shape[1] * square.shape[2]
    # Relative to the mean of all, so that the variance does not come from a difference of large squares.
    level = map_sums(responses) / (height * width)
    rest, square = responses - level[:, None, None], square - level[:, None, None]
    mean = (map_sums(rest) - jnp.sum(square, axis=(1, 2))) / count
    moment = (map_sums(jnp.square(rest)) - jnp.sum(jnp.square(square), axis=(1, 2))) / count
    variance = moment - jnp.square(mean)
    varies = variance > 1e-12
    ratio = jnp.maximum(peak - level - mean, 0.0) / jnp.sqrt(jnp.where(varies, variance, 1.0))
    return jnp.where(varies, ratio, 0.0)


def normalized_entropy(logits: Number[ArrayLike, "cell y x"] | Sequence) -> Float[Array, " cell"]:
    r"""Entropy of a map of log probabilities of positions, divided by the largest possible entropy.

    .. math:: H = -\frac{1}{\log n} \sum_{m,n} p_{m,n} \log p_{m,n}, \qquad p = \mathrm{softmax}(\ell)

    Args:
        logits: Log probabilities of positions, up to a constant.

    Returns:
        0 if one position is certain, 1 if all positions are equally likely.
    """
    logits = to_floats("logits", logits, "cell y x")
    below = logits - jnp.max(logits, axis=(1, 2), keepdims=True)
    weights = jnp.exp(below)
    total = map_sums(weights)
    entropy = jnp.log(total) - map_sums(weights * below) / total
    return entropy / np.log(logits[0].size)
