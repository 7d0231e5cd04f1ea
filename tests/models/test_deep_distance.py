"""DeepDistance is a U-Net with one encoder and a decoder per task, in the seven forms of Table 2."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.deep_distance import DeepDistance, Table2, Task, UpConv

KEY = jax.random.key(0)
CHEAP = {"xla_backend_optimization_level": 0}


def network(model: Table2, **changes) -> DeepDistance:
    return DeepDistance(**model.value._asdict(), **{"base_width": 4, "depth": 2, **changes})


def shapes(module, image_shape=(1, 16, 16, 1)):
    return jax.eval_shape(lambda: module.init(KEY, jnp.zeros(image_shape), train=False))


def drawn(module, image_shape):
    init = jax.jit(lambda: module.init(KEY, jnp.zeros(image_shape), train=False), compiler_options=CHEAP)
    return init()


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def small():
    """Network, variables and its compiled application."""
    module = network(Table2.deep_distance_extended)
    variables = drawn(module, (1, 16, 16, 1))
    apply = jax.jit(lambda v, x: module.apply(v, x, train=False), compiler_options=CHEAP)
    return module, variables, apply


@pytest.mark.parametrize("model", Table2)
def test_every_model_of_table_2_has_its_tasks_and_no_others(model):
    module = network(model)
    variables = shapes(module)
    outputs = jax.eval_shape(lambda v: module.apply(v, jnp.zeros((2, 16, 24, 1)), train=False), variables)
    for maps in (outputs.maps, outputs.raw):
        present = {Task(name) for name, value in maps._asdict().items() if value is not None}
        assert present == set(model.value.tasks)
        assert all(value.shape == (2, 16, 24) for value in jax.tree.leaves(maps))


def test_full_width_without_normalisation_has_the_parameters_of_the_u_net():
    module = DeepDistance(tasks=(Task.inner,), base_width=64, depth=4, batch_norm=False)
    # Ronneberger et al. 2015 with one channel in and one map out, as in many a reimplementation.
    assert count(shapes(module)["params"]) == 31_030_593


def test_tasks_share_the_encoder_and_nothing_else():
    one, two = (shapes(network(it))["params"] for it in (Table2.single_inner, Table2.deep_distance))
    assert set(one) == {"encoder", "inner"}
    assert set(two) == {"encoder", "inner", "outer"}
    assert count(two) == count(one) + count(one["inner"])


def test_the_cascade_is_two_networks_of_which_the_second_sees_one_map():
    rgb = shapes(network(Table2.cascaded_classification_inner), (1, 16, 16, 3))["params"]
    assert set(rgb) == {"first_encoder", "first_classification", "second_encoder", "second_inner"}
    assert rgb["first_encoder"]["level0"]["conv1"]["kernel"].shape[2] == 3
    assert rgb["second_encoder"]["level0"]["conv1"]["kernel"].shape[2] == 1


def test_distances_pass_a_relu_and_probabilities_a_sigmoid(small):
    _, variables, apply = small
    outputs = apply(variables, 3 * jax.random.normal(KEY, (1, 16, 16, 1)))
    for task in (Task.inner, Task.outer):
        raw = getattr(outputs.raw, task.value)
        np.testing.assert_array_equal(getattr(outputs.maps, task.value), np.maximum(raw, 0))
    np.testing.assert_allclose(
        outputs.maps.classification, 1 / (1 + np.exp(-outputs.raw.classification)), rtol=1e-5
    )


def test_moving_the_image_by_a_multiple_moves_the_maps(small):
    module, variables, apply = small
    # Far more around the square than the network sees, so that the edges do not tell.
    image = np.zeros((1, 96, 96, 1), np.float32)
    image[:, 44:52, 40:48] = 1
    moved = np.roll(image, 2 * module.multiple, axis=1)
    here, there = apply(variables, image).raw.inner, apply(variables, moved).raw.inner
    np.testing.assert_allclose(
        np.roll(here, 2 * module.multiple, axis=1)[:, 40:56, 36:52], there[:, 40:56, 36:52], atol=1e-5
    )


def test_dropout_and_batch_statistics_belong_to_training():
    module = network(Table2.single_inner, depth=1)
    images = jax.random.normal(KEY, (2, 8, 8, 1))
    variables = drawn(module, images.shape)

    @functools.partial(jax.jit, compiler_options=CHEAP)
    def trained(key):
        return module.apply(variables, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"])

    (first, updates), (second, _) = trained(jax.random.key(1)), trained(jax.random.key(2))
    assert not np.allclose(first.raw.inner, second.raw.inner)
    moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), updates["batch_stats"], variables["batch_stats"])
    assert any(jax.tree.leaves(moved))


def test_half_precision_inside_full_precision_out():
    module = network(Table2.deep_distance, dtype=jnp.bfloat16)
    variables = shapes(module)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables["params"])} == {jnp.dtype("float32")}
    outputs = jax.eval_shape(lambda v: module.apply(v, jnp.zeros((1, 16, 16, 1)), train=False), variables)
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}


def test_an_up_convolution_gives_every_pixel_four_of_its_own():
    module = UpConv(3)
    images = jax.random.normal(KEY, (1, 2, 2, 5))
    variables = module.init(KEY, images)
    kernel = variables["params"]["kernels"]["kernel"][0, 0].reshape(5, 2, 2, 3)
    expected = np.einsum("yxc,cijf->yixjf", images[0], kernel).reshape(4, 4, 3)
    np.testing.assert_allclose(module.apply(variables, images)[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "shape", "words"),
    [
        ({}, (1, 18, 16, 1), r"\(1, 18, 16, 1\).*multiples of 4"),
        ({"tasks": ()}, (1, 16, 16, 1), "tasks"),
        ({"tasks": (Task.inner, Task.inner)}, (1, 16, 16, 1), "tasks"),
        ({"tasks": (Task.inner,), "cascaded": True}, (1, 16, 16, 1), "cascade"),
    ],
)
def test_what_cannot_be_is_refused(changes, shape, words):
    module = DeepDistance(**{"base_width": 2, "depth": 2, **changes})
    with pytest.raises(ValueError, match=words):
        shapes(module, shape)
