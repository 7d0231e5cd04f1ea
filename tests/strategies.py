"""Hypothesis strategies: angles, finite numbers, arrays of them, masks. All numbers are float32."""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def finite_floats(limit: float = 1e6) -> st.SearchStrategy[float]:
    """Numbers in [-limit, limit] that a float32 holds."""
    return st.floats(-float(np.float32(limit)), float(np.float32(limit)), width=32)


def angles(turns: float = 1) -> st.SearchStrategy[float]:
    """Angles in radians, up to so many turns either way; multiples of a quarter turn are frequent."""
    limit = turns * 2 * math.pi
    corners = [float(np.float32(k * math.pi / 2)) for k in range(-int(4 * turns), int(4 * turns) + 1)]
    return st.one_of(finite_floats(limit), st.sampled_from(corners))


def arrays(shape: tuple[int, ...], elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    """float32 arrays of one shape, so that a jitted function under test compiles once."""
    return hnp.arrays(np.float32, shape, elements=elements)


def angle_arrays(*shape: int, turns: float = 1) -> st.SearchStrategy[np.ndarray]:
    """Arrays of angles in radians."""
    return arrays(shape, angles(turns))


def masks(*shape: int) -> st.SearchStrategy[np.ndarray]:
    """Boolean arrays, the empty and the full mask among them."""
    full = st.booleans().map(lambda value: np.full(shape, value))
    return st.one_of(hnp.arrays(np.bool_, shape), full)
