import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads
from numpy.testing import assert_allclose, assert_array_equal

from cellmotion_jax import losses, ops
from tests.cases import ANGLES, POINTS
from tests.strategies import angle_arrays, angles, arrays, finite_floats, masks

PI, TURN = np.float32(math.pi), 2 * math.pi
N = 8
ANGLE_LOSSES = ["linear", "linear_squared", "cyclic", "cyclic_squared", "cosine"]
CYCLIC_LOSSES = ["cyclic", "cyclic_squared", "cosine"]
POINT_LOSSES = ["circle_distance", "circle_distance_squared"]


def _masked_loss(loss):
    return lambda predictions, targets, where: ops.masked_mean(loss(predictions, targets, where=where), where)


# Compiled once per shape for the whole file.
LOSS = {name: jax.jit(getattr(losses, name)) for name in ANGLE_LOSSES + POINT_LOSSES}
GRADIENTS = {
    name: jax.jit(jax.value_and_grad(_masked_loss(getattr(losses, name)), argnums=(0, 1)))
    for name in ANGLE_LOSSES + POINT_LOSSES
}


def reference(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The equations as printed, in float64, for angles in [0, 2 pi)."""
    difference = np.abs(a.astype(np.float64) - b)
    arc = np.minimum(difference, TURN - difference)
    return {
        "linear": difference,
        "linear_squared": difference**2,
        "cyclic": arc,
        "cyclic_squared": arc**2,
        "cosine": -np.cos(difference),
    }[name]


@pytest.mark.parametrize("name", ANGLE_LOSSES)
@given(a=angle_arrays(N), b=angle_arrays(N))
def test_angle_losses_are_the_printed_equations(name, a, b):
    a, b = np.abs(a), np.abs(b)
    assert_allclose(LOSS[name](a, b), reference(name, a, b), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", CYCLIC_LOSSES)
@given(a=angle_arrays(N), b=angle_arrays(N), turns=st.integers(-3, 3))
def test_cyclic_losses_have_the_period_of_a_turn(name, a, b, turns):
    shifted = a + np.float32(turns * TURN)
    assert_allclose(LOSS[name](shifted, b), LOSS[name](a, b), atol=4e-5)
    assert_allclose(LOSS[name](b, shifted), LOSS[name](b, a), atol=4e-5)


@pytest.mark.parametrize("name", ["linear", "linear_squared"])
def test_linear_losses_do_not_know_the_circle(name):
    just_below, just_above = jnp.array([TURN - 0.1]), jnp.array([0.1])
    assert LOSS[name](just_below, just_above) > 6
    assert LOSS[name](just_below - TURN, just_above) < 0.21


@pytest.mark.parametrize("name", ANGLE_LOSSES)
@given(a=angle_arrays(N), b=angle_arrays(N), rotation=angles())
def test_angle_losses_are_symmetric_and_blind_to_rotation_and_mirroring(name, a, b, rotation):
    value = LOSS[name](a, b)
    assert_allclose(LOSS[name](b, a), value, atol=1e-6)
    assert_allclose(LOSS[name](-a, -b), value, atol=1e-6)
    assert_allclose(LOSS[name](a + np.float32(rotation), b + np.float32(rotation)), value, atol=4e-5)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("cyclic", 0, PI), ("cyclic_squared", 0, PI**2), ("cosine", -1, 1)]
)
@given(a=arrays((N,), finite_floats(1e30)), b=angle_arrays(N))
def test_cyclic_losses_are_bounded_and_best_at_equality(name, low, high, a, b):
    value = np.asarray(LOSS[name](a, b))
    assert (value >= low).all()
    assert (value <= high).all()
    assert_array_equal(LOSS[name](a, a), low)


@given(angle_arrays(N, turns=3), angle_arrays(N))
def test_cosine_is_blind_to_mod(raw, targets):
    """Value and gradient do not notice the activation of Eq. (1)."""
    everything = np.ones(N, bool)
    value, (gradient, _) = GRADIENTS["cosine"](raw, targets, everything)
    wrapped_value, (wrapped_gradient, _) = GRADIENTS["cosine"](
        ops.cyclic_activation(raw), targets, everything
    )
    assert_allclose(wrapped_value, value, atol=1e-5)
    assert_allclose(wrapped_gradient, gradient, atol=1e-5)


@pytest.mark.parametrize("name", POINT_LOSSES)
@given(a=arrays((N, 2), finite_floats(1e3)), b=arrays((N, 2), finite_floats(1e3)))
def test_point_losses_are_the_printed_equations_and_symmetric(name, a, b):
    manhattan = np.abs(a.astype(np.float64) - b).sum(axis=-1)
    expected = manhattan if name == "circle_distance" else manhattan**2
    assert_allclose(LOSS[name](a, b), expected, rtol=1e-5, atol=1e-30)
    assert_array_equal(LOSS[name](a, b), LOSS[name](b, a))
    assert_array_equal(LOSS[name](a, a), 0)


def test_squared_point_loss_has_the_cross_term():
    """Eq. (8) is (|dx| + |dy|)**2 = 49, not 3**2 + 4**2 = 25."""
    assert losses.circle_distance_squared(jnp.array([3.0, -4.0]), jnp.zeros(2)) == 49


@given(angle_arrays(N), angle_arrays(N))
def test_point_losses_on_the_circle_are_bounded_and_blind_to_quarter_turns(a, b):
    distance = LOSS["circle_distance"](ops.encode_circle(a), ops.encode_circle(b))
    assert (np.asarray(distance) <= np.float32(2 * math.sqrt(2)) * (1 + 1e-6)).all()
    quarter = np.float32(math.pi / 2)
    turned = LOSS["circle_distance"](ops.encode_circle(a + quarter), ops.encode_circle(b + quarter))
    assert_allclose(turned, distance, atol=4e-6)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 3)])
def test_points_without_two_coordinates_are_refused(shape):
    for name in POINT_LOSSES:
        with pytest.raises(ValueError, match=r"\(x, y\) along an axis of length 2.*got shape"):
            getattr(losses, name)(jnp.zeros(shape), jnp.zeros(shape))


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, ANGLES[case]) for name in ANGLE_LOSSES for case in ANGLES]
    + [(name, POINTS[case]) for name in POINT_LOSSES for case in POINTS],
)
def test_nasty_arguments_give_finite_values_and_gradients(name, case):
    where = np.ones(3, bool) if case.where is None else case.where
    value, gradients = GRADIENTS[name](case.predictions, case.targets, where)
    assert np.isfinite(value)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert not np.asarray(gradient)[~where].any()


@pytest.mark.parametrize("name", ANGLE_LOSSES)
def test_gradients_at_equality_and_at_the_antipode(name):
    gradient = jax.grad(getattr(losses, name))
    assert gradient(1.0, 1.0) == 0
    expected = {"linear": 1, "linear_squared": TURN, "cyclic": -1, "cyclic_squared": -TURN, "cosine": 0}
    assert_allclose(gradient(PI, np.float32(0)), expected[name], atol=1e-6)


def test_gradients_leave_an_equal_coordinate_alone():
    prediction, target = jnp.array([0.5, 2.0]), jnp.array([0.5, 0.0])
    assert jax.grad(losses.circle_distance)(prediction, target).tolist() == [0, 1]
    assert jax.grad(losses.circle_distance_squared)(prediction, target).tolist() == [0, 4]


@pytest.mark.parametrize("name", ANGLE_LOSSES)
@given(a=angle_arrays(N), b=angle_arrays(N), where=masks(N))
def test_masked_angle_losses_equal_those_of_the_subset(name, a, b, where):
    element_wise = np.asarray(LOSS[name](a, b))
    unlabelled = np.where(where, b, np.float32(np.nan))
    masked = np.asarray(LOSS[name](a, unlabelled, where=where))
    assert_array_equal(masked, np.where(where, element_wise, 0))
    value, (gradient, _) = GRADIENTS[name](a, unlabelled, where)
    assert_allclose(value, element_wise[where].mean() if where.any() else 0, rtol=1e-5, atol=1e-6)
    assert not np.asarray(gradient)[~where].any()


@pytest.mark.parametrize("name", POINT_LOSSES)
@given(a=arrays((N, 2), finite_floats(10)), b=arrays((N, 2), finite_floats(10)), where=masks(N))
def test_masked_point_losses_equal_those_of_the_subset(name, a, b, where):
    element_wise = np.asarray(LOSS[name](a, b))
    unlabelled = np.where(where[:, None], b, np.float32(np.nan))
    assert_array_equal(LOSS[name](a, unlabelled, where=where), np.where(where, element_wise, 0))


@pytest.mark.parametrize("name", ANGLE_LOSSES + POINT_LOSSES)
def test_gradients_agree_with_finite_differences(name):
    rng = np.random.default_rng(1)
    shape = (5, 2) if name in POINT_LOSSES else (5,)
    with jax.enable_x64(True):
        a, b = (jnp.asarray(rng.uniform(0, 6, shape)) for _ in range(2))
        check_grads(getattr(losses, name), (a, b), order=1, modes=("rev",), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ANGLE_LOSSES + POINT_LOSSES)
def test_bfloat16_is_kept_and_agrees_with_float32(name):
    """Differences of numbers up to 6 are rounded to 2**-7, which a square multiplies by up to 4 pi."""
    rng = np.random.default_rng(2)
    shape = (64, 2) if name in POINT_LOSSES else (64,)
    scale = 1 if name in POINT_LOSSES else TURN
    a, b = (jnp.asarray(rng.uniform(0, scale, shape), jnp.bfloat16) for _ in range(2))
    narrow = LOSS[name](a, b)
    assert narrow.dtype == jnp.bfloat16
    wide = LOSS[name](a.astype(jnp.float32), b.astype(jnp.float32))
    assert_allclose(narrow.astype(jnp.float32), wide, rtol=0.02, atol=0.05)
