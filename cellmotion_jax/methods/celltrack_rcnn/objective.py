"""The loss of CellTrack R-CNN: those of Mask R-CNN and of the tracking branch (Section 2.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from cellmotion_jax.losses import sigmoid_cross_entropy, smooth_l1
from cellmotion_jax.methods.celltrack_rcnn.augmentation import PairInputs
from cellmotion_jax.methods.celltrack_rcnn.training_pass import PassOutputs
from cellmotion_jax.ops.numerics import masked_mean, select
from cellmotion_jax.settings import NotNegative, Settings

BETA = 1 / 9
"""Error of an offset from which its loss grows linearly, as in torchvision."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RCNNObjective(Settings):
    r"""The total loss.

    .. math:: L = L_{rpn} + L_{cls} + L_{box} + L_{mask} + w L_{track}, \quad
        L_{track} = \tfrac{1}{2} (L_{visual} + L_{spatial})

    with :math:`w = 1` in the paper. :math:`L_{rpn}` is the cross entropy of sampled anchors and the smooth L1
    loss of the offsets of positive ones, divided by the number of sampled anchors; :math:`L_{cls}` and
    :math:`L_{box}` the same for sampled boxes; :math:`L_{mask}` the mean cross entropy of the pixels of
    positive boxes; :math:`L_{visual}` and :math:`L_{spatial}` the mean cross entropies over all pairs of
    positive boxes of two adjacent frames. What is not annotated does not count.
    """

    track: NotNegative = 1.0
    """Weight of the tracking loss; 1 in the paper."""

    def __call__(
        self, outputs: PassOutputs, batch: Mapping[str, PairInputs]
    ) -> tuple[Array, dict[str, Array]]:
        """Total loss of a batch, and all of its terms."""
        del batch
        anchors, rois = outputs.anchors, outputs.rois
        rpn_class = masked_mean(
            sigmoid_cross_entropy(_float(outputs.anchor_logits), anchors.positive, where=anchors.taken),
            anchors.taken,
        )
        rpn_box = _box_loss(outputs.anchor_offsets, anchors.offsets, anchors.positive, anchors.taken)
        positive = rois.cell > 0
        # Of two classes the cross entropy is that of the difference of their log odds.
        cell, background = _float(outputs.roi_logits[..., 1]), _float(outputs.roi_logits[..., 0])
        classes = masked_mean(
            sigmoid_cross_entropy(cell - background, rois.fit, where=rois.taken), rois.taken
        )
        boxes = _box_loss(outputs.roi_offsets, rois.offsets, positive, rois.taken)
        masks = masked_mean(
            sigmoid_cross_entropy(_float(outputs.masks), outputs.mask_targets, where=outputs.mask_known),
            outputs.mask_known,
        )
        heads = [head for head in outputs.similarities if head is not None]
        tracking = [
            masked_mean(sigmoid_cross_entropy(head, outputs.same, where=outputs.compared), outputs.compared)
            for head in heads
        ]
        track = sum(tracking) / len(tracking)
        terms = {
            "rpn": rpn_class + rpn_box,
            "rpn_class": rpn_class,
            "rpn_box": rpn_box,
            "class": classes,
            "box": boxes,
            "mask": masks,
            "track": track,
            **dict(zip(("track_visual", "track_spatial"), tracking)),
        }
        return rpn_class + rpn_box + classes + boxes + masks + self.track * track, terms


def _box_loss(
    offsets: Float[Array, "image box 4"], targets: Float[Array, "image box 4"], positive: Array, taken: Array
) -> Array:
    errors = smooth_l1(
        _float(offsets), targets, beta=BETA, where=jnp.broadcast_to(positive[..., None], targets.shape)
    )
    return jnp.sum(select(positive[..., None], errors)) / jnp.maximum(jnp.sum(taken), 1)


def _float(values: Array) -> Array:
    return values.astype(jnp.float32)
