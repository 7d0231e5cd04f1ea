"""Tracks on the centre of the evidence around their peak."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.tracking import Centring, refine_centres

SIDE = 24


def evidence(points, *, height=12.0):
    """Log evidence over circular shifts: high within 4 pixels of points (y, x), low elsewhere."""
    shifts = np.fft.fftfreq(SIDE, 1 / SIDE)
    maps = np.zeros((1, SIDE, SIDE), np.float32)
    for y, x in points:
        maps[0, np.hypot(shifts[:, None] - y, shifts[None] - x) <= 4] = height
    return jnp.asarray(maps)


@pytest.mark.parametrize("peak", [(0.0, 0.0), (3.0, -2.0), (-2.5, 1.5)])
def test_any_peak_on_a_plateau_settles_in_its_middle(peak):
    found = refine_centres(evidence([(1, -1)]), jnp.array([peak]), jnp.ones(1), Centring(radius=9.0))
    np.testing.assert_allclose(found[0], [1, -1], atol=0.1)


def test_what_lies_beyond_the_radius_does_not_count():
    alone, with_neighbour = (
        refine_centres(evidence(points), jnp.array([[-6.0, 0.0]]), jnp.ones(1), Centring(radius=5.0))
        for points in ([(-6, 0)], [(-6, 0), (6, 0)])
    )
    np.testing.assert_array_equal(alone, with_neighbour)


def test_without_evidence_a_track_stays_and_steps_are_pixels():
    nothing = jnp.zeros((2, SIDE, SIDE))
    peaks = jnp.array([[2.0, -3.0], [2.0, -3.0]])
    np.testing.assert_allclose(
        refine_centres(nothing, peaks, jnp.array([1.0, 2.0]), Centring(radius=4.0)), peaks, atol=1e-5
    )
    tiny = refine_centres(evidence([(8, 8)]), jnp.array([[2.0, 2.0]]), jnp.array([4.0]), Centring(radius=1.0))
    np.testing.assert_array_equal(tiny, [[2.0, 2.0]])


def test_the_gradient_is_finite():
    slope = jax.grad(lambda u: refine_centres(u, jnp.zeros((1, 2)), jnp.ones(1), Centring(radius=5.0)).sum())
    assert jnp.isfinite(slope(evidence([(2, 2)], height=80.0))).all()
