"""Bridges between the pieces of a cell, against their definition over the whole window."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.morphology import join_pieces

PIXELS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 17)), min_size=1, max_size=5, unique=True)


@given(PIXELS)
def test_a_bridge_is_all_within_one_pixel_of_its_line(pixels):
    mask = np.zeros((12, 18), bool)
    mask[tuple(np.transpose(pixels))] = True
    spaced = np.zeros((36, 54), bool)
    spaced[::3, ::3] = mask
    places = 3 * np.argwhere(mask)
    expected = spaced.copy()
    grid = np.moveaxis(np.indices(spaced.shape), 0, -1)
    for start, end in itertools.pairwise(places):
        along = end - start
        share = np.clip(((grid - start) @ along) / (along @ along), 0, 1)
        expected |= np.linalg.norm(grid - start - share[..., None] * along, axis=-1) <= 1
    np.testing.assert_array_equal(join_pieces(spaced), expected)
