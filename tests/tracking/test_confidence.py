import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from cellmotion_jax.tracking import normalized_entropy, peak_to_sidelobe_ratio
from tests.strategies import arrays, finite_floats

SHAPE = (10, 13)
entropy, ratio = jax.jit(normalized_entropy), jax.jit(peak_to_sidelobe_ratio, static_argnames="excluded")


def psr(response, excluded):
    """The rest selected by a mask that is rolled to the peak."""
    sides = [min(excluded, size // 2) for size in response.shape]
    mask = np.ones(response.shape, bool)
    mask[: sides[0], : sides[1]] = False
    peak = np.unravel_index(response.argmax(), response.shape)
    rest = response[np.roll(mask, [p - side // 2 for p, side in zip(peak, sides)], (0, 1))]
    return (response.max() - rest.mean()) / rest.std()


@pytest.mark.parametrize("excluded", [3, 11])
@pytest.mark.parametrize("level", [0.0, 100.0])
def test_the_ratio_is_that_of_numpy(excluded, level):
    responses = level + np.random.default_rng(0).normal(size=(20, *SHAPE)).astype(np.float32)
    expected = [psr(response.astype(float), excluded) for response in responses]
    np.testing.assert_allclose(ratio(responses, excluded=excluded), expected, rtol=2e-3)


@given(arrays((2, *SHAPE), finite_floats(10)))
def test_the_ratio_is_finite_and_not_negative(responses):
    found = np.asarray(ratio(responses))
    assert np.all(np.isfinite(found))
    assert np.all(found >= 0)


def test_a_constant_response_has_no_peak():
    np.testing.assert_array_equal(ratio(jnp.full((2, *SHAPE), 0.3)), [0, 0])
    slope = jax.jit(jax.grad(lambda maps: jnp.sum(peak_to_sidelobe_ratio(maps))))(jnp.full((2, *SHAPE), 0.3))
    assert np.all(np.isfinite(slope))


@given(arrays((2, *SHAPE), finite_floats(50)))
def test_entropy_is_a_share_that_no_constant_changes(logits):
    found = np.asarray(entropy(logits))
    assert np.all((found >= 0) & (found <= 1 + 1e-5))
    np.testing.assert_allclose(entropy(logits + 7), found, atol=1e-4)


def test_entropy_goes_from_one_place_to_all_of_them():
    every = np.zeros(SHAPE, np.float32)
    half = np.where(np.arange(SHAPE[0])[:, None] < SHAPE[0] // 2, every, -1e4)
    one = np.full(SHAPE, -1e4)
    one[3, 4] = 0
    found = entropy(np.stack([every, half, one]).astype(np.float32))
    np.testing.assert_allclose(found, [1, np.log(65) / np.log(130), 0], atol=1e-5)
