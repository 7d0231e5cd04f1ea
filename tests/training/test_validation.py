"""A validation counts every sample once, whatever the batch size."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellmotion_jax.ops import masked_mean
from cellmotion_jax.training.state import Best
from cellmotion_jax.training.validation import make_validation


class Offset(nn.Module):
    """Adds its parameter."""

    @nn.compact
    def __call__(self, images, *, train):
        return images + self.param("offset", nn.initializers.ones, ())


def objective(outputs, batch):
    loss = masked_mean(outputs, batch["annotated"])
    return loss, {"twice": 2 * loss}


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_means_are_over_what_counts_in_all_samples(batch_size):
    rng = np.random.default_rng(0)
    samples = [
        {"image": rng.normal(size=(2, 2)).astype(np.float32), "annotated": rng.random((2, 2)) < 0.6}
        for _ in range(7)
    ]
    state = Best(
        metric=jnp.zeros(1), step=jnp.zeros(1, int), params={"offset": jnp.full(1, 5.0)}, batch_stats={}
    )
    metrics = make_validation(Offset(), objective, samples, batch_size=batch_size)(state)
    expected = 5 + np.concatenate([sample["image"][sample["annotated"]] for sample in samples]).mean()
    np.testing.assert_allclose(jax.device_get(metrics["loss"]), [expected], rtol=1e-5)
    np.testing.assert_allclose(metrics["twice"], [2 * expected], rtol=1e-5)
