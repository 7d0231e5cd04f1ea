import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose

from cellmotion_jax import ops
from tests.strategies import angle_arrays, arrays, finite_floats

TURN = 2 * math.pi
N = 8
wrap = jax.jit(ops.wrap)
signed = jax.jit(ops.signed_difference)
absolute = jax.jit(ops.absolute_difference)
decode = jax.jit(ops.decode_circle)
encode = jax.jit(ops.encode_circle)
heading = jax.jit(ops.heading)
rotate = jax.jit(ops.rotate_heading)
flip_horizontal = jax.jit(ops.mirror_heading_horizontal)
flip_vertical = jax.jit(ops.mirror_heading_vertical)
sigmoid = jax.jit(ops.sigmoid_activation)
decode_gradient = jax.jit(jax.grad(ops.decode_circle))


def same_direction(a, b, atol=2e-5):
    """Compares angles on the circle, where 0 and just below 2 pi are neighbours."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    assert_allclose(np.remainder(difference + math.pi, TURN) - math.pi, 0, atol=atol)


@given(angle_arrays(N, turns=3))
def test_wrap_is_numpys_remainder_but_for_the_end(angle):
    wrapped = np.asarray(wrap(angle))
    assert (wrapped >= 0).all()
    assert (wrapped < np.float32(TURN)).all()
    same_direction(wrapped, np.remainder(angle.astype(np.float64), TURN))


@given(arrays((N,), finite_floats(1e30)))
def test_wrap_stays_in_range_for_any_size(angle):
    wrapped = np.asarray(wrap(angle))
    assert (wrapped >= 0).all()
    assert (wrapped < np.float32(TURN)).all()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_wrap_never_returns_the_full_turn(dtype):
    angle = jnp.array([-1e-4, -1e-9, -0.0, 0.0, TURN, -TURN], dtype)
    wrapped = ops.wrap(angle)
    assert wrapped.dtype == dtype
    assert bool(jnp.all((wrapped >= 0) & (wrapped < jnp.asarray(TURN, dtype))))


@pytest.mark.parametrize("angle", [-7.0, -1e-9, 0.0, 3.0, np.float32(TURN), 1e8])
def test_wrap_has_gradient_one_even_at_the_jump(angle):
    assert jax.grad(ops.wrap)(float(angle)) == 1


@given(angle_arrays(N), angle_arrays(N))
def test_signed_difference_leads_from_b_to_a(a, b):
    turn = np.asarray(signed(a, b))
    assert (turn >= -np.float32(math.pi)).all()
    assert (turn < np.float32(math.pi)).all()
    same_direction(b + turn, a)


def test_signed_difference_keeps_small_differences_and_sends_the_antipode_to_minus_pi():
    assert signed(1e-20, 0.0) == np.float32(1e-20)
    assert signed(np.float32(math.pi), 0.0) == -np.float32(math.pi)
    assert signed(0.0, np.float32(math.pi)) == -np.float32(math.pi)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (math.pi, 0.0), (0.0, math.pi), (50.0, -50.0)])
def test_signed_difference_has_unit_gradients(a, b):
    assert jax.grad(ops.signed_difference, argnums=(0, 1))(a, b) == (1, -1)


@given(angle_arrays(N), angle_arrays(N))
def test_absolute_difference_is_the_angle_between_unit_vectors(a, b):
    dot = np.cos(a.astype(np.float64)) * np.cos(b) + np.sin(a.astype(np.float64)) * np.sin(b)
    arc = np.asarray(absolute(a, b))
    assert_allclose(np.cos(arc.astype(np.float64)), dot, atol=2e-6)
    assert (arc >= 0).all()
    assert (arc <= np.float32(math.pi)).all()


@given(angle_arrays(N, turns=2))
def test_decoding_undoes_encoding(angle):
    same_direction(decode(encode(angle)), angle)


@pytest.mark.parametrize("length", [1e-37, 1e-20, 1.0, 1e20, 1e37])
def test_decode_ignores_the_length_in_value_and_scales_the_gradient(length):
    vector = jnp.array([-0.6, 0.8], jnp.float32) * jnp.float32(length)
    assert_allclose(decode(vector), math.atan2(0.8, -0.6), rtol=1e-6)
    assert_allclose(decode_gradient(vector) * length, [-0.8, -0.6], rtol=1e-5)


def test_decode_gives_the_zero_vector_zero_angle_and_zero_gradient():
    assert decode(jnp.zeros(2)) == 0
    assert decode_gradient(jnp.zeros(2)).tolist() == [0, 0]
    assert jax.grad(ops.heading)(jnp.zeros(2)).tolist() == [0, 0]


def test_heading_is_counter_clockwise_with_y_down():
    """Right, up-right, up, left, down, with (dy, dx) in pixels."""
    displacements = jnp.array([[0.0, 2], [-1, 1], [-3, 0], [0, -1], [0.5, 0]])
    assert_allclose(np.degrees(heading(displacements)), [0, 45, 90, 180, 270], atol=1e-4)


@given(arrays((N, 2), finite_floats(100)))
def test_mirrored_displacements_have_mirrored_headings(displacement):
    displacement[np.linalg.norm(displacement, axis=-1) < 1e-3] = 1  # below there may be no direction
    angle = heading(displacement)
    same_direction(heading(displacement * np.float32([1, -1])), flip_horizontal(angle))
    same_direction(heading(displacement * np.float32([-1, 1])), flip_vertical(angle))


@given(angle_arrays(N), angle_arrays(N))
def test_rotations_turn_back_and_mirrors_undo_themselves(angle, rotation):
    same_direction(rotate(rotate(angle, rotation), -rotation), angle)
    for mirror in (flip_horizontal, flip_vertical):
        same_direction(mirror(mirror(angle)), angle)
        same_direction(mirror(rotate(angle, rotation)), rotate(mirror(angle), -rotation))


def test_one_rotation_serves_all_headings():
    assert_allclose(ops.rotate_heading(jnp.array([0.0, 1, 6]), 1.0), [1, 2, 7 - TURN], atol=1e-6)


@given(arrays((N,), finite_floats(50)))
def test_sigmoid_activation_is_the_papers_quotient(x):
    wide = x.astype(np.float64)
    assert_allclose(sigmoid(x), np.expm1(wide) / (np.exp(wide) + 1), rtol=2e-6, atol=1e-37)


def test_sigmoid_activation_neither_overflows_nor_loses_its_gradient():
    assert ops.sigmoid_activation(jnp.array([-1e30, 1e30])).tolist() == [-1, 1]
    assert jax.grad(ops.sigmoid_activation)(0.0) == 0.5
    assert jax.grad(ops.sigmoid_activation)(1e30) == 0


def test_activations_for_angles_and_points_as_in_the_paper():
    assert_allclose(ops.cyclic_activation(jnp.array([-1.0, 7.0])), [TURN - 1, 7 - TURN], atol=1e-6)
    assert ops.identity_activation(jnp.array([-9.0, 9.0])).tolist() == [-9, 9]
