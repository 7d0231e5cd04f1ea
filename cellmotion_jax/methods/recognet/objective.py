"""The loss of RecogNet: cross-entropy over the nuclei."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.losses import softmax_cross_entropy
from cellmotion_jax.models.recognet import RecogOutputs
from cellmotion_jax.ops.numerics import masked_mean
from cellmotion_jax.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecogNetObjective(Settings):
    """Softmax cross-entropy over the nuclei (Jackson-Smith, CellTrack, Section 6)."""

    def __call__(self, outputs: RecogOutputs, batch: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Loss and error rate of a batch; a window is wrong if another nucleus has the highest logit.

        ``batch`` has the number of the nucleus under ``identity`` and under ``counts`` whether the window
        counts, both [batch].
        """
        if outputs.logits is None:
            raise ValueError("outputs have no logits; ask the network for all of its layers")
        where, labels = batch["counts"], batch["identity"]
        loss = masked_mean(softmax_cross_entropy(outputs.logits, labels, where=where), where)
        wrong = jnp.argmax(outputs.logits, axis=-1) != labels
        return loss, {"error_rate": masked_mean(wrong.astype(jnp.float32), where)}
