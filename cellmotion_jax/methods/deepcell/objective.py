"""The loss of a feature net: weighted cross-entropy over the pixel classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.losses import softmax_cross_entropy
from cellmotion_jax.models.feature_net import FeatureMaps
from cellmotion_jax.ops.numerics import masked_mean, select
from cellmotion_jax.settings import Count, NotNegative, Settings, WholeFromZero


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepCellObjective(Settings):
    """Softmax cross-entropy over the pixel classes, with weights so that rare classes have influence."""

    margin: WholeFromZero
    """Width in pixels of the border of an image for which the network has no output."""
    stride: Count
    """The network has an output at every ``stride``-th pixel of the rest."""
    weights: tuple[NotNegative, ...]
    """Weight of each class; with a mean of 1 over the pixels the loss has the scale of the unweighted one."""

    def __call__(self, outputs: FeatureMaps, batch: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """The loss of a batch, and the weighted share of wrongly classified pixels.

        ``batch`` has the class of every pixel under ``target`` and under ``annotated`` whether it is known,
        both [batch, y, x] and as large as the image.
        """
        if outputs.logits is None:
            raise ValueError("outputs have no logits; ask the network for all of its layers")
        labels, where = (self._answered(batch[name]) for name in ("target", "annotated"))
        weights = select(where, jnp.asarray(self.weights)[labels])
        loss = masked_mean(weights * softmax_cross_entropy(outputs.logits, labels, where=where), where)
        wrong = jnp.argmax(outputs.logits, axis=-1) != labels
        # Of the weights in this batch, which may hold more or fewer rare pixels than others.
        error = jnp.sum(weights * wrong) / jnp.maximum(jnp.sum(weights), min(self.weights))
        return loss, {"balanced_error_rate": error}

    def _answered(self, values: Array) -> Array:
        y, x = values.shape[1:]
        rows, columns = (slice(self.margin, side - self.margin, self.stride) for side in (y, x))
        return values[:, rows, columns]
