"""Warps agree with SciPy and NumPy, and move headings the way the labels are moved."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from cellmotion_jax.ops.angles import (
    absolute_difference,
    heading,
    mirror_heading_horizontal,
    mirror_heading_vertical,
    rotate_heading,
)
from cellmotion_jax.ops.warp import affine_warp, rotate, rotation_matrix, similarity_matrix, warp_labels

angles = st.floats(-10, 10, width=32)
seeds = st.integers(0, 2**16)
IDENTITY = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


warp_to_7_by_8 = jax.jit(
    lambda image, matrix, fill: affine_warp(image, matrix, fill=fill, output_shape=(7, 8))
)


# One program per shape in place of one per operation.
warped = jax.jit(affine_warp)
rotated = jax.jit(rotate)


def noise(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape), jnp.float32)


def bump(direction, size=41, radius=11.0, sigma=2.0):
    """A Gaussian blob away from the image centre, in the given direction."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    dy, dx = -radius * math.sin(direction), radius * math.cos(direction)
    blob = np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / (2 * sigma**2))
    return jnp.asarray(blob, jnp.float32)[..., None]


def centroid(image):
    """Offset ``(dy, dx)`` of the brightness from the image centre."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weights = np.asarray(image[..., 0]) / float(image.sum())
    offset = (weights * y).sum() - (image.shape[0] - 1) / 2, (weights * x).sum() - (image.shape[1] - 1) / 2
    return np.array(offset, np.float32)


@pytest.mark.parametrize(("height", "width", "channels"), [(1, 1, 1), (1, 7, 2), (6, 1, 1), (8, 5, 3)])
def test_identity_returns_the_image_to_the_bit(height, width, channels):
    image = noise(height, height, width, channels)
    chex.assert_trees_all_equal(warped(image, IDENTITY, fill=5.0), image)
    chex.assert_trees_all_equal(warped(image, similarity_matrix(shape=(height, width))), image)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (7, 1), (8, 5)])
@given(seed=seeds, fill=st.sampled_from([0.0, -1.5]))
def test_equals_scipy_grid_constant(height, width, seed, fill):
    image = noise(seed, height, width, 2)
    normal = np.random.default_rng(seed + 1).normal(size=(2, 3)) * np.array([[1.0, 1.0, 3.0]])
    matrix = jnp.asarray(normal, jnp.float32)
    ours = warp_to_7_by_8(image, matrix, fill=fill)
    oracle = [
        scipy.ndimage.affine_transform(
            np.asarray(channel, np.float64),
            np.asarray(matrix[:, :2], np.float64),
            np.asarray(matrix[:, 2], np.float64),
            output_shape=(7, 8),
            order=1,
            mode="grid-constant",
            cval=fill,
        )
        for channel in np.moveaxis(np.asarray(image), -1, 0)
    ]
    np.testing.assert_allclose(ours, np.stack(oracle, axis=-1), atol=2e-5)


@pytest.mark.parametrize("size", [2, 5, 64, 128])
@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_quarter_turns_equal_rot90(size, quarters):
    image = noise(size, size, size, 2)
    turned = rotated(image, quarters * math.pi / 2, fill=0.0)
    # The float32 nearest to a whole turn's part is off by up to 1e-7, which grows with the distance.
    np.testing.assert_allclose(
        turned, np.rot90(image, quarters), atol=1e-5 if quarters == 1 else 2.5e-7 * size
    )


def test_mirrors_equal_numpy_flips():
    image = noise(0, 6, 9, 1)
    horizontal = similarity_matrix(mirror_horizontal=True, shape=(6, 9))
    vertical = similarity_matrix(mirror_vertical=True, shape=(6, 9))
    chex.assert_trees_all_equal(warped(image, horizontal), image[:, ::-1])
    chex.assert_trees_all_equal(warped(image, vertical), image[::-1])


def test_a_shift_by_whole_pixels_moves_the_content_and_fills():
    image = noise(1, 5, 6, 1)
    shifted = warped(image, similarity_matrix(shift=(1.0, -2.0), shape=(5, 6)), fill=7.0)
    chex.assert_trees_all_close(shifted[1:, :-2], image[:-1, 2:], atol=1e-6)
    chex.assert_trees_all_equal(shifted[0], jnp.full((6, 1), 7.0))
    chex.assert_trees_all_equal(shifted[:, -2:], jnp.full((5, 2, 1), 7.0))


@given(start=angles, rotation=angles)
def test_rotation_adds_to_the_measured_heading(start, rotation):
    turned = rotated(bump(start), rotation, fill=0.0)
    expected = rotate_heading(start, rotation)
    assert absolute_difference(heading(centroid(turned)), expected) < 1e-2


@given(
    start=angles,
    rotation=angles,
    horizontal=st.booleans(),
    vertical=st.booleans(),
    scale=st.floats(0.75, 1.25, width=32),
    shift=st.tuples(st.floats(-3, 3, width=32), st.floats(-3, 3, width=32)),
)
def test_labels_follow_the_content_through_a_similarity(start, rotation, horizontal, vertical, scale, shift):
    image = bump(start)
    matrix = similarity_matrix(
        rotation=rotation,
        scale=scale,
        shift=shift,
        mirror_horizontal=horizontal,
        mirror_vertical=vertical,
        shape=(41, 41),
    )
    displacement = centroid(warped(image, matrix)) - np.array(shift, np.float32)
    expected = jnp.asarray(start)
    expected = mirror_heading_horizontal(expected) if horizontal else expected
    expected = mirror_heading_vertical(expected) if vertical else expected
    expected = rotate_heading(expected, rotation)
    assert absolute_difference(heading(displacement), expected) < 3e-2
    assert np.linalg.norm(displacement) == pytest.approx(11 * scale, abs=0.3)


@given(rotation=angles, seed=seeds)
def test_rotations_of_a_rectangle_compose_to_the_identity_map(rotation, seed):
    points = 20 * noise(seed, 2, 4)
    there, back = rotation_matrix(rotation, (21, 13)), rotation_matrix(-rotation, (21, 13))
    moved = there[:, :2] @ points + there[:, 2:]
    np.testing.assert_allclose(back[:, :2] @ moved + back[:, 2:], points, atol=2e-4)


def test_eager_equals_jit_equals_vmap_with_traced_options():
    images = noise(3, 4, 8, 8, 1)
    flags = jnp.array([True, False, True, False])
    values = jnp.linspace(-0.3, 0.4, 4)

    def augment(image, value, flag):
        matrix = similarity_matrix(
            rotation=value,
            scale=1 + value,
            shift=jnp.stack([value, -value]),
            mirror_horizontal=flag,
            mirror_vertical=~flag,
            shape=(8, 8),
        )
        return affine_warp(image, matrix, fill=value)

    eager = jnp.stack([augment(*arguments) for arguments in zip(images, values, flags)])
    chex.assert_trees_all_close(jax.jit(jax.vmap(augment))(images, values, flags), eager, atol=1e-5)


def test_gradients_equal_differences():
    image = scipy.ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(12, 12)), 1.5)[..., None]
    image = jnp.asarray(image, jnp.float32)

    @jax.jit
    def loss(parameters, image):
        matrix = similarity_matrix(
            rotation=parameters[0], scale=parameters[1], shift=parameters[2:], shape=(12, 12)
        )
        return jnp.sum(jnp.sin(affine_warp(image, matrix)))

    at = jnp.array([0.3, 1.1, 0.4, -0.7])
    slopes, image_slope = jax.jit(jax.grad(loss, argnums=(0, 1)))(at, image)
    step = 1e-2
    for i, slope in enumerate(slopes):
        delta = jnp.zeros(4).at[i].set(step)
        assert slope == pytest.approx(
            float(loss(at + delta, image) - loss(at - delta, image)) / (2 * step), abs=0.1
        )
    nudge = jnp.zeros_like(image).at[5, 6, 0].set(step)
    difference = float(loss(at, image + nudge) - loss(at, image - nudge)) / (2 * step)
    assert image_slope[5, 6, 0] == pytest.approx(difference, abs=1e-3)


@pytest.mark.parametrize("offset", [0.0, -1.0, 5.0, 1e20, -1e20])
def test_far_away_is_fill_and_every_gradient_is_finite(offset):
    image = noise(4, 5, 5, 1)
    matrix = IDENTITY.at[:, 2].set(offset)
    moved = warped(image, matrix, fill=2.0)
    if abs(offset) >= 5:
        chex.assert_trees_all_equal(moved, jnp.full((5, 5, 1), 2.0))
    chex.assert_tree_all_finite((moved, gradients_of_sum(image, matrix)))


gradients_of_sum = jax.jit(jax.grad(lambda i, m: jnp.sum(affine_warp(i, m)), argnums=(0, 1)))


def test_half_precision_images_keep_their_type_and_are_sampled_where_float32_ones_are():
    image = jnp.tile(jnp.arange(300.0)[None, :, None], (2, 1, 1)) / 300
    matrix = IDENTITY.at[1, 2].set(0.5)
    half = warped(image.astype(jnp.bfloat16), matrix)
    assert half.dtype == jnp.bfloat16
    chex.assert_trees_all_close(half.astype(jnp.float32), warped(image, matrix), atol=5e-3)


def test_one_trace_serves_all_angles():
    traces = []

    @jax.jit
    def turn(image, angle):
        traces.append(angle)
        return rotate(image, angle, fill=0.0)

    for angle in (0.1, 2.0):
        turn(noise(5, 6, 6, 1), jnp.float32(angle))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("image", "matrix"), [((4, 4), (2, 3)), ((2, 4, 4, 1), (2, 3)), ((4, 4, 1), (3, 3)), ((4, 4, 1), (3,))]
)
def test_wrong_shapes_are_refused_by_name(image, matrix):
    with pytest.raises(ValueError, match=r"image has shape .*matrix has shape"):
        affine_warp(jnp.zeros(image), jnp.zeros(matrix))


labels_to_9_by_8 = jax.jit(lambda labels, matrix: warp_labels(labels, matrix, fill=77, output_shape=(9, 8)))


@given(st.integers(0, 2**16), st.floats(-4, 4), st.floats(0.3, 3))
def test_warped_labels_are_those_of_scipy(seed, angle, scale):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 50, (12, 7)).astype(np.int32)
    matrix = similarity_matrix(rotation=angle, scale=scale, shape=(12, 7)) + np.array([[0, 0, 0.01]])
    matrix = np.asarray(matrix)
    expected = scipy.ndimage.affine_transform(
        labels, matrix[:, :2], matrix[:, 2], output_shape=(9, 8), order=0, mode="grid-constant", cval=77
    )
    found = np.asarray(labels_to_9_by_8(labels, matrix))
    # But where a place lies between two pixels.
    places = matrix[:, :2] @ np.indices((9, 8)).reshape(2, -1) + matrix[:, 2:]
    sure = (np.abs(places - np.floor(places) - 0.5) > 1e-4).all(axis=0).reshape(9, 8)
    np.testing.assert_array_equal(found[sure], expected[sure])
    assert sure.mean() > 0.5


def test_labels_under_the_identity_are_the_same_and_all_channels_move_as_one():
    labels = np.random.default_rng(0).integers(0, 300, (9, 8, 2)).astype(np.int32)
    np.testing.assert_array_equal(labels_to_9_by_8(labels, IDENTITY), labels)
    turned = rotation_matrix(1.0, (9, 8))
    moved = labels_to_9_by_8(labels, turned)
    for channel in (0, 1):
        np.testing.assert_array_equal(moved[..., channel], labels_to_9_by_8(labels[..., channel], turned))


def test_labels_from_far_away_are_the_fill():
    far = jnp.array([[1e30, 0.0, 1e30], [0.0, 1e30, -1e30]])
    assert (labels_to_9_by_8(np.ones((9, 8), np.int32), far) == 77).all()


@pytest.mark.parametrize(("labels", "matrix"), [((3,), (2, 3)), ((3, 3), (3, 3)), ((1, 1, 3, 3), (2, 3))])
def test_labels_and_matrices_of_other_axes_are_refused(labels, matrix):
    with pytest.raises(ValueError, match=r"labels has shape .*, matrix has shape") as refused:
        warp_labels(np.zeros(labels, int), np.zeros(matrix), fill=0, output_shape=(2, 2))
    assert f"{labels}, matrix has shape {matrix}" in str(refused.value)
