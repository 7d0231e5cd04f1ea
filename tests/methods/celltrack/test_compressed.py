"""Frames compressed on the host are those of `ops.intensity.compress`."""

import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.methods.celltrack.grid import compress_frame, grid_frame
from cellmotion_jax.ops.intensity import compress


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_as_on_the_device(dtype):
    frame = np.random.default_rng(0).gamma(2.0, 30.0, (30, 41)).astype(dtype)
    expected = compress(jnp.asarray(frame, jnp.float32)[..., None])[..., 0]
    np.testing.assert_allclose(compress_frame(frame), expected, atol=1e-5)


def test_a_constant_frame_is_0_and_the_grid_is_finer():
    assert not compress_frame(np.full((4, 5), 7, np.uint16)).any()
    assert grid_frame(np.eye(8, dtype=np.uint8), 2.0).shape == (16, 16)
