"""Validation loss and its terms during a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cellmotion_jax.data.pipeline import Source, gather
from cellmotion_jax.files import interruption
from cellmotion_jax.training.state import Best, TrainState
from cellmotion_jax.training.step import Objective, side_by_side


def make_validation(
    network: nn.Module, objective: Objective, samples: Source, *, batch_size: int, mask: str = "annotated"
) -> Callable[[TrainState | Best], Mapping[str, np.ndarray]]:
    """Returns a function that computes the loss and its terms over all samples, each of shape [1].

    Args:
        network: Linen module.
        objective: The loss, a mean over the elements that the mask selects.
        samples: Validation samples, read anew in every evaluation.
        batch_size: Number of samples per batch.
        mask: Name of the feature that holds the mask of a sample.

    Returns:
        ``state -> metrics`` for a state with a leading member axis of length 1.
    """

    def losses(params, batch_stats, batch):
        outputs = network.apply({"params": params, "batch_stats": batch_stats}, batch["image"], train=False)
        loss, terms = objective(outputs, batch)
        return {"loss": loss, **terms}, jnp.sum(batch[mask])

    of_batch = side_by_side(losses)
    starts = range(0, len(samples), batch_size)

    def validate(state: TrainState | Best) -> Mapping[str, np.ndarray]:
        sums: dict[str, float] = {}
        counted = 0.0
        for start in starts:
            interruption.stop_if_requested()
            indices = np.arange(start, start + batch_size)
            batch = gather(samples, np.minimum(indices, len(samples) - 1)[None])
            inside = (indices < len(samples)).reshape(1, -1, *[1] * (batch[mask].ndim - 2))
            batch[mask] = batch[mask] & inside
            means, count = jax.device_get(of_batch(state.params, state.batch_stats, batch))
            # Means over what counts in a batch become means over what counts in all.
            weight = float(count[0])
            sums = {name: sums.get(name, 0.0) + weight * float(mean[0]) for name, mean in means.items()}
            counted += weight
        return {name: np.array([total / max(counted, 1)]) for name, total in sums.items()}

    return validate
