"""Cells that jump out of their window are found again, and nobody else's cell is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.tracking import (
    Births,
    ConfidenceSettings,
    Motion,
    Redetection,
    Tracker,
    empty_state,
    follow,
)

SHAPE = (72, 72)
RNG = np.random.default_rng(0)
LOOKS = [np.hanning(13)[:, None] * np.hanning(13)[None] * RNG.uniform(0.2, 2, (13, 13)) for _ in range(2)]


def movie(*paths):
    """Textured cells, one per path of centres; None where a cell is not there."""
    frames = np.zeros((len(paths[0]), *SHAPE), np.float32)
    for look, path in zip(LOOKS, paths):
        for frame, place in zip(frames, path):
            if place is not None:
                y, x = place
                frame[y - 6 : y + 7, x - 6 : x + 7] += look.astype(np.float32)
    return jnp.asarray(frames + 0.01 * RNG.normal(size=frames.shape).astype(np.float32))


TRACKER = Tracker(size=24, motion=Motion(spread=3.0), confidence=ConfidenceSettings(pause=0.3, lost=0.3))
run = jax.jit(follow)


def tracked(tracker, frames, starts):
    births = Births(
        jnp.zeros((len(frames), 2), jnp.int32).at[0, : len(starts)].set(jnp.arange(len(starts)) + 1),
        jnp.zeros((len(frames), 2, 2)).at[0, : len(starts)].set(jnp.asarray(starts, jnp.float32)),
    )
    return run(tracker, empty_state(tracker, slots=2, shape=SHAPE), frames, births)[1]


def test_a_cell_that_leaves_its_window_is_found_only_with_redetection():
    path = [(30, 20), (30, 20), (46, 34), (46, 34)]
    frames = movie(path)
    without = tracked(TRACKER, frames, path[:1])
    assert without.lost[2, 0]
    assert np.hypot(*(without.position[2, 0] - jnp.array(path[2]))) > 10
    again = tracked(dataclasses.replace(TRACKER, redetection=Redetection(accept=0.5)), frames, path[:1])
    np.testing.assert_allclose(again.position[2:, 0], path[2:], atol=1)
    assert not again.lost[2:, 0].any()


def test_a_lost_track_takes_no_cell_that_is_followed():
    gone = [(30, 20), (30, 20), None, None]
    stays = [(30, 44)] * 4
    tracker = dataclasses.replace(TRACKER, redetection=Redetection(accept=0.05))
    told = tracked(tracker, movie(gone, stays), [gone[0], stays[0]])
    np.testing.assert_allclose(told.position[:, 1], stays, atol=1)
    apart = jnp.linalg.norm(told.position[2:, 0] - told.position[2:, 1], axis=-1)
    assert (apart >= Redetection().apart).all()
