"""Loss on validation windows during a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import numpy as np

from cellmotion_jax.data.pipeline import Source, gather
from cellmotion_jax.files import interruption
from cellmotion_jax.methods.celltrack_rcnn.augmentation import WindowAugmentation, unchanged
from cellmotion_jax.training.state import Best, TrainState
from cellmotion_jax.training.step import Objective, side_by_side

MOST_WINDOWS = 48
"""Windows that are looked at, evenly spread over all."""


def make_evaluation(
    network: nn.Module,
    objective: Objective,
    windows: Source,
    augmentation: WindowAugmentation,
    *,
    batch_size: int,
) -> Callable[[TrainState | Best], Mapping[str, np.ndarray]]:
    """Returns a function that computes the loss and its terms, of shape [1], without random changes.

    Args:
        network: A `training_pass.TrainingPass`.
        objective: The loss.
        windows: Validation windows, read anew in every evaluation.
        augmentation: The augmentation of the training, whose crop is used.
        batch_size: Number of windows per batch.

    Returns:
        ``state -> metrics`` for a state with a leading member axis of length 1.
    """
    prepare = unchanged(augmentation)
    batches = max(1, min(len(windows), MOST_WINDOWS) // batch_size)
    chosen = np.linspace(0, len(windows) - 1, batches * batch_size).round().astype(int)

    def losses(params, batch_stats, batch):
        # The same samples of anchors and boxes in every evaluation.
        prepared = prepare(jax.random.key(0), batch)
        variables = {"params": params, "batch_stats": batch_stats}
        outputs = network.apply(variables, prepared["image"], train=False)
        loss, terms = objective(outputs, prepared)
        return {"loss": loss, **terms}

    of_batch = side_by_side(losses)

    def evaluate(state: TrainState | Best) -> Mapping[str, np.ndarray]:
        rows = []
        for indices in chosen.reshape(batches, batch_size):
            interruption.stop_if_requested()
            batch = gather(windows, indices[None])
            rows.append(jax.device_get(of_batch(state.params, state.batch_stats, batch)))
        return {name: np.array([np.mean([row[name][0] for row in rows])]) for name in rows[0]}

    return evaluate
