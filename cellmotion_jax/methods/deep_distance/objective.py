"""The loss of a DeepDistance network: a weighted sum over the tasks of Table 2."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.losses import (
    probability_squared_error,
    rectified_squared_error,
)
from cellmotion_jax.models.deep_distance import DistanceOutputs, Task
from cellmotion_jax.ops.numerics import masked_mean
from cellmotion_jax.settings import NotNegative, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepDistanceObjective(Settings):
    """Weighted sum of the mean squared errors of all tasks of a network (Koyuncu et al. 2020, Section 3.2).

    The weight of the classification is small, because its map is 1 on the whole cell whereas the distances
    reach 1 at one point only, and its error would dominate theirs. The paper names no weight for the
    boundary; the two classifications of that model have the same weight, which then only scales the loss.
    """

    inner: NotNegative = 1.0
    """Weight of the inner distance."""
    outer: NotNegative = 1.0
    """Weight of the normalised outer distance."""
    classification: NotNegative = 0.1
    """Weight of the cell pixels."""
    boundary: NotNegative = 0.1
    """Weight of the widened boundaries."""

    def __call__(
        self, outputs: DistanceOutputs, batch: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        """The loss of a batch, and the mean squared error of every task without its weight.

        ``batch`` has the target of every task under its name and ``annotated``, all [batch, y, x]; pixels
        that are not annotated do not count.
        """
        where = batch["annotated"]
        terms: dict[str, Array] = {}
        for task in Task:
            raw = getattr(outputs.raw, task.value)
            if raw is not None:
                error = rectified_squared_error if task.is_distance else probability_squared_error
                terms[task.value] = masked_mean(error(raw, batch[task.value], where=where), where)
        loss = sum((getattr(self, name) * term for name, term in terms.items()), start=jnp.zeros(()))
        return loss, terms
