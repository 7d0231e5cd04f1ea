"""The loss of the ConvLSTM U-Net: weighted cross-entropy of cell and background."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.losses import softmax_cross_entropy
from cellmotion_jax.metrics import jaccard_index
from cellmotion_jax.models.convlstm_unet import SegmentationOutputs
from cellmotion_jax.ops.numerics import masked_mean
from cellmotion_jax.settings import NotNegative, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvLSTMObjective(Settings):
    """Weighted softmax cross-entropy of cell and background (Gomez-de-Mariscal et al. 2021, Eq. 1).

    The weight of contacts is not in the paper; as in Ronneberger et al. 2015 it helps to separate neighbours.
    """

    cell: NotNegative = 1.0
    """Weight of cell pixels; that of the background is 1. The sampling of patches already increases their
    frequency."""
    contact: NotNegative = 5.0
    """Additional weight of pixels where two cells touch or nearly touch."""

    def __call__(
        self, outputs: SegmentationOutputs, batch: Mapping[str, Array]
    ) -> tuple[Array, dict[str, Array]]:
        """The loss of a batch, and the Jaccard distance, one minus the Jaccard index (Eq. 3).

        ``batch`` has ``cell``, ``contact`` and ``annotated``, all bool [batch, y, x].
        """
        cell, where = batch["cell"], batch["annotated"]
        values = softmax_cross_entropy(outputs.logits, cell.astype(jnp.int32), where=where)
        weights = 1 + (self.cell - 1) * cell + self.contact * batch["contact"]
        found = outputs.logits[..., 1] > outputs.logits[..., 0]
        jaccard = jaccard_index(found, cell, where=where)
        return masked_mean(weights * values, where), {"jaccard_distance": 1 - jaccard}
