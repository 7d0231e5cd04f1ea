import math

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax import losses, ops
from tests.cases import ANGLES
from tests.strategies import angle_arrays, angles, arrays, finite_floats, masks

N, K = 8, 3
KAPPAS = [0.0, 1e-6, 1e-3, 0.1, 1.0, 5.0, 29.9, 30.1, 100.0, 1e3, 1e4, 1e5, 1e6]


def _nll(predictions, targets, kappa, where=None):
    return losses.von_mises_nll(predictions, targets, kappa=kappa, where=where)


def _masked_nll(predictions, targets, kappa, where):
    return ops.masked_mean(_nll(predictions, targets, kappa, where), where)


def _masked_mixture(means, kappas, logits, targets, where):
    nll = losses.von_mises_mixture_nll(means, kappas, logits, targets, where=where)
    return ops.masked_mean(nll, where)


nll = jax.jit(_nll)
gradient = jax.jit(jax.vmap(jax.grad(_nll, argnums=(0, 2))))
mixture = jax.jit(losses.von_mises_mixture_nll)
masked_nll = jax.jit(jax.value_and_grad(_masked_nll, argnums=(0, 1, 2)))
masked_mixture = jax.jit(jax.value_and_grad(_masked_mixture, argnums=(0, 1, 2, 3)))


def kappas(*shape: int) -> st.SearchStrategy[np.ndarray]:
    """Concentrations from 0 to 1e6, evenly in their logarithm."""
    powers = st.floats(-6, 6, width=32).map(lambda power: float(np.float32(10**power)))
    return arrays(shape, st.one_of(st.just(0.0), powers))


def reference(predictions, targets, kappa):
    """Value and both derivatives in float64: scipy's likelihood and the analytical gradient."""
    turn = targets.astype(np.float64) - predictions
    kappa = np.maximum(kappa.astype(np.float64), 1e-300)  # scipy wants it positive
    value = -scipy.stats.vonmises.logpdf(turn, kappa)
    versine = 2 * np.sin(turn / 2) ** 2
    scaled = scipy.special.i0e(kappa)
    complement = (scaled - scipy.special.i1e(kappa)) / scaled
    return value, -kappa * np.sin(turn), versine - complement, versine + complement


@given(angle_arrays(N), angle_arrays(N), kappas(N))
def test_value_and_gradients_for_any_angle_and_kappa(predictions, targets, kappa):
    value, for_angle, for_kappa, size = reference(predictions, targets, kappa)
    assert_allclose(nll(predictions, targets, kappa), value, rtol=3e-6, atol=3e-6 * (1 + kappa).max())
    angle_gradient, kappa_gradient = gradient(predictions, targets, kappa)
    assert_allclose(angle_gradient / (1 + kappa), for_angle / (1 + kappa), atol=1e-5)
    assert (np.abs(kappa_gradient - for_kappa) <= 1e-5 * size + 3e-6).all()


@pytest.mark.parametrize("kappa", KAPPAS)
def test_value_and_gradients_near_the_peak(kappa):
    """Within a few standard deviations, where ``1 - cos`` and ``1 - I1 / I0`` lose all digits in float32."""
    targets = np.float32(2 + np.linspace(-4, 4, N) * min(0.5, kappa**-0.5 if kappa else 0.5))
    predictions, concentrations = np.full(N, 2, np.float32), np.full(N, kappa, np.float32)
    value, for_angle, for_kappa, size = reference(predictions, targets, concentrations)
    assert_allclose(nll(predictions, targets, concentrations), value, rtol=2e-6, atol=2e-6)
    angle_gradient, kappa_gradient = gradient(predictions, targets, concentrations)
    assert_allclose(angle_gradient, for_angle, rtol=1e-5, atol=1e-6)
    assert (np.abs(kappa_gradient - for_kappa) <= 1e-5 * size).all()


def test_golden_values():
    """mpmath 1.3 with 30 digits."""
    assert_allclose(_nll(0.5, 1.0, 2.0), 0.906705484111556, rtol=1e-6)
    assert_allclose(_nll(0.0, 3.0, 1e6), 1989986.50778383, rtol=1e-6)
    assert_allclose(_nll(0.0, 1e-3, 1e6), -5.48881662, rtol=1e-6)


def test_zero_concentration_is_the_uniform_distribution():
    value = nll(np.float32([0, 1, 6]), np.float32([3, 1, 2]), np.float32([0, 0, 0]))
    assert_allclose(value, math.log(2 * math.pi), rtol=1e-6)


@pytest.mark.parametrize("kappa", [0.0, 0.5, 40.0])
def test_the_density_integrates_to_one(kappa):
    grid = np.linspace(0, 2 * math.pi, 400, endpoint=False, dtype=np.float32)
    density = jnp.exp(-nll(np.full(400, 1, np.float32), grid, np.float32(kappa)))
    assert_allclose(jnp.mean(density) * 2 * math.pi, 1, rtol=1e-5)


@given(angle_arrays(N), angle_arrays(N), angles(), st.integers(-3, 3))
def test_periodic_symmetric_and_blind_to_rotation(a, b, rotation, turns):
    kappa, rotation = np.float32(3), np.float32(rotation)
    value = nll(a, b, kappa)
    assert_allclose(nll(b, a, kappa), value, atol=1e-5)
    assert_allclose(nll(a + rotation, b + rotation, kappa), value, atol=1e-4)
    assert_allclose(nll(a + np.float32(turns * 2 * math.pi), b, kappa), value, atol=1e-4)


