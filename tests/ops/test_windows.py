import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.windows import gather_windows, sample_windows

IMAGE = np.random.default_rng(0).normal(size=(9, 12, 2)).astype(np.float32)
MARGIN = 60
PADDED = np.pad(IMAGE, [(MARGIN, MARGIN)] * 2 + [(0, 0)], mode="edge")
CENTRE = st.tuples(st.integers(-30, 40), st.integers(-30, 40))


def cut(centre, size, stride=1):
    start = np.array(centre) - size // 2 * stride + MARGIN
    rows, columns = (first + stride * np.arange(size) for first in start)
    return PADDED[rows][:, columns]


gathered = jax.jit(gather_windows, static_argnames=("size", "stride"))
sampled = jax.jit(sample_windows, static_argnames="size")


@pytest.mark.parametrize(("size", "stride"), [(4, 1), (5, 1), (19, 1), (4, 3)])
@given(CENTRE)
def test_gathered_windows_are_slices_of_the_padded_image(size, stride, centre):
    windows = gathered(IMAGE, jnp.array([centre]), size=size, stride=stride)
    np.testing.assert_array_equal(windows[0], cut(centre, size, stride))


@pytest.mark.parametrize("size", [4, 5, 19])
@given(CENTRE)
def test_sampled_windows_of_whole_pixels_are_gathered_windows(size, centre):
    windows = sampled(IMAGE, jnp.array([centre], jnp.float32), jnp.ones(1), size=size)
    np.testing.assert_array_equal(windows[0], cut(centre, size))


@given(st.floats(4, 26, width=32), st.floats(4, 26, width=32), st.floats(0.25, 1.5, width=32))
def test_a_ramp_is_interpolated_exactly(y, x, step):
    rows, columns = np.mgrid[:31, :31].astype(np.float32)
    ramp = (2 * rows - 3 * columns)[..., None]
    window = sampled(ramp, jnp.array([[y, x]]), jnp.array([step]), size=5)[0, ..., 0]
    offsets = np.arange(5) - 2
    places = [np.clip(centre + step * offsets, 0, 30) for centre in (y, x)]
    np.testing.assert_allclose(window, 2 * places[0][:, None] - 3 * places[1][None], atol=1e-4)


def test_an_image_of_one_pixel_fills_every_window():
    pixel = jnp.full((1, 1, 1), 3.0)
    np.testing.assert_array_equal(gathered(pixel, jnp.array([[4, -7]]), size=3), np.full((1, 3, 3, 1), 3.0))
    windows = sampled(pixel, jnp.array([[4.5, -7.2]]), jnp.array([1.3]), size=3)
    np.testing.assert_array_equal(windows, np.full((1, 3, 3, 1), 3.0))


def test_gradients_of_samples_are_those_of_a_ramp():
    rows, columns = np.mgrid[:21, :21].astype(np.float32)
    ramp = (2 * rows - 3 * columns)[..., None]

    def total(centres, steps):
        return sample_windows(jnp.asarray(ramp), centres, steps, size=4).sum()

    centres, steps = jax.grad(total, argnums=(0, 1))(jnp.array([[9.3, 10.6]]), jnp.array([0.9]))
    np.testing.assert_allclose(centres, [[32.0, -48.0]], rtol=1e-5)
    # The samples of an even size are -2, -1, 0 and 1 steps away, four of each: (2 - 3) * 4 * -2.
    np.testing.assert_allclose(steps, [8.0], rtol=1e-5)
