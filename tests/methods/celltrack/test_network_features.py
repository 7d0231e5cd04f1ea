"""Maps of networks have the positions that the tracker assumes; RecogNet's windows have no border effect."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.methods.celltrack.network_features import (
    DeepCellFeatures,
    MobileNetFeatures,
    RecogNetMaps,
    padding_reach,
    recognet_features,
)
from cellmotion_jax.methods.recognet.model_file import (
    RecogNetModel,
    load_model,
    save_model,
)
from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.backbones.mobilenet_v2 import MobileNetV2
from cellmotion_jax.models.feature_net import Conv, FeatureNet, Pool
from cellmotion_jax.models.recognet import RecogNet
from cellmotion_jax.ops import local_contrast
from cellmotion_jax.tracking.correlation_filter import LinearFilter
from cellmotion_jax.tracking.hierarchical import init_levels, respond_levels

CHEAP = {"xla_backend_optimization_level": 0}
SIZE = 32
TINY_NET = FeatureNet((Conv(4, 2), Pool(), Conv(3, 3), Conv(2, 4)), dense_width=3)


def blobs(shape=(100, 110), seed=0):
    """A frame of spots on a bright ground."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    frame = np.full(shape, 500.0)
    for y, x in rng.uniform(0, shape, (30, 2)):
        frame += rng.uniform(50, 300) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 18)
    return jnp.asarray(frame, jnp.float32)


@pytest.fixture(scope="module")
def recognition():
    network = RecogNet(nuclei=4, widths=(4,) * 6, dense_width=4)
    variables = jax.jit(
        lambda: network.init(jax.random.key(3), jnp.zeros((1, 16, 16, 1)), train=False),
        compiler_options=CHEAP,
    )()
    # Biases, which a trained network has, make something of an empty image.
    variables = jax.tree.map(lambda leaf: leaf + 0.3 * (leaf.ndim == 1), variables)
    return RecogNetModel(
        network=network,
        variables=variables,
        mean=-0.5,
        scale=2.0,
        window=16,
        downsample=1,
        names=("a", "b", "c"),
    )


