"""The direction networks have the layers, and the parameter counts, of Tables 1 and 2."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.direction import FineTunedCNN, ProbingCNN
from tests.random_variables import draw_variables


@functools.partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
def answers(model, variables, images):
    return model.apply(variables, images, train=False)


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def shapes(model, image_shape):
    return jax.eval_shape(
        lambda key: model.init(key, jnp.zeros(image_shape), train=False), jax.random.key(0)
    )["params"]


@pytest.mark.parametrize(("neurons", "last"), [(1, 17), (2, 34)])
def test_probing_cnn_has_the_parameter_counts_of_table_1(neurons, last):
    params = shapes(ProbingCNN(neurons=neurons), (1, 128, 128, 1))
    counts = [count(params[name]) for name in ("conv1", "conv2", "dense1", "dense2", "head")]
    assert counts == [416, 4640, 7373056, 4112, last]


def test_kappa_head_adds_one_neuron():
    with_kappa = shapes(ProbingCNN(kappa_head=True), (1, 128, 128, 1))
    without = shapes(ProbingCNN(), (1, 128, 128, 1))
    assert count(with_kappa) - count(without) == 17


SCALING = InputScaling(mean=(127.5,) * 3, std=(127.5,) * 3)


class Backbone(nn.Module):
    @nn.compact
    def __call__(self, images, *, train: bool):
        x = nn.Conv(8, (3, 3), strides=(4, 4), name="conv")(images)
        return (x, nn.BatchNorm(name="norm")(x, use_running_average=not train))


def test_fine_tuning_head_has_the_parameter_counts_of_table_2():
    params = shapes(FineTunedCNN(backbone=Backbone(), scaling=SCALING), (1, 32, 32, 1))
    assert count(params["dense1"]) == 8 * 1024 + 1024
    assert count(params["dense2"]) == 262400
    assert set(params) == {"backbone", "dense1", "dense2", "head"}


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (12, 12)])
def test_any_image_size_that_leaves_a_pixel_works_in_bfloat16_too(size):
    images = np.random.default_rng(0).normal(size=(3, *size, 1)).astype(np.float32)
    for dtype in (None, jnp.bfloat16):
        model = ProbingCNN(kappa_head=True, dtype=dtype)
        outputs = answers(model, draw_variables(model, images.shape), images)
        assert outputs.encoding.shape == (3, 2)
        assert outputs.concentration.shape == (3,)
        assert outputs.encoding.dtype == outputs.concentration.dtype == jnp.float32
        assert np.all(np.isfinite(outputs.encoding))


def test_bfloat16_agrees_with_float32():
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 1)).astype(np.float32)
    variables = draw_variables(ProbingCNN(), images.shape)
    full = answers(ProbingCNN(), variables, images).encoding
    half = answers(ProbingCNN(dtype=jnp.bfloat16), variables, images).encoding
    np.testing.assert_allclose(half, full, atol=0.03 * float(jnp.abs(full).max()))


def test_an_image_that_two_poolings_would_use_up_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 11, 40, 1\) have sides below 12 pixels"):
        ProbingCNN().init(jax.random.key(0), jnp.ones((1, 11, 40, 1)), train=False)
