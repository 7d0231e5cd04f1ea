"""One pass of the network over pairs of frames in training: the stages, and the samples between them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from cellmotion_jax.methods.celltrack_rcnn.augmentation import PairInputs
from cellmotion_jax.methods.celltrack_rcnn.targets import (
    AnchorTargets,
    RoiTargets,
    anchor_targets,
    mask_targets,
    roi_targets,
)
from cellmotion_jax.models.celltrack_rcnn import CellTrackRCNN, Similarities
from cellmotion_jax.ops.neighbours import nearest_offsets
from cellmotion_jax.ops.proposals import propose_boxes
from cellmotion_jax.settings import Range, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling(Settings):
    """Number of anchors and boxes of an image that the losses are computed for."""

    anchors: Annotated[int, Range(2, 4096)] = 256
    """Anchors for the region proposal network, up to half of them on cells; 256 in Mask R-CNN."""
    per_level: Annotated[int, Range(1, 10**4)] = 400
    """Anchors of a level that may become proposals; 2,000 in Mask R-CNN."""
    proposals: Annotated[int, Range(1, 10**4)] = 400
    """Proposals of an image; 2,000 in Mask R-CNN."""
    rois: Annotated[int, Range(2, 4096)] = 96
    """Boxes for the heads; 512 in Mask R-CNN."""
    positives: Annotated[int, Range(1, 4096)] = 32
    """Largest number of them on cells, for which masks and embeddings are computed; a quarter of all in Mask
    R-CNN."""
    graded: bool = True
    """Whether the class head learns how well a box fits a cell, so that a box around two touching cells does
    not win over the boxes of each; off in Mask R-CNN, where any box with an intersection over union of 0.5
    counts fully."""

    def check_together(self) -> None:
        """Refuses more positives than boxes."""
        if self.positives >= self.rois:
            self.refuse("positives", f"it must be below rois, which is {self.rois}")


class PassOutputs(NamedTuple):
    """Outputs of the network beside their targets; images are the frames of all pairs, pair by pair."""

    anchor_logits: Float[Array, "image anchor"]
    anchor_offsets: Float[Array, "image anchor 4"]
    anchors: AnchorTargets
    """[image, anchor, ...]"""
    roi_logits: Float[Array, "image roi 2"]
    roi_offsets: Float[Array, "image roi 4"]
    rois: RoiTargets
    """[image, roi, ...]"""
    masks: Float[Array, "image positive 28 28"]
    mask_targets: Float[Array, "image positive 28 28"]
    mask_known: Bool[Array, "image positive 28 28"]
    """Of slots without a cell all False."""
    similarities: Similarities
    """[pair, earlier, later] of the positives of both frames."""
    same: Bool[Array, "pair earlier later"]
    """Whether two of them are one cell, or mother and daughter."""
    compared: Bool[Array, "pair earlier later"]
    """Whether both exist."""


class TrainingPass(nn.Module):
    """The network with the sampling of boxes that its losses need; it has no parameters of its own."""

    network: CellTrackRCNN
    """The network."""
    sampling: Sampling
    """Sizes of the samples."""

    @nn.compact
    def __call__(self, inputs: PairInputs, *, train: bool) -> PassOutputs:
        """Runs all stages on both frames of every pair.

        Args:
            inputs: Frames and their annotation.
            train: Passed to the backbone.

        Returns:
            Outputs and targets.
        """
        network, sampling = self.network, self.sampling
        pairs, _, y, x = inputs.pixels.shape
        pyramid, regions = network(inputs.pixels.reshape(2 * pairs, y, x, 1), train=train)

        def by_image(array: Array) -> Array:
            return array.reshape(2 * pairs, *array.shape[2:])

        number, boxes, where = by_image(inputs.number), by_image(inputs.boxes), by_image(inputs.where)
        anchors = network.detector.anchors((y, x))
        keys = jax.random.wrap_key_data(inputs.key)
        keys = jax.vmap(lambda key: jax.random.split(key, (2, 2)))(keys).reshape(2 * pairs, 2)

        def chosen(key, logits, offsets, boxes, where, number):
            every = jnp.concatenate(anchors)
            sample = anchor_targets(
                jax.random.uniform(key[0], (len(every),)), every, boxes, where, number, count=sampling.anchors
            )
            proposals = propose_boxes(
                logits,
                offsets,
                anchors,
                shape=(y, x),
                per_level=sampling.per_level,
                count=sampling.proposals,
            )
            candidates = sampling.proposals + len(boxes)
            rois = roi_targets(
                jax.random.uniform(key[1], (candidates,)),
                proposals,
                boxes,
                where,
                number,
                count=sampling.rois,
                positives=sampling.positives,
                graded=sampling.graded,
            )
            return sample, rois

        logits, offsets = jax.lax.stop_gradient((regions.logits, regions.offsets))
        sample, rois = jax.lax.stop_gradient(jax.vmap(chosen)(keys, logits, offsets, boxes, where, number))
        found = network.boxes(pyramid, rois.boxes)
        on_cells = rois.boxes[:, : sampling.positives]
        cell = rois.cell[:, : sampling.positives]
        targets, known = jax.vmap(mask_targets)(number, on_cells, cell)
        places = jax.vmap(_places)(on_cells, cell, by_image(inputs.centres), by_image(inputs.present))
        offsets = jax.vmap(lambda *of_image: nearest_offsets(*of_image, count=network.neighbours))(*places)
        cells = network.embed(found.features[:, : sampling.positives], offsets)
        cells = jax.tree.map(lambda leaf: leaf.reshape(pairs, 2, *leaf.shape[1:]), cells)
        earlier, later = (
            jax.tree.map(lambda leaf: leaf[:, 0], cells),
            jax.tree.map(lambda leaf: leaf[:, 1], cells),
        )
        first, second = jnp.moveaxis(cell.reshape(pairs, 2, -1), 1, 0)
        origin = jnp.take_along_axis(inputs.source, jnp.maximum(second - 1, 0), axis=1)
        compared = (first > 0)[:, :, None] & (second > 0)[:, None]
        return PassOutputs(
            anchor_logits=_at(jnp.concatenate(regions.logits, axis=1), sample.anchor),
            anchor_offsets=_at(jnp.concatenate(regions.offsets, axis=1), sample.anchor),
            anchors=sample,
            roi_logits=found.logits,
            roi_offsets=found.offsets[:, :, 1],
            rois=rois,
            masks=network.masks(pyramid, on_cells),
            mask_targets=targets,
            mask_known=known & (cell > 0)[..., None, None],
            similarities=network.compare(earlier, later),
            same=compared & (first[:, :, None] == origin[:, None]),
            compared=compared,
        )


def _at(values: Float[Array, "image anchor *rest"], index: Array) -> Float[Array, "image sample *rest"]:
    return jax.vmap(lambda of_image, chosen: of_image[chosen])(values, index)


def _places(boxes: Array, cell: Array, centres: Array, present: Array) -> tuple[Array, Array, Array]:
    """Middles of boxes, the cells that may be their neighbours, and which of them are: not the same cell."""
    own = cell[:, None] == jnp.arange(1, len(centres) + 1)[None]
    return (boxes[:, :2] + boxes[:, 2:]) / 2, centres, present[None] & ~own
