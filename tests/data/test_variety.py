"""Variety of simulated movies: within its ranges, the same for a seed, absent unless asked for."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellmotion_jax.data.simulate import Appearance, Look, Simulation, simulate, varied
from cellmotion_jax.data.simulate.appearance import NATURAL_RANGES
from cellmotion_jax.data.simulate.conditions import settle

SMALL = Simulation(frames=1, height=96, width=128, cells=4, pixel_size_um=1.0)
LOOKS = st.sampled_from([Look.NUCLEI, Look.PHASE_CONTRAST])


def test_without_variety_nothing_is_drawn():
    assert varied(SMALL) is SMALL


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1.0), LOOKS, st.integers(1, 60))
def test_what_is_drawn_can_be_simulated_and_lies_within_its_ranges(seed, variety, look, cells):
    asked = dataclasses.replace(
        SMALL, seed=seed, variety=variety, look=look, height=384, width=384, cells=cells
    )
    drawn = varied(asked)
    assert drawn == varied(asked)
    conditions = settle(drawn)
    assert drawn.cells >= 1
    assert 0.65 <= conditions.pixel_size_um <= 1.5
    assert 0 <= conditions.protrusions <= 4
    for name, (low, high) in NATURAL_RANGES.items():
        assert low**variety - 1e-9 <= getattr(drawn.appearance, name) <= high**variety + 1e-9


def test_seeds_differ_and_the_settings_around_which_is_drawn_count():
    drawn = [varied(dataclasses.replace(SMALL, variety=1.0, seed=seed)) for seed in range(40)]
    assert len({one.appearance for one in drawn}) == 40
    noise = np.log([one.noise for one in drawn])
    louder = [varied(dataclasses.replace(SMALL, variety=1.0, seed=seed, noise=3.0)) for seed in range(40)]
    np.testing.assert_allclose(np.log([one.noise for one in louder]), noise + np.log(3.0))
    assert noise.std() > 0.3


def test_a_movie_without_cells_stays_one():
    assert varied(dataclasses.replace(SMALL, variety=1.0, cells=0)).cells == 0


@pytest.mark.parametrize("look", Look)
def test_a_varied_movie_is_made_and_every_factor_shows(look):
    plain = simulate(dataclasses.replace(SMALL, look=look)).frames.astype(float)
    factors = {"blur": 3.0, "texture": 3.0, "halo": 3.0, "uneven_light": 12.0, "debris": 5.0}
    factors |= {"difference": 0.1} if look is Look.NUCLEI else {"length": 3.0}
    for name, factor in factors.items():
        changed = dataclasses.replace(SMALL, look=look, appearance=Appearance(**{name: factor}))
        assert np.abs(simulate(changed).frames - plain).mean() > 0.01, name
    movie = simulate(dataclasses.replace(SMALL, look=look, variety=1.0, seed=3))
    assert movie.frames.shape == plain.shape
    assert movie.masks.any()


@given(st.integers(8, 300), st.integers(0, 99))
def test_a_frame_has_the_grey_levels_of_its_camera_and_no_more(levels, seed):
    frame = np.random.default_rng(seed).normal(500.0, 300.0, (16, 16))
    seen = Appearance(grey_levels=levels).quantised(frame)
    assert len(np.unique(np.round(seen, 6))) <= levels
    assert np.abs(seen - frame).max() <= np.ptp(frame) / (levels - 1) / 2 + 1e-9
