"""Correction of a track's position from the peak of the response to the centre of the cell."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.ops.fourier import signed_shifts
from cellmotion_jax.settings import NotNegative, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Centring(Settings):
    """Settings of the correction of positions to cell centres.

    A filter follows the most distinct part of a cell, such as a bright nucleus, and every small error enters
    its next update, so that tracks drift within large cells. The network's evidence for cell centres does not
    depend on earlier frames and does not drift.
    """

    radius: NotNegative = 10.0
    """Radius in pixels around the peak in which the evidence is averaged."""


def refine_centres(
    centre: Float[Array, "cell y x"],
    shifts: Float[Array, "cell 2"],
    steps: Float[Array, " cell"],
    centring: Centring,
) -> Float[Array, "cell 2"]:
    r"""The mean position of a cell's centre near a peak, from the centre evidence of the features only.

    .. math:: \hat s = \frac{\sum_{|s - s_0| \le r} s \, e^{u(s)}}{\sum_{|s - s_0| \le r} e^{u(s)}}

    The mean of the posterior is used instead of its mode: over a large cell the evidence is a plateau, whose
    highest pixel carries no information.

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
