"""Cross-entropies as objectives: which nucleus a window shows, which class a pixel has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

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
        loss = masked_mean(cross_entropy(outputs.logits, labels, where=where), where)
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
        loss = masked_mean(weights * cross_entropy(outputs.logits, labels, where=where), where)
        wrong = jnp.argmax(outputs.logits, axis=-1) != labels
        # Of the weights in this batch, which may hold more or fewer rare pixels than others.
        error = jnp.sum(weights * wrong) / jnp.maximum(jnp.sum(weights), min(self.weights))
        return loss, {"balanced_error_rate": error}

    def _answered(self, values: Array) -> Array:
        y, x = values.shape[1:]
        rows, columns = (slice(self.margin, side - self.margin, self.stride) for side in (y, x))
        return values[:, rows, columns]


def cross_entropy(
    logits: Float[Array, "*shape label"], labels: Int[Array, "*shape"], *, where: Bool[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Softmax cross-entropy of each element, 0 with zero gradient where nothing counts.

    Args:
        logits: Before the softmax.
        labels: The right one of each element.
        where: What counts.

    Returns:
        Element-wise losses.
    """
    logits, labels = select(where[..., None], logits), select(where, labels)
    return select(where, optax.softmax_cross_entropy_with_integer_labels(logits, labels))
