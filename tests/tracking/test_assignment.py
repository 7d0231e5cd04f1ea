"""Assignment of positions to tracks, on maps drawn as text: a digit is the log probability of a position."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.fourier import signed_shifts
from cellmotion_jax.tracking import Exclusion, exclusive_places

SIZE = 17
FAR = -20.0
EXCLUSION = Exclusion(radius=3.0, peaks=2, missing=8.0)
places = jax.jit(exclusive_places, static_argnums=4)


def drawn(*lines):
    """Maps of cells in the middle of one row; an empty line is a free slot with a tempting map."""
    maps = np.full((len(lines), SIZE, SIZE), FAR, np.float32)
    for cell, line in enumerate(lines):
        for x, digit in enumerate(line or "9" * SIZE):
            if digit != ".":
                maps[cell, SIZE // 2, x] = float(digit)
    active = jnp.array([bool(line) for line in lines])
    return jnp.fft.ifftshift(jnp.asarray(maps), axes=(1, 2)), active


def columns(lines):
    """Column that each cell was given, None for unseen."""
    maps, active = drawn(*lines)
    cells = len(lines)
    found = places(maps, jnp.full((cells, 2), 8.0), jnp.ones(cells), active, EXCLUSION)
    shift = signed_shifts(SIZE)[np.asarray(found.flat_index) % SIZE]
    return [int(8 + x) if seen else None for x, seen in zip(shift, found.seen)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["....9............"], [4]),
        (["...9........6....", "...9........8...."], [3, 12]),  # the second loses less by going elsewhere
        (["...9........8....", "...8........3...."], [12, 3]),  # the stronger gives way: 8 + 8 beats 9 + 3
        (["...9.............", "............9...."], [3, 12]),
        (["...9.............", "....8.......7...."], [3, 12]),  # one place, seen a pixel apart
        (["...9........5....", "...9........4....", "...9............."], [12, None, 3]),
        (["...9.............", "", "............7...."], [3, None, 12]),  # a free slot takes no place
        (["", "", ""], [None, None, None]),
    ],
)
def test_drawn_cases(lines, expected):
    assert columns(lines) == expected


@pytest.mark.parametrize(
    "lines", [["...9.............", "...5............."], ["...5.............", "...9............."]]
)
def test_of_two_cells_at_one_place_one_goes_unseen_and_the_surer_stays(lines):
    assert columns(lines) == [3 if "9" in line else None for line in lines]


def test_a_place_much_less_likely_than_the_best_is_no_place():
    near, far = (["...9.............", f"...9........{digit}...."] for digit in (2, 0))
    assert None not in columns(near)
    assert columns(far).count(None) == 1


def test_maps_of_different_places_and_steps_share_their_places():
    """The second cell's window begins elsewhere and has two pixels between its entries."""
    maps, _ = drawn("...9........8....", "......9.........7")
    origins = jnp.array([[8.0, 8.0], [8.0, 7.0]])
    found = places(maps, origins, jnp.array([1.0, 2.0]), jnp.ones(2, bool), EXCLUSION)
    assert found.seen.tolist() == [True, True]
    pixels = np.array([8, 7]) + np.array([1, 2]) * signed_shifts(SIZE)[np.asarray(found.flat_index) % SIZE]
    assert pixels.tolist() == [12, 3], "8 + 9 beats 9 + 7, and entry 16 of the second is pixel 23"


def random_maps(seed, cells):
    rng = np.random.default_rng(seed)
    noise = scipy.ndimage.gaussian_filter(rng.normal(size=(cells, SIZE, SIZE)), (0, 2, 2), mode="wrap")
    origins = rng.integers(0, 14, size=(cells, 2)).astype(np.float32)
    return (4 * noise / noise.std()).astype(np.float32), origins


def candidates(maps, origins):
    """Highest summits of every map that no higher one is close to."""
    found = []
    for values, origin in zip(maps, origins):
        summit = values == scipy.ndimage.maximum_filter(values, 3, mode="wrap")
        order = sorted(np.argwhere(summit), key=lambda at: -values[tuple(at)])[: EXCLUSION.peaks]
        found += [(origin + signed_shifts(SIZE)[at], values[tuple(at)]) for at in order]
    return [
        point
        for point, value in found
        if not any(value < v and ((point - p) ** 2).sum() < EXCLUSION.radius**2 for p, v in found)
    ]


@given(st.integers(0, 10_000))
def test_the_sum_of_costs_is_that_of_scipy(seed):
    maps, origins = random_maps(seed, cells := 5)
    spots = candidates(maps, origins)
    costs = np.full((cells, len(spots) + cells), 1e6)
    for cell, spot in itertools.product(range(cells), range(len(spots))):
        shift = (spots[spot] - origins[cell]).astype(int)
        if np.all(np.abs(shift) < SIZE // 2):
            around = np.roll(maps[cell], 1 - shift, (0, 1))[:3, :3]
            costs[cell, spot] = -around.max()
    best = maps.max(axis=(1, 2))
    costs[np.arange(cells), len(spots) + np.arange(cells)] = EXCLUSION.missing - best
    expected = costs[scipy.optimize.linear_sum_assignment(costs)].sum()

    found = places(maps, origins, jnp.ones(cells), jnp.ones(cells, bool), EXCLUSION)
    height = maps.reshape(cells, -1)[np.arange(cells), np.asarray(found.flat_index)]
    total = np.where(found.seen, -height, EXCLUSION.missing - best).sum()
    assert total == pytest.approx(expected, abs=1e-3)


@given(st.integers(0, 10_000))
def test_no_two_cells_are_given_one_place(seed):
    maps, origins = random_maps(seed, 5)
    found = places(maps, origins, jnp.ones(5), jnp.ones(5, bool), EXCLUSION)
    index, seen = np.asarray(found.flat_index), np.asarray(found.seen)
    points = (origins + signed_shifts(SIZE)[np.stack([index // SIZE, index % SIZE], axis=1)])[seen]
    for a, b in itertools.combinations(points, 2):
        # A place is the 3 x 3 pixels around a summit: two of them come closer by a diagonal each at most.
        assert np.hypot(*(a - b)) >= EXCLUSION.radius - 2 * np.sqrt(2) - 1e-4
