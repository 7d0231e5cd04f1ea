"""The tracker on movies with known truth: a moved texture, a growing blob, a vanishing blob."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jaxtyping import Array

from cellmotion_jax.tracking import (
    Births,
    ConfidenceSettings,
    Exclusion,
    IntensityAndGradient,
    KernelFilter,
    LinearFilter,
    Maps,
    Motion,
    Tracker,
    empty_state,
    follow,
    step,
    windows_of_maps,
)

SHAPE = (48, 56)
FRAMES = 5
PATH = np.array([(0, 0), (1, -2), (2, -3), (2, -2), (2, -2)])
STARTS = np.array([(22.0, 24.0), (18.0, 34.0), (27.0, 30.0)], np.float32)
PLAIN = Tracker(size=24)
EXCLUSIVE = Tracker(
    size=24, exclusion=Exclusion(radius=4.0, peaks=2), confidence=ConfidenceSettings(patience=1)
)


def texture(seed=0):
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    return scipy.ndimage.gaussian_filter(noise, 1.0, mode="wrap").astype(np.float32)


MOVIE = np.stack([np.roll(texture(), shift, (0, 1)) for shift in PATH])
TRUTH = STARTS[None] + PATH[:, None].astype(np.float32)


def births(*cells, frames=FRAMES, entries=3):
    """Births from (frame, id, place); entries that are not used have the id 0."""
    identity = np.zeros((frames, entries), np.int32)
    position = np.zeros((frames, entries, 2), np.float32)
    for frame, number, place in cells:
        entry = np.count_nonzero(identity[frame])
        identity[frame, entry], position[frame, entry] = number, place
    return Births(jnp.asarray(identity), jnp.asarray(position))


FROM_THE_START = births(*[(0, number, place) for number, place in enumerate(STARTS, start=1)])
TRACES = []


@jax.jit
def compiled(tracker, state, frames, born):
    TRACES.append(tracker)
    return follow(tracker, state, frames, born)


def followed(tracker, movie, born, slots=4):
    movie = jnp.asarray(movie, jnp.float32)
    return compiled(tracker, empty_state(tracker, slots=slots, shape=movie.shape[1:]), movie, born)


def seen_in(observation, number):
    """Frames in which a track is present, and its slot in each."""
    return np.nonzero(np.asarray(observation.identity) == number)


@pytest.mark.parametrize(
    "tracker",
    [PLAIN, EXCLUSIVE, Tracker(size=24, filter=KernelFilter(), features=IntensityAndGradient())],
    ids=["plain", "exclusive", "kernel"],
)
def test_a_rolled_texture_is_tracked_exactly(tracker):
    _, told = followed(tracker, MOVIE, FROM_THE_START)
    np.testing.assert_array_equal(told.identity, [[1, 2, 3, 0]] * FRAMES)
    np.testing.assert_array_equal(np.round(told.position[:, :3]), TRUTH)
    np.testing.assert_allclose(told.position[:, :3], TRUTH, atol=0.3)
    assert not np.any(told.lost)
    assert not np.any(told.dropped)
    assert np.all(np.isnan(told.psr[0, :3])), "nothing was looked for in the frame of birth"
    assert np.all(np.isfinite(told.psr[1:]))
    np.testing.assert_array_equal(told.peak_response[0, :3], [1, 1, 1])


def test_the_scan_is_the_loop_over_steps():
    state, told = followed(PLAIN, MOVIE, FROM_THE_START)
    one = jax.jit(step)
    looped, each = empty_state(PLAIN, slots=4, shape=SHAPE), []
    for frame, identity, position in zip(MOVIE, *FROM_THE_START):
        looped, observation = one(PLAIN, looped, frame, Births(identity, position))
        each.append(observation)
    stacked = [np.stack(leaves) for leaves in zip(*each)]
    for a, b in zip(jax.tree.leaves((state, told)), [*jax.tree.leaves(looped), *stacked]):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-3)


def test_free_slots_change_nothing():
    few, many = (followed(EXCLUSIVE, MOVIE, FROM_THE_START, slots=slots)[1] for slots in (4, 8))
    for name in few._fields:
        a, b = (np.asarray(getattr(told, name))[:, :3] for told in (few, many))
        # The PSR, here around 500, divides by what little remains beside the peak.
        np.testing.assert_allclose(a, b, rtol=2e-3 if name == "psr" else 1e-6, atol=1e-4, err_msg=name)
    assert not np.any(many.identity[:, 3:])


def test_one_trace_serves_all_movies_of_one_shape():
    followed(PLAIN, MOVIE, FROM_THE_START)
    before = len(TRACES)
    _, told = followed(Tracker(size=24), MOVIE[::-1], births((1, 5, (20.0, 20.0))))
    assert np.any(told.identity == 5)
    assert len(TRACES) == before


def test_a_cell_that_is_born_on_a_track_ends_it_and_is_its_child():
    born = births((0, 1, STARTS[0]), (2, 7, TRUTH[2, 0] + 1), (2, 8, TRUTH[2, 0] - 1), (3, 9, TRUTH[3, 2]))
    _, told = followed(EXCLUSIVE, MOVIE, born)
    assert seen_in(told, 1)[0].tolist() == [0, 1]
    frames, slots = seen_in(told, 7)
    assert frames.tolist() == [2, 3, 4]
    np.testing.assert_array_equal(told.parent[frames, slots], [1, 0, 0])
    frames, slots = seen_in(told, 8)
    assert told.parent[frames[0], slots[0]] == 1
    frames, slots = seen_in(told, 9)
    np.testing.assert_array_equal(told.parent[frames, slots], [0, 0])
    np.testing.assert_allclose(told.position[frames, slots], TRUTH[frames, 2], atol=0.3)


def test_without_exclusion_births_end_no_track():
    _, told = followed(PLAIN, MOVIE, births((0, 1, STARTS[0]), (2, 7, TRUTH[2, 0])))
    assert seen_in(told, 1)[0].tolist() == list(range(FRAMES))
    assert not np.any(told.parent)


def test_slots_are_used_again_and_births_without_a_slot_are_counted():
    born = births(
        *[(0, number, STARTS[number - 1]) for number in (1, 2, 3)],
        (1, 4, (8.0, 8.0)),
        (1, 5, (8.0, 48.0)),
        (2, 6, TRUTH[2, 0]),
        (3, 7, (40.0, 8.0)),
    )
    _, told = followed(EXCLUSIVE, MOVIE, born)
    np.testing.assert_array_equal(told.dropped, np.array([[0], [1], [0], [1], [0]]) * [1, 1, 1, 1])
    assert not np.isin([5, 7], told.identity).any()
    np.testing.assert_array_equal(seen_in(told, 6), [[2, 3, 4], [0, 0, 0]])
    np.testing.assert_allclose(told.position[2:, 0], TRUTH[2:, 0], atol=0.3)


@pytest.mark.parametrize("tracker", [PLAIN, EXCLUSIVE], ids=["plain", "exclusive"])
def test_a_constant_movie_gives_numbers(tracker):
    state, told = followed(tracker, np.full_like(MOVIE, 7.0), FROM_THE_START)
    for leaf in jax.tree.leaves((state, told._replace(psr=told.psr[1:], entropy=told.entropy[1:]))):
        assert np.all(np.isfinite(leaf))
    np.testing.assert_array_equal(told.position[0, :3], STARTS)
    present = np.asarray(told.identity) > 0
    assert np.all(np.asarray(told.lost)[1:][present[1:]]), "whoever sees nothing is lost"


def test_a_movie_of_one_frame():
    _, told = followed(PLAIN, MOVIE[:1], births((0, 1, STARTS[0]), frames=1))
    np.testing.assert_array_equal(told.position[0, 0], STARTS[0])
    assert not np.any(told.lost)


def test_a_window_larger_than_the_image():
    _, told = followed(Tracker(size=64), MOVIE, births((0, 1, STARTS[0]), (0, 2, (0.0, 55.0))))
    np.testing.assert_allclose(told.position[:, 0], TRUTH[:, 0], atol=1.0)
    assert np.all(np.isfinite(told.position))
    assert np.all((told.position >= 0) & (told.position <= np.array([[SHAPE]]) - 1)), "no track leaves"


def blobs(sigmas):
    """A blob per frame with a standard deviation that changes; 0 for none. Some noise is everywhere."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] - np.array([20, 24])[:, None, None]
    noise = 0.01 * np.random.default_rng(0).normal(size=(len(sigmas), *SHAPE))
    blob = [np.exp(-(y**2 + x**2) / 2 / s**2) if s else np.zeros(SHAPE) for s in sigmas]
    return (np.stack(blob) + noise).astype(np.float32)


