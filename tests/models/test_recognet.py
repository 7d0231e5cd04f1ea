"""RecogNet classifies windows of 40 x 40 and gives features of windows of any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.models.recognet import RecogNet

KEY = jax.random.key(0)
CHEAP = {"xla_backend_optimization_level": 0}
SMALL = RecogNet(nuclei=5, widths=(2, 3, 4, 4, 5, 6), dense_width=7)


def shapes(net, size=40):
    return jax.eval_shape(lambda: net.init(KEY, jnp.zeros((1, size, size, 1)), train=False))["params"]


@pytest.fixture(scope="module")
def variables():
    init = jax.jit(lambda: SMALL.init(KEY, jnp.zeros((1, 40, 40, 1)), train=False), compiler_options=CHEAP)
    return init()


def test_layers_are_those_of_the_paper():
    params = shapes(RecogNet())
    assert set(params) == {*(f"conv{k}" for k in range(1, 7)), "dense1", "dense2"}
    assert {params[f"conv{k}"]["kernel"].shape[:2] for k in range(1, 7)} == {(3, 3)}
    assert params["dense1"]["kernel"].shape == (5 * 5 * 128, 1024)
    assert params["dense2"]["kernel"].shape == (1024, 256)
    # 320 + 9,248 + 18,496 + 36,928 + 73,856 + 147,584 of the convolutions, 3,277,824 and 262,400 of the head.
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 3_826_656


def test_logits_and_one_map_per_convolution(variables):
    windows = jax.random.normal(KEY, (3, 40, 40, 1))
    outputs = jax.eval_shape(lambda v: SMALL.apply(v, windows, train=False), variables)
    assert outputs.logits.shape == (3, 5)
    sides = [40, 40, 20, 20, 10, 10]
    assert [f.shape for f in outputs.features] == [(3, s, s, w) for s, w in zip(sides, SMALL.widths)]


def test_features_of_another_size_are_those_of_the_window_within(variables):
    image = jax.random.normal(KEY, (1, 61, 50, 1))

    def of(v, x):
        return SMALL.apply(v, x, train=False, head=False).features

    features = jax.jit(of, compiler_options=CHEAP)
    of_window = features(variables, image[:, 8:48, :40])
    of_image = features(variables, image)
    assert [f.shape[1:3] for f in of_image] == [(61, 50), (61, 50), (30, 25), (30, 25), (15, 12), (15, 12)]
    # Where neither sees padding: 2, 7 and 18 pixels from an edge, on the grid of each pair.
    for k, (step, rim) in enumerate([(1, 2)] * 2 + [(2, 4)] * 2 + [(4, 5)] * 2):
        side = 40 // step
        inside = of_image[k][:, 8 // step : 8 // step + side, :side]
        np.testing.assert_allclose(
            of_window[k][:, rim:-rim, rim:-rim], inside[:, rim:-rim, rim:-rim], rtol=1e-4, atol=1e-5
        )


def test_the_first_layers_alone_are_the_same(variables):
    windows = jax.random.normal(KEY, (1, 12, 12, 1))
    some, every = (
        jax.jit(
            lambda v, x, k=k: SMALL.apply(v, x, train=False, head=False, layers=k), compiler_options=CHEAP
        )(variables, windows)
        for k in (3, 6)
    )
    assert some.logits is None
    assert [len(some.features), len(every.features)] == [3, 6]
    for first, again in zip(some.features, every.features):
        np.testing.assert_allclose(first, again, rtol=1e-5, atol=1e-6)


def test_dropout_acts_in_training_only(variables):
    windows = jax.random.normal(KEY, (2, 40, 40, 1))

    def trained(key):
        return SMALL.apply(variables, windows, train=True, rngs={"dropout": key}).logits

    train = jax.jit(trained, compiler_options=CHEAP)
    first, again, other = train(KEY), train(KEY), train(jax.random.key(1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize(
    ("shape", "options", "told"),
    [
        ((1, 40, 40, 1), {"layers": 4}, "the head needs all layers, not 4"),
        ((1, 40, 40, 1), {"layers": 7, "head": False}, "layers must be between 1 and 6, got 7"),
        ((1, 3, 40, 1), {"head": False}, r"\(1, 3, 40, 1\).*at least 4 pixels"),
    ],
)
def test_what_cannot_be_is_refused(variables, shape, options, told):
    with pytest.raises(ValueError, match=told):
        jax.eval_shape(lambda v: SMALL.apply(v, jnp.zeros(shape), train=False, **options), variables)


def test_widths_come_in_pairs():
    with pytest.raises(ValueError, match="widths must come in pairs, got 3"):
        shapes(RecogNet(widths=(2, 2, 2)))
