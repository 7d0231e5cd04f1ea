"""Cross-entropies as objectives: which nucleus a window shows, which class a pixel has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array

from cellmotion_jax.errors import InputError
from cellmotion_jax.losses import softmax_cross_entropy
from cellmotion_jax.metrics import jaccard_index
from cellmotion_jax.models.convlstm_unet import SegmentationOutputs
from cellmotion_jax.models.feature_net import FeatureMaps
from cellmotion_jax.models.recognet import RecogOutputs
from cellmotion_jax.ops.numerics import masked_mean, select


@dataclasses.dataclass(frozen=True, kw_only=True)
class IdentityObjective:
    """Softmax cross-entropy over the nuclei (Jackson-Smith, CellTrack, Section 6)."""

    def __call__(self, outputs: RecogOutputs, batch: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """The loss of a batch, and the share of its windows for which another nucleus has the highest logit.

        ``batch`` has the number of the nucleus under ``identity`` and under ``counts`` whether the window
        counts, both [batch].
        """
        assert outputs.logits is not None
        where, labels = batch["counts"], batch["identity"]
        loss = masked_mean(softmax_cross_entropy(outputs.logits, labels, where=where), where)
        wrong = jnp.argmax(outputs.logits, axis=-1) != labels
        return loss, {"error_rate": masked_mean(wrong.astype(jnp.float32), where)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelObjective:
    """Softmax cross-entropy over the classes of pixels, each weighted, so that rare ones are not drowned."""

    margin: int
    """Pixels on each side of an image for which the network has no answer."""
    stride: int
    """The network answers for every ``stride``-th pixel of the rest."""
    weights: tuple[float, ...]
    """One per class; with a mean of 1 over the pixels the loss has the scale of the unweighted one."""

    def __call__(self, outputs: FeatureMaps, batch: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """The loss of a batch, and the weighted share of its pixels that are wrong.

        ``batch`` has the class of every pixel under ``target`` and under ``annotated`` whether it is known,
        both [batch, y, x] and as large as the image.
        """
        assert outputs.logits is not None
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationObjective:
    """Weighted softmax cross-entropy of cell and background (Gomez-de-Mariscal et al. 2021, Eq. 1).

    The weight of contacts is not in the paper; as in Ronneberger et al. 2015 it keeps neighbours apart.
    """

    cell: float = 1.0
    """Weight of the pixels of cells; the background has 1. Sampling has already made them frequent."""
    contact: float = 5.0
    """Further weight of pixels where two cells touch or nearly so."""

    def __post_init__(self) -> None:
        """Refuses weights that are no weights."""
        for name in ("cell", "contact"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(
                    f"objective.{name} is {getattr(self, name)}; a weight is a number from 0 on."
                )

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