@pytest.mark.parametrize("form", [LinearFilter(), KernelFilter()], ids=["linear", "kernel"])
def test_the_window_grows_and_shrinks_with_its_cell_and_only_then(form):
    tracker = Tracker(size=24, scales=(1 / 1.06, 1.0, 1.06), filter=form)
    for truth in (1.05 ** np.arange(FRAMES), 1.05 ** -np.arange(FRAMES), np.ones(FRAMES)):
        _, told = followed(tracker, blobs(3.0 * truth), births((0, 1, (20, 24))))
        np.testing.assert_allclose(told.scale[:, 0], truth, rtol=0.06)


def test_a_cell_that_vanishes_is_reported_lost_and_its_track_ends_after_some_patience():
    trust = ConfidenceSettings(lost=0.5, pause=0.5, patience=1)
    tracker = Tracker(size=24, motion=Motion(spread=3.0), confidence=trust)
    _, told = followed(tracker, blobs([2.5, 2.5, 0, 0, 0]), births((0, 1, (20, 24))))
    np.testing.assert_array_equal(told.identity[:, 0], [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(told.lost[:, 0], [False, False, True, False, False])
    assert told.entropy[2, 0] > told.entropy[1, 0]
    assert told.psr[2, 0] < told.psr[1, 0]
    _, endless = followed(PLAIN, blobs([2.5, 2.5, 0, 0, 0]), births((0, 1, (20, 24))))
    np.testing.assert_array_equal(endless.identity[:, 0], [1] * FRAMES)


@flax.struct.dataclass
class Contrast:
    """A feature with a parameter."""

    gain: Array

    @property
    def strides(self):
        return (1,)

    @property
    def compressed(self):
        return False

    def prepare(self, frame):
        return Maps((jnp.tanh(self.gain * frame)[..., None] * jnp.ones((1, 1, 2)),))

    def windows(self, prepared, centres, scales, *, size):
        return windows_of_maps(prepared, centres, scales, strides=self.strides, size=size)


@jax.jit
@jax.grad
def slope(gain, movie):
    tracker = Tracker(features=Contrast(gain), size=24)
    state = empty_state(tracker, slots=3, shape=SHAPE)
    _, told = follow(tracker, state, movie, FROM_THE_START)
    return jnp.sum(jnp.square(told.position - TRUTH)) - jnp.sum(told.peak_response)


@pytest.mark.parametrize("movie", [10 * MOVIE, np.ones_like(MOVIE)], ids=["texture", "constant"])
def test_the_gradient_reaches_the_parameters_of_the_features(movie):
    found = slope(jnp.float32(1.0), movie)
    assert np.isfinite(found)
    assert (found != 0) == (np.std(movie) > 0)


@pytest.mark.parametrize(
    ("tracker", "message"),
    [(Tracker(weights=(1.0, 0.5)), "weights has 2 entries, but the features have 1 layers")],
)
def test_configurations_that_do_not_fit_are_refused(tracker, message):
    with pytest.raises(ValueError, match=message):
        empty_state(tracker, slots=2, shape=SHAPE)
