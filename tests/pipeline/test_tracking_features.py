"""Every file with features for filters is opened by its contents; others are refused with a hint."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from cellmotion_jax.errors import InputError
from cellmotion_jax.methods.celltrack_embedding.features import EmbeddingFeatures
from cellmotion_jax.methods.celltrack_embedding.model_file import save_model as save_embedding
from cellmotion_jax.methods.convlstm.model_file import save_model as save_video_model
from cellmotion_jax.methods.deepcell.model_file import save_model as save_nuclei_network
from cellmotion_jax.methods.recognet.model_file import save_model as save_recognet
from cellmotion_jax.pipeline.tracking_features import open_tracking_model
from tests.imported_weights import imported
from tests.nuclei_networks import tiny_nuclei_network
from tests.recognet_models import tiny_recognet
from tests.tracking_embeddings import tiny_embedding
from tests.video_models import tiny_video_model

FRAME = np.full((40, 40), 40_000, np.uint16)


def test_an_embedding_brings_what_it_was_trained_with(tmp_path):
    save_embedding(tmp_path / "m.safetensors", tiny_embedding())
    model = open_tracking_model(tmp_path / "m.safetensors")
    assert (model.layers, model.weights, model.diameter) == (1, (1.0, 1.0), 16.0)
    assert model.embedding is not None
    assert model.embedding.window == 32
    for layers in (1, 2):
        features = model.make(layers, FRAME)
        assert isinstance(features, EmbeddingFeatures)
        assert len(features.strides) == layers


def test_convolutions_of_recognet_and_deepcell_have_the_weights_of_the_paper(tmp_path):
    save_recognet(tmp_path / "recognet.safetensors", tiny_recognet())
    recognet = open_tracking_model(tmp_path / "recognet.safetensors")
    assert (recognet.layers, recognet.weights) == (4, (1.0, 0.5, 0.2, 0.2))
    assert recognet.make(3, FRAME).strides == (1, 1, 2)
    save_nuclei_network(tmp_path / "deepcell.safetensors", tiny_nuclei_network())
    deepcell = open_tracking_model(tmp_path / "deepcell.safetensors")
    assert (deepcell.layers, deepcell.weights, deepcell.diameter) == (3, (1.0, 0.5, 0.2), None)
    features = deepcell.make(2, FRAME)
    assert features.strides == (2, 2)
    assert features.offset == 32768
    assert deepcell.make(2, FRAME // 2).offset == 0


def test_imported_weights_of_deepcell_and_mobilenet(tmp_path):
    path = imported(tmp_path / "d.safetensors", "deepcell-ecoli-31x31", None)
    model = open_tracking_model(path)
    assert (model.layers, model.weights) == (4, (1.0, 0.5, 0.2, 0.2, 0.2))
    scaling = {"mean": [127.5] * 3, "std": [127.5] * 3, "channels": "RGB"}
    path = imported(tmp_path / "m.safetensors", "mobilenet-v2-0.35", scaling)
    model = open_tracking_model(path)
    assert (model.layers, model.smallest_frame) == (3, 32)
    assert model.make(2, FRAME).strides == (2, 4)


def test_other_files_are_refused(tmp_path):
    save_video_model(tmp_path / "v.safetensors", tiny_video_model())
    with pytest.raises(
        InputError, match=r"a ConvLSTM model, which `cellmotion segment` takes as --model, and"
    ):
        open_tracking_model(tmp_path / "v.safetensors")
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "o.safetensors")
    with pytest.raises(
        InputError, match=r"tensors of another origin, which .*; filters look at a tracking embedding"
    ):
        open_tracking_model(tmp_path / "o.safetensors")
    with pytest.raises(InputError, match=r"none.safetensors does not exist"):
        open_tracking_model(tmp_path / "none.safetensors")
