"""Maps of where each cell may be in a frame, before positions are assigned."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cellmotion_jax.ops.fourier import signed_shifts
from cellmotion_jax.tracking.hierarchical import respond_levels, similarity_levels
from cellmotion_jax.tracking.state import Tracker, TrackState, windows_at

LEAST_UNEXPLAINED = 1e-4
"""Lower bound of the unexplained share of a window's power, so that rounding errors are not evidence."""


class Search(NamedTuple):
    """Maps of where the cell of every slot may be, before positions are assigned.

    Attributes:
        origin: Pixel at the zero shift of each map, a whole number.
        scale: Scale of the window whose response is the most likely.
        response: Response of the filter over circular shifts, in samples of the finest layer.
        logits: Log probability of each shift, up to a constant: response, motion, and centre evidence of the
            features.
        centre: Log evidence of the features for a cell centre at each shift, up to a constant; None if they
            give none.
    """

    origin: Float[Array, "slot 2"]
    scale: Float[Array, " slot"]
    response: Float[Array, "slot y x"]
    logits: Float[Array, "slot y x"]
    centre: Float[Array, "slot y x"] | None


def search(tracker: Tracker, state: TrackState, prepared: Any) -> Search:
    r"""Applies every filter to the window around the predicted position of its cell.

    .. math:: \log p(s) = \beta f(s) + u(s) - \frac{\|s - v\|^2}{2 \sigma^2 (1 + n)} + const

    with the response f, the centre evidence u of the features, the expected displacement v and the number n
    of frames in which the cell was not found or that had no information: the variance of the prior grows with
    n.

    Args:
        tracker: The configuration.
        state: State before the frame.
        prepared: Features of the frame, from ``tracker.features.prepare``.

    Returns:
        Maps over shifts.
    """
    expected = state.position + tracker.motion.momentum * state.velocity
    origin = jnp.round(expected)
    searches = [
        _search_at_scale(tracker, state, prepared, expected, origin, scale) for scale in tracker.scales
    ]
    if len(searches) == 1:
        return searches[0]
    evidence = [_scale_evidence(tracker, state, prepared, origin, scale) for scale in tracker.scales]
    best = jnp.argmax(jnp.stack(evidence), axis=0)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves)[best, jnp.arange(len(best))], *searches)


def _scale_evidence(
    tracker: Tracker, state: TrackState, prepared: Any, origin: Array, change: float
) -> Float[Array, " slot"]:
    r"""Log probability of a change of scale, up to a constant.

    A window of n independent samples that a fit explains up to a share :math:`1 - \rho^2` of its power has
    the likelihood :math:`(1 - \rho^2)^{-n / 2}`; the changes have a log-normal prior.
    """
    windows = windows_at(tracker, prepared, origin, state.scale * change)
    rho = similarity_levels(tracker.filter, state.filters, windows.levels, weights=tracker.weights)
    unexplained = jnp.maximum(1 - jnp.square(rho), LEAST_UNEXPLAINED)
    prior = -0.5 * (np.log(change) / tracker.scale_spread) ** 2
    return prior - 0.5 * tracker.scale_samples * jnp.log(unexplained)


def _search_at_scale(
    tracker: Tracker, state: TrackState, prepared: Any, expected: Array, origin: Array, change: float
) -> Search:
    scale = state.scale * change
    windows = windows_at(tracker, prepared, origin, scale)
    response = respond_levels(tracker.filter, state.filters, windows.levels, weights=tracker.weights)
    logits = tracker.sharpness * response
    centre = None if windows.centre is None else jnp.fft.ifftshift(windows.centre, axes=(1, 2))
    if centre is not None:
        logits = logits + centre
    logits = logits + _motion_prior(tracker, state, expected - origin, scale, response.shape[1:])
    return Search(origin, scale, response, logits, centre)


def _motion_prior(
    tracker: Tracker, state: TrackState, offset: Array, scale: Array, shape: tuple[int, ...]
) -> Float[Array, "slot y x"]:
    """Log probability of each shift by the motion alone, up to a constant.

    The sum over both axes is a product of matrices: it is computed once, where XLA would work out a plain sum
    again, divisions and all, for every pixel and everyone who reads the map.
    """
    precision = 0.5 / (tracker.motion.spread**2 * state.displacement_variance[:, None])
    sides = []
    for axis, size in enumerate(shape):
        shift = signed_shifts(size)[None] * tracker.features.strides[0] * scale[:, None]
        sides.append(-precision * jnp.square(shift - offset[:, axis, None]))
    down = jnp.stack([sides[0], jnp.ones_like(sides[0])], axis=2)
    right = jnp.stack([jnp.ones_like(sides[1]), sides[1]], axis=1)
    return jnp.matmul(down, right, precision=jax.lax.Precision.HIGHEST)
