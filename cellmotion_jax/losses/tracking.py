"""Cross entropy of a cell's position under a map of log probabilities."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from cellmotion_jax.ops.arguments import Mask, Number, to_floats, to_where
from cellmotion_jax.ops.fourier import gaussian_target
from cellmotion_jax.ops.numerics import check_same_shape, select


def place_cross_entropy(
    logits: Number[ArrayLike, "*batch y x"] | Sequence,
    places: Number[ArrayLike, "..."] | Sequence,
    *,
    sigma: Number[ArrayLike, ""],
    where: Mask[ArrayLike, "..."] | Sequence | None = None,
) -> Float[Array, "*batch"]:
    r"""Cross entropy between a Gaussian around the true position and a map of log probabilities.

    .. math:: \ell = -\sum_{m,n} q_{m,n} \log p_{m,n}, \quad p = \mathrm{softmax}(z), \quad
        q \propto \exp \Big( -\frac{(m - c_y)^2 + (n - c_x)^2}{2 \sigma^2} \Big)

    over circular shifts, where entry ``[0, 0]`` is the zero shift. It is smallest, the entropy of q, if the
    map itself is that Gaussian: about :math:`1 + \log(2 \pi \sigma^2)` in a large map.

    Args:
        logits: Log probabilities of shifts, up to a constant.
        places: True shifts (y, x) in pixels, one per map, smaller than half its size.
        sigma: Standard deviation of the Gaussian in pixels.
        where: Mask of the elements that count, one per map; everything if absent.

    Returns:
        One loss per map, 0 with zero gradient where it does not count.

    Raises:
        ValueError: If there is not one place, or not one entry of ``where``, per map.

    >>> nothing_known = jnp.zeros((4, 4))
    >>> round(float(jnp.exp(place_cross_entropy(nothing_known, jnp.zeros(2), sigma=1.0))))
    16
    """
    logits, places = to_floats("logits", logits, "... y x"), to_floats("places", places, "... 2")
    where = to_where(where)
    check_same_shape(logits=logits[..., 0, 0], places=places[..., 0], where=where)
    if where is not None:
        logits, places = select(where[..., None, None], logits), select(where[..., None], places)
    target = gaussian_target(places, shape=(logits.shape[-2], logits.shape[-1]), sigma=sigma)
    target = target / jnp.sum(target, axis=(-2, -1), keepdims=True)
    log_probability = logits - jax.nn.logsumexp(logits, axis=(-2, -1), keepdims=True)
    return select(where, -jnp.sum(target * log_probability, axis=(-2, -1)))