def windows(features, frame, centres, scales=None, size=SIZE):
    def both(features, frame, centres):
        return features.windows(features.prepare(frame), centres, scales, size=size).levels

    return jax.jit(both, compiler_options=CHEAP)(features, frame, jnp.asarray(centres, jnp.float32))


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5, 6])
def test_no_padding_reaches_the_windows_of_debiased_features(recognition, layers):
    """A window that lies 4 pixels further shows what the first one shows 4 pixels further, and no border."""
    centres = [[48.0, 50.0], [52.0, 50.0]]
    frame = blobs()
    same = {}
    for debiased in (True, False):
        features = recognet_features(recognition, layers=layers, debiased=debiased)
        *_, last = windows(features, frame, centres)
        step = 4 // features.strides[-1]
        assert last.shape[1] == SIZE // features.strides[-1]
        same[debiased] = np.allclose(last[0, step:], last[1, :-step], atol=1e-4)
    assert same == {True: True, False: False}


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5, 6])
def test_the_reach_of_the_padding_is_measured(recognition, layers):
    """Zeros beyond the border of an empty but not black image change the maps exactly so far in."""
    network = functools.partial(recognition.network.apply, train=False, head=False, layers=layers)
    image = jnp.full((1, 64, 64, 1), 0.7)
    *_, last = jax.jit(network, compiler_options=CHEAP)(recognition.variables, image).features
    stride = 64 // last.shape[1]
    middle = last[0, 32 // stride]
    changed = np.any(~np.isclose(middle, middle[32 // stride], atol=1e-5), axis=-1)
    reach = np.flatnonzero(changed[: 32 // stride])
    assert len(reach) * stride <= padding_reach(layers) < 32
    assert reach.max() == padding_reach(layers) // stride - 1


def test_the_padding_holds_a_filter_back_and_the_cure_lets_it_go(recognition):
    """The paper's drift: a cell moves by 8 pixels, and RecogNet's deep maps say less."""
    frame, start = blobs(), np.array([[48.0, 50.0]])
    form = LinearFilter(sigma=1.0)
    found = {}
    for debiased in (True, False):
        features = recognet_features(recognition, layers=6, debiased=debiased)
        before, after = (windows(features, frame, start + shift, size=64)[4:] for shift in (0.0, -8.0))
        states = init_levels(form, before, jnp.zeros((1, 2)), strides=(4, 4))
        response = np.asarray(respond_levels(form, states, after, weights=(0.5, 0.5)))[0]
        found[debiased] = response[2, 2], response[0, 0]
    moved, stayed = found[True]
    assert moved > 2 * stayed
    held_moved, held_stayed = found[False]
    assert held_stayed / held_moved > 1.5 * stayed / moved


def test_windows_of_whole_maps_show_what_debiased_windows_show(recognition):
    features = recognet_features(recognition, layers=4)
    frame, centres = blobs(), [[48.0, 52.0], [60.0, 40.0]]
    for windowed, whole in zip(
        windows(features, frame, centres), windows(RecogNetMaps(features), frame, centres), strict=True
    ):
        assert windowed.shape == whole.shape
        # Pools of windows and of the frame begin at the same pixels here, half a sample before the grid.
        assert np.corrcoef(np.ravel(windowed), np.ravel(whole))[0, 1] > 0.9
    np.testing.assert_allclose(
        windows(features, frame, centres)[1], windows(RecogNetMaps(features), frame, centres)[1], atol=1e-4
    )


def test_frames_are_seen_as_in_training(recognition, tmp_path):
    frame = blobs()
    prepared = recognet_features(recognition).prepare(3 * frame + 7)
    np.testing.assert_allclose(prepared.mean(), 0.5 / 2, atol=1e-4)
    np.testing.assert_allclose(prepared.std(), 1 / 2, atol=1e-4)
    save_model(tmp_path / "model.safetensors", recognition)
    loaded = recognet_features(load_model(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(loaded.prepare(frame), recognet_features(recognition).prepare(frame))


def test_downsampled_windows_span_the_same_pixels(recognition):
    features = recognet_features(dataclasses.replace(recognition, downsample=2), layers=4)
    assert features.strides == (2, 2, 4, 4)
    levels = windows(features, blobs(), [[50.0, 50.0]])
    assert [level.shape[1] for level in levels] == [16, 16, 8, 8]
    larger = windows(features, blobs(), [[50.0, 50.0]], scales=jnp.array([1.2]))
    assert not np.allclose(larger[0], levels[0])


@pytest.mark.parametrize("stride", [1, 2])
def test_maps_of_a_feature_net_are_as_large_as_the_frame_and_lie_on_it(stride):
    frame = blobs((40, 46))
    init = jax.jit(
        lambda: TINY_NET.init(jax.random.key(0), jnp.zeros((1, 16, 16, 1)), train=False),
        compiler_options=CHEAP,
    )
    variables = init()
    features = DeepCellFeatures(network=TINY_NET, variables=variables, layers=3, stride=stride, offset=100.0)
    assert features.strides == (stride,) * 3
    maps = jax.jit(lambda it, frame: it.prepare(frame), compiler_options=CHEAP)(features, frame).levels
    assert [level.shape for level in maps] == [(40 // stride, 46 // stride, width) for width in (2, 3, 4)]
    normalised = jax.jit(local_contrast, static_argnames="window", compiler_options=CHEAP)
    contrast = normalised(frame[..., None], window=TINY_NET.receptive_field, offset=100.0)
    dense = functools.partial(TINY_NET.apply, train=False, layers=3)
    inside = jax.jit(dense, compiler_options=CHEAP)(variables, contrast[None]).features
    rim = (TINY_NET.field_of(3) - 1) // 2
    # At a stride of 2 deeper levels lie up to a pixel before.
    for level, expected in zip(maps[: 3 if stride == 1 else 1], inside):
        rows = np.arange(-(-rim // stride) * stride, rim + expected.shape[1], stride)
        columns = np.arange(-(-rim // stride) * stride, rim + expected.shape[2], stride)
        np.testing.assert_allclose(
            level[np.ix_(rows // stride, columns // stride)],
            expected[0][np.ix_(rows - rim, columns - rim)],
            atol=1e-4,
        )


def test_stages_of_mobilenet_are_levels_of_their_strides():
    network = MobileNetV2(alpha=0.35, levels=2)
    variables = jax.eval_shape(
        lambda: network.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)
    )
    variables = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.1), variables)
    scaling = InputScaling(mean=(127.5,) * 3, std=(127.5,) * 3)
    features = MobileNetFeatures(network=network, variables=variables, scaling=scaling)
    assert features.strides == (2, 4)
    fine, coarse = windows(features, blobs((64, 72)), [[30.0, 30.0], [5.0, 60.0]])
    assert fine.shape[:3] == (2, 16, 16)
    assert coarse.shape[:3] == (2, 8, 8)
