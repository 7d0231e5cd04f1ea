"""Every network names the axes that its input needs, while it is traced."""

import jax
import jax.numpy as jnp
import jaxtyping
import pytest

from cellmotion_jax import models

IMAGE = jnp.zeros((64, 64))
NETWORKS = {
    "ConvLSTM": (models.ConvLSTM(2), {}),
    "ConvLSTMUNet": (models.ConvLSTMUNet(), {"train": False}),
    "DeepDistance": (models.DeepDistance(), {"train": False}),
    "FeatureNet": (models.FeatureNet(models.FEATURE_NET_31), {"train": False}),
    "PairEmbedding": (models.PairEmbedding(models.TrackingEmbedding()), {"train": False}),
    "ProbingCNN": (models.ProbingCNN(neurons=2), {"train": False}),
    "RecogNet": (models.RecogNet(), {"train": False}),
    "TrackingEmbedding": (models.TrackingEmbedding(), {"train": False}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_without_the_other_axes_is_refused(name, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    network, options = NETWORKS[name]
    with pytest.raises(ValueError, match=r"(images|windows|maps) .*must .*\[batch, ") as refusal:
        jax.eval_shape(lambda: network.init(jax.random.key(0), IMAGE, **options))
    assert "(64, 64)" in str(refusal.value)
