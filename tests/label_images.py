"""Label images: hypothesis strategies and discs."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)


def label_images(
    shape: tuple[int, int] | st.SearchStrategy[tuple[int, ...]] = SHAPES, labels: tuple[int, ...] = (1, 2, 40)
) -> st.SearchStrategy[np.ndarray]:
    """Small images full of touching, torn, bent and one-pixel cells; empty and full ones among them."""
    noise = hnp.arrays(np.int32, shape, elements=st.sampled_from([0, 0, *labels]), fill=st.nothing())
    flat = hnp.arrays(np.int32, shape, elements=st.nothing(), fill=st.sampled_from([0, *labels]))
    return st.one_of(noise, noise, noise, flat)


def discs(shape: tuple[int, int], *circles: tuple[float, float, float]) -> np.ndarray:
    """Discs (y, x, radius) labelled 1, 2, ...; a pixel in several goes to the nearest centre."""
    y, x = np.indices(shape)
    far = np.stack([np.hypot(y - row, x - column) for row, column, _ in circles])
    within = far <= np.array([radius for _, _, radius in circles])[:, None, None]
    nearest = np.argmin(np.where(within, far, np.inf), axis=0)
    return np.where(within.any(axis=0), nearest + 1, 0).astype(np.int32)