@given(angle_arrays(N), angle_arrays(N))
def test_with_one_kappa_for_all_it_is_the_cosine_loss(a, b):
    """Eq. (12): equal up to a constant and the factor kappa."""
    constant = math.log(2 * math.pi * scipy.special.i0(2.0))
    assert_allclose(nll(a, b, np.float32(2)), 2 * losses.cosine(a, b) + constant, atol=1e-5)


@pytest.mark.parametrize("case", ANGLES.values(), ids=ANGLES.keys())
@pytest.mark.parametrize("kappa", [0.0, 2.0, 1e6])
def test_nasty_arguments_give_finite_values_and_gradients(case, kappa):
    where = np.ones(3, bool) if case.where is None else case.where
    concentrations = np.where(where, np.float32(kappa), np.float32(np.nan))
    value, gradients = masked_nll(case.predictions, case.targets, concentrations, where)
    spread = np.repeat(case.predictions[:, None], K, axis=1), np.repeat(concentrations[:, None], K, axis=1)
    logits = np.where(where[:, None], np.float32([0, 100, -100]), np.float32(np.nan))
    mixture_value, mixture_gradients = masked_mixture(*spread, logits, case.targets, where)
    assert np.isfinite(value)
    assert_allclose(mixture_value, value, rtol=1e-5, atol=1e-5)  # all components are alike
    for gradient in (*gradients, *mixture_gradients):
        assert np.isfinite(gradient).all()
        assert not np.asarray(gradient)[~where].any()


@given(angle_arrays(N), angle_arrays(N), kappas(N), masks(N))
def test_masked_equals_the_subset(a, b, kappa, where):
    element_wise = np.asarray(nll(a, b, kappa))
    unlabelled = np.where(where, b, np.float32(np.nan))
    assert_array_equal(nll(a, unlabelled, kappa, where), np.where(where, element_wise, 0))


def test_gradients_agree_with_finite_differences():
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        a, b = (jnp.asarray(rng.uniform(0, 6, 4)) for _ in range(2))
        kappa = jnp.array([0.3, 3.0, 35.0, 90.0])
        check_grads(nll, (a, b, kappa), order=1, modes=("rev",), rtol=1e-5, atol=1e-5)
        mixture_arguments = [jnp.asarray(rng.uniform(0.5, 4, (4, K))) for _ in range(3)]
        check_grads(mixture, (*mixture_arguments, b), order=1, modes=("rev",), rtol=1e-5, atol=1e-5)


def test_bfloat16_is_computed_in_float32_and_kept():
    rng = np.random.default_rng(2)
    a, b = (jnp.asarray(rng.uniform(0, 6, N), jnp.bfloat16) for _ in range(2))
    kappa = jnp.asarray(rng.gamma(2, 3, N), jnp.bfloat16)
    wide = nll(a.astype(jnp.float32), b.astype(jnp.float32), kappa.astype(jnp.float32))
    assert nll(a, b, kappa).dtype == jnp.bfloat16
    assert_array_equal(nll(a, b, kappa), wide.astype(jnp.bfloat16))
    components = [jnp.stack([x] * K, axis=-1) for x in (a, kappa, jnp.zeros_like(a))]
    assert mixture(*components, b).dtype == jnp.bfloat16
    assert_allclose(mixture(*components, b).astype(jnp.float32), wide, rtol=0.01)


@given(arrays((N, K), angles()), kappas(N, K), arrays((N, K), finite_floats(20)), angle_arrays(N))
def test_mixture_is_the_log_of_the_weighted_densities(means, concentrations, logits, targets):
    turn = targets[:, None].astype(np.float64) - means
    log_density = scipy.stats.vonmises.logpdf(turn, np.maximum(concentrations.astype(np.float64), 1e-300))
    log_weight = scipy.special.log_softmax(logits.astype(np.float64), axis=-1)
    expected = -scipy.special.logsumexp(log_weight + log_density, axis=-1)
    largest = (1 + concentrations).max(axis=-1)
    value = np.asarray(mixture(means, concentrations, logits, targets))
    assert (np.abs(value - expected) <= 1e-5 * largest).all()


def test_an_absent_component_changes_nothing():
    means, concentrations = jnp.array([1.0, 4.0]), jnp.array([2.0, 1e6])
    logits = jnp.array([0.3, -jnp.inf])
    value, gradients = jax.value_and_grad(losses.von_mises_mixture_nll, argnums=(0, 1, 2))(
        means, concentrations, logits, 1.5
    )
    assert_allclose(value, _nll(1.0, 1.5, 2.0), rtol=1e-6)
    for part in gradients:
        assert np.isfinite(part).all()
        assert part[1] == 0


def test_mixture_refuses_components_that_do_not_fit_the_targets():
    with pytest.raises(ValueError, match=r"means has \(4, 3\), targets has \(3,\)"):
        losses.von_mises_mixture_nll(jnp.zeros((4, 3)), jnp.zeros((4, 3)), jnp.zeros((4, 3)), jnp.zeros(3))


def test_whole_numbers_are_no_reason_to_round(monkeypatch):
    """Type checks of the tests would refuse whole numbers; users have none."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert float(losses.von_mises_nll(1, 2, kappa=3)) == float(losses.von_mises_nll(1.0, 2.0, kappa=3.0))
    means, kappas, logits = jnp.array([1, 2]), jnp.array([3, 4]), jnp.array([0, 1])
    whole = losses.von_mises_mixture_nll(means, kappas, logits, jnp.array(1))
    real = losses.von_mises_mixture_nll(*(it.astype(float) for it in (means, kappas, logits)), jnp.array(1.0))
    assert float(whole) == float(real)
    assert float(ops.masked_mean(jnp.array([1, 2, 2]))) == pytest.approx(5 / 3)
