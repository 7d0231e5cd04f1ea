"""Tracks moved from the peak of the response to the centre of their cell."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.ops.fourier import signed_shifts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Centring:
    """How far around a peak the evidence for a cell's centre is weighed.

    A filter keeps to what it knows best, a bright nucleus, and takes every small error over into what it
    learns next, so that tracks drift within large cells. What the features say of centres, whatever cell it
    is, does not drift.
    """

    radius: float = 10.0
    """Pixels around the peak that count."""


def refine_centres(
    centre: Float[Array, "cell y x"],
    shifts: Float[Array, "cell 2"],
    steps: Float[Array, " cell"],
    centring: Centring,
) -> Float[Array, "cell 2"]:
    r"""The mean place of a cell's centre near a peak, by the evidence of the features alone.

    .. math:: \hat s = \frac{\sum_{|s - s_0| \le r} s \, e^{u(s)}}{\sum_{|s - s_0| \le r} e^{u(s)}}

    The mean of the posterior instead of its mode: over a large cell the evidence is a plateau, whose highest
    pixel means nothing.

    Args:
        centre: Log evidence u for a centre at each circular shift.
        shifts: Peaks :math:`s_0` (y, x) in entries of the maps.
        steps: Pixels between the entries of each map.
        centring: Settings.

    Returns:
        Shifts in entries of the maps, at most the radius away from the peaks.
    """
    down = jnp.asarray(signed_shifts(centre.shape[1]))[None, :, None]
    right = jnp.asarray(signed_shifts(centre.shape[2]))[None, None, :]
    apart = jnp.square(down - shifts[:, 0, None, None]) + jnp.square(right - shifts[:, 1, None, None])
    # The entry at the peak always counts, were the radius smaller than the distance between entries.
    reach = jnp.maximum(centring.radius / steps, 0.75)[:, None, None]
    near = apart <= jnp.square(reach)
    evidence = jnp.where(near, centre, -jnp.inf)
    weights = jnp.where(near, jnp.exp(evidence - jnp.max(evidence, axis=(1, 2), keepdims=True)), 0.0)
    total = jnp.sum(weights, axis=(1, 2))
    means = [jnp.sum(weights * axis, axis=(1, 2)) / total for axis in (down, right)]
    return jnp.stack(means, axis=1)
