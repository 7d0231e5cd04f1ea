import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from numpy.testing import assert_allclose

from cellmotion_jax.ops import bessel_ratio_complement, log_bessel_i0, log_bessel_i0e

# kappa, ln(exp(-kappa) I0(kappa)), 1 - I1(kappa) / I0(kappa): mpmath 1.3 with 50 digits.
REFERENCE = np.array(
    [
        (0.0, 0.0, 1.0),
        (1e-6, -9.9999975e-7, 0.9999995),
        (0.01, -0.0099750001562482639, 0.99500006249895835),
        (0.5, -0.4384502808145187, 0.75750038741919805),
        (1.0, -0.76408564149282135, 0.55361003410346549),
        (5.0, -1.6953182241774666, 0.10661686295591478),
        (29.999, -2.6152817561007666, 0.016811009966721558),
        (30.0, -2.6152985668280642, 0.016810444634663907),
        (30.001, -2.6153153769900486, 0.016809879340636942),
        (100.0, -3.2202673100574163, 0.0050126269948312344),
        (1e3, -4.3726911101305353, 0.0005001251251957198),
        (1e4, -5.524096218567699, 5.0001250125019535e-5),
        (1e6, -7.8266936871867473, 5.00000125000125e-7),
    ]
)
KAPPA, LOG_I0E, COMPLEMENT = REFERENCE.T


@pytest.mark.parametrize(("x64", "tolerance"), [(False, 6e-6), (True, 1e-10)])
def test_value_and_derivative_are_right_from_0_to_1e6(x64, tolerance):
    with jax.enable_x64(x64):
        kappa = jnp.asarray(KAPPA)
        assert_allclose(log_bessel_i0e(kappa), LOG_I0E, rtol=tolerance, atol=tolerance / 10)
        assert_allclose(log_bessel_i0(kappa), KAPPA + LOG_I0E, rtol=tolerance, atol=tolerance / 10)
        assert_allclose(bessel_ratio_complement(kappa), COMPLEMENT, rtol=tolerance)
        derivative = jax.vmap(jax.grad(log_bessel_i0e))(kappa)
        assert_allclose(derivative, -COMPLEMENT, rtol=tolerance)
        ratio = jax.vmap(jax.grad(log_bessel_i0))(kappa)
        assert_allclose(ratio, 1 - COMPLEMENT, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("x64", [False, True])
def test_second_derivative_obeys_the_riccati_equation(x64):
    """With ``u = 1 - I1 / I0``: ``u' = (1 - u) / kappa - 2 u + u**2``."""
    with jax.enable_x64(x64):
        kappa, u = KAPPA[3:], COMPLEMENT[3:]
        expected = (1 - u) / kappa - 2 * u + u**2
        expected[-2:] = -1 / (2 * kappa[-2:] ** 2)  # where the terms of the equation cancel
        slope = jax.vmap(jax.grad(bessel_ratio_complement))(jnp.asarray(kappa))
        assert_allclose(slope, expected, rtol=1e-4 if x64 else 1e-3)


def test_derivative_of_the_ratio_at_zero_is_one_half():
    assert_allclose(jax.grad(bessel_ratio_complement)(0.0), -0.5, rtol=1e-6)


def test_gradients_agree_with_finite_differences():
    with jax.enable_x64(True):
        kappa = jnp.array([0.3, 4.0, 29.0, 40.0])
        check_grads(log_bessel_i0, (kappa,), order=2, rtol=1e-6, atol=1e-6)


def test_half_precision_is_widened():
    kappa = jnp.array([0, 2, 1e6], jnp.bfloat16)
    assert log_bessel_i0e(kappa).dtype == jnp.float32
    assert_allclose(log_bessel_i0e(kappa), log_bessel_i0e(kappa.astype(jnp.float32)))


def test_beyond_the_promised_range_everything_stays_finite():
    value, derivative = jax.value_and_grad(log_bessel_i0e)(1e37)
    assert np.isfinite(value)
    assert_allclose(derivative, -5e-38, atol=1e-38)
