"""Probabilities of cells, frame by frame: what is remembered, tiles, sizes, refusals."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cellmotion_jax.data.downsampling import upsample_map
from cellmotion_jax.errors import InputError
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.convlstm.foreground import Memory, foreground_maps, seen_by_network
from cellmotion_jax.methods.convlstm.instances import InstanceSettings
from cellmotion_jax.methods.convlstm.model_file import MODEL_FORMAT, load_model, save_model
from cellmotion_jax.weights.safetensors_files import read_metadata
from tests.video_models import tiny_video_model, video_model

FRAMES = np.random.default_rng(0).normal(size=(5, 64, 64)).astype(np.float32)


def maps_of(model, frames=FRAMES, **options):
    return np.stack([*foreground_maps(model, list(frames), **options)])


def of_windows(model, frames, starts):
    """The network on windows from the frames given, whatever the library makes of a movie."""
    seen = [seen_by_network(frame, model.downsample) for frame in frames]
    windows = np.stack([np.stack([seen[it] for it in places])[..., None] for places in starts])
    apply = jax.jit(lambda windows: model.network.apply(model.variables, windows, train=False).logits)
    return np.asarray(jax.nn.softmax(apply(windows))[..., 1])


def test_a_window_holds_the_last_frames_and_the_first_one_again():
    model = tiny_video_model()
    expected = of_windows(model, FRAMES, [(0, 0, 0), (0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 4)])
    np.testing.assert_allclose(maps_of(model, memory=Memory.window), expected, atol=1e-5)


def test_a_carried_state_is_a_window_of_all_frames():
    model = tiny_video_model()
    expected = of_windows(model, FRAMES, [(0, 0, 0, 1, 2, 3, 4)])[0]
    np.testing.assert_allclose(maps_of(model, memory=Memory.carried)[4], expected, atol=1e-5)


def test_a_refreshed_state_is_begun_anew_from_the_last_window(monkeypatch):
    monkeypatch.setattr("cellmotion_jax.methods.convlstm.foreground.REFRESH_FRAMES", 3)
    model = tiny_video_model()
    shown = maps_of(model, memory=Memory.refreshed)
    np.testing.assert_allclose(shown[:3], maps_of(model, memory=Memory.carried)[:3], atol=1e-5)
    np.testing.assert_allclose(shown[3], maps_of(model, memory=Memory.window)[3], atol=1e-5)
    np.testing.assert_allclose(shown[4], of_windows(model, FRAMES, [(1, 2, 3, 4)])[0], atol=1e-5)


def test_of_the_first_frame_all_memories_say_the_same():
    model = tiny_video_model()
    first = [maps_of(model, FRAMES[:1], memory=memory) for memory in Memory]
    np.testing.assert_allclose(first, [first[0]] * 3, atol=1e-5)


def test_a_network_without_recurrence_sees_one_frame():
    model = tiny_video_model(recurrent=False)
    whole = maps_of(model)
    np.testing.assert_allclose(whole[3], maps_of(model, FRAMES[3:4])[0], atol=1e-5)


def test_every_tile_keeps_its_own_memory():
    model = tiny_video_model()
    frames = np.random.default_rng(1).normal(size=(3, 40, 120))
    whole = maps_of(model, frames)
    tiles = maps_of(model, frames, tiling=Tiling(tile=64, margin=16))
    np.testing.assert_allclose(tiles[:, 20:-20, 20:-20], whole[:, 20:-20, 20:-20], atol=1e-4)


def test_frames_before_the_first_one_are_read_and_not_shown():
    model = tiny_video_model()
    shown = np.stack([*foreground_maps(model, FRAMES[3:], before=FRAMES[:3])])
    np.testing.assert_allclose(shown[0], of_windows(model, FRAMES, [(1, 2, 3)])[0], atol=1e-5)
    assert len(shown) == 2


@pytest.mark.parametrize("shape", [(24, 24), (20, 200), (1, 40)])
def test_a_frame_smaller_than_the_encoder_takes_is_filled_up(shape):
    maps = maps_of(tiny_video_model(), np.random.default_rng(0).normal(size=(2, *shape)))
    assert maps.shape == (2, *shape)


@pytest.mark.parametrize("memory", Memory)
def test_an_odd_frame_that_is_downsampled_comes_back_in_its_size(memory):
    frames = np.zeros((2, 75, 91))
    frames[:, 20:40, 30:60] = 1
    shown = maps_of(video_model(downsample=2), frames, memory=memory)
    assert shown.shape == frames.shape
    inner = np.s_[:, 22:38, 32:58]
    assert (shown[inner] > 0.99).all()
    assert (shown[:, :18] < 0.01).all()


def test_maps_are_enlarged_between_the_centres_of_blocks():
    ramp = np.arange(6, dtype=np.float32)[None].repeat(3, axis=0)
    enlarged = upsample_map(ramp, 3, (10, 20))
    np.testing.assert_allclose(enlarged[:, 1:17], np.arange(16)[None].repeat(10, axis=0) / 3, atol=1e-5)
    assert (enlarged[:, 18:] == 5).all()


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([np.zeros((40, 48)), np.zeros((40, 49))], r"\(40, 49\), but those before it"),
        ([np.full((40, 48), np.nan)], "NaN or infinity"),
        ([np.zeros((1, 48))], "downsample is 2"),
    ],
)
def test_frames_that_cannot_be_used_are_refused(frames, words):
    with pytest.raises(InputError, match=words):
        list(foreground_maps(video_model(downsample=2), frames))


def test_a_model_comes_back_from_its_file(tmp_path):
    instances = InstanceSettings(threshold=0.4, smallest_area=7, split_depth=2.5)
    model = tiny_video_model(downsample=2, window=4, cell_diameter=31.5, instances=instances)
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.network == model.network
    assert (loaded.downsample, loaded.window, loaded.cell_diameter) == (2, 4, 31.5)
    assert loaded.instances == instances
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, dict(model.variables))


def test_files_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist; it should be a safetensors"):
        load_model(tmp_path / "none.safetensors")
    path = tmp_path / "model.safetensors"
    save_model(path, tiny_video_model())
    described = json.loads(read_metadata(path)[MODEL_FORMAT.key])
    del described["network"]["levels"]
    save_file(load_file(path), path, metadata={MODEL_FORMAT.key: json.dumps(described)})
    with pytest.raises(InputError, match=r"cannot build.*levels.*train it again"):
        load_model(path)
