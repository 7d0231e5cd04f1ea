"""Largest deviation of every stage of Mask R-CNN from torchvision's, through the import of weights.

``python -m benchmarks.mask_rcnn_parity`` from the root of the repository, where torch and torchvision are
installed besides. A ``maskrcnn_resnet50_fpn`` with random weights, adjusted so that it detects something, and
with the epsilon of its COCO_V1 weights is saved, imported as ``mask-rcnn-resnet50-fpn`` and loaded as by a
user. Both see the same photograph, resized and padded by torchvision. The error of a stage is
max |ours - theirs| / max |theirs| in float32; boxes are compared as sets, each with the nearest one, and nan
where these are not pairs. A stage marked "alone" has its inputs from torchvision, one marked "chain" from our
own stages before it. Exits with 1 if an error exceeds 1e-4.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from cellmotion_jax.models.mask_rcnn import BOX_WEIGHTS, MaskRCNN
from cellmotion_jax.ops.proposals import Boxes, detect_boxes, propose_boxes
from cellmotion_jax.weights.catalogue import CATALOGUE
from tests.models.backbones import torch_originals
from tests.models.backbones.parity import imported

MODEL = "mask-rcnn-resnet50-fpn"
SIZES = ((480, 512), (341, 457))
"""Rows and columns of the photograph, before torchvision resizes it."""
LARGEST_ERROR = 1e-4
NETWORK: MaskRCNN = CATALOGUE[MODEL].module  # type: ignore[assignment]


class Stages(NamedTuple):
    """What one of the two computes, in our axes and our order of corners, as NumPy arrays."""

    images: np.ndarray
    """Resized, standardised and padded: [1, y, x, channel]."""
    shape: tuple[int, int]
    """Rows and columns before the padding."""
    pyramid: tuple[np.ndarray, ...]
    logits: tuple[np.ndarray, ...]
    offsets: tuple[np.ndarray, ...]
    anchors: tuple[np.ndarray, ...]
    proposals: np.ndarray
    box_features: np.ndarray
    class_logits: np.ndarray
    box_offsets: np.ndarray
    detections: np.ndarray
    """Box, class, score."""
    mask_logits: np.ndarray


def photograph(size: tuple[int, int]) -> np.ndarray:
    """Colours from 0 to 1, [y, x, channel]."""
    return skimage.data.astronaut()[: size[0], : size[1]].astype(np.float32) / 255


def torchvision_stages(network: Any, photograph: np.ndarray) -> Stages:
    """By calling the parts of torchvision's network in their order."""
    import torch

    def of_level(outputs: Any, last: int) -> np.ndarray:
        """Outputs [1, anchors * last, y, x] as [y * x * anchors, last], the order of the anchors."""
        return outputs[0].unflatten(0, (-1, last)).permute(2, 3, 0, 1).reshape(-1, last).numpy()

    heads, nhwc = network.roi_heads, torch_originals.channels_last
    with torch.no_grad():
        images, _ = network.transform([torch.from_numpy(photograph.transpose(2, 0, 1).copy())])
        features = network.backbone(images.tensors)
        maps = list(features.values())
        logits, offsets = network.rpn.head(maps)
        anchors = network.rpn.anchor_generator(images, maps)[0].numpy()
        proposals, _ = network.rpn(images, features)
        box_features = heads.box_roi_pool(features, proposals, images.image_sizes)
        classes, box_offsets = heads.box_predictor(heads.box_head(box_features))
        boxes, scores, labels = heads.postprocess_detections(
            classes, box_offsets, proposals, images.image_sizes
        )
        masks = heads.mask_roi_pool(features, boxes, images.image_sizes)
        masks = heads.mask_predictor(heads.mask_head(masks))
    counts = [level[0].numel() for level in logits]
    detections = [y_first(boxes[0].numpy()), labels[0][:, None].numpy(), scores[0][:, None].numpy()]
    return Stages(
        images=nhwc(images.tensors),
        shape=images.image_sizes[0],
        pyramid=tuple(nhwc(level) for level in maps),
        logits=tuple(of_level(level, 1)[:, 0] for level in logits),
        offsets=tuple(y_first(of_level(level, 4)) for level in offsets),
        anchors=tuple(np.split(y_first(anchors), np.cumsum(counts)[:-1])),
        proposals=y_first(proposals[0].numpy()),
        box_features=nhwc(box_features),
        class_logits=classes.numpy(),
        box_offsets=y_first(box_offsets.numpy().reshape(*classes.shape, 4)),
        detections=np.concatenate(detections, axis=1),
        mask_logits=nhwc(masks),
    )


def y_first(corners: np.ndarray) -> np.ndarray:
    """Exchanges x and y in corners ``(x0, y0, x1, y1)`` and in offsets."""
    return corners[..., [1, 0, 3, 2]]


@functools.partial(jax.jit, static_argnames="method")
def stage(variables: Any, *inputs: Any, method: Any) -> Any:
    return NETWORK.apply(variables, *inputs, method=method)


propose = functools.partial(
    jax.jit(propose_boxes, static_argnames=("shape", "per_level", "count")),
    per_level=1000,
    count=1000,
    iou_threshold=0.7,
)
detect = functools.partial(
    jax.jit(detect_boxes, static_argnames=("shape", "count", "candidates", "weights")),
    score_threshold=0.05,
    iou_threshold=0.5,
    count=100,
    candidates=8000,
    weights=BOX_WEIGHTS,
)


def errors(variables: Any, theirs: Stages) -> Iterator[tuple[str, float]]:
    """Name and error of every stage."""
    pyramid, outputs = stage(variables, theirs.images, method=_regions)
    logits, offsets = ([level[0] for level in kind] for kind in outputs)
    for name, ours, expected in zip(pyramid._fields, pyramid, theirs.pyramid, strict=True):
        yield f"pyramid, {name}", error(ours, expected)
    yield "region logits", largest(logits, theirs.logits)
    yield "region offsets", largest(offsets, theirs.offsets)
    anchors = NETWORK.anchors(theirs.images.shape[1:3])
    yield "anchors", largest(anchors, theirs.anchors)

    alone = propose(theirs.logits, theirs.offsets, theirs.anchors, shape=theirs.shape)
    yield "proposals, alone", error(*paired(rows(alone)[:, :4], theirs.proposals))
    proposals = propose(logits, offsets, anchors, shape=theirs.shape)
    yield "proposals, chain", error(*paired(rows(proposals)[:, :4], theirs.proposals))

    alone = stage(variables, theirs.pyramid, theirs.proposals[None], method=MaskRCNN.boxes)
    yield "box features, alone", error(alone.features[0], theirs.box_features)
    yield "class logits, alone", error(alone.logits[0], theirs.class_logits)
    yield "box offsets, alone", error(alone.offsets[0], theirs.box_offsets)

    all_slots = jnp.ones(len(theirs.proposals), bool)
    given = proposals._replace(boxes=theirs.proposals, where=all_slots)
    alone = detect(theirs.class_logits, theirs.box_offsets, given, shape=theirs.shape)
    outputs = stage(variables, pyramid, proposals.boxes[None], method=MaskRCNN.boxes)
    chain = detect(outputs.logits[0], outputs.offsets[0], proposals, shape=theirs.shape)
    for name, detections in (("alone", alone), ("chain", chain)):
        ours, expected = paired(rows(detections), theirs.detections)
        yield f"detections, {name}: boxes", error(ours[:, :4], expected[:, :4])
        yield f"detections, {name}: classes", error(ours[:, 4], expected[:, 4])
        yield f"detections, {name}: scores", error(ours[:, 5], expected[:, 5])

    for name, levels in (("alone", theirs.pyramid), ("our pyramid", pyramid)):
        masks = stage(variables, levels, theirs.detections[None, :, :4], method=MaskRCNN.masks)
        yield f"mask logits, {name}", error(masks[0], theirs.mask_logits)


def _regions(network: MaskRCNN, images: jax.Array) -> Any:
    return network.regions(images, train=False)


def rows(boxes: Boxes) -> np.ndarray:
    """Box, class and score of the slots that hold one."""
    columns = [boxes.boxes, boxes.classes[:, None], boxes.scores[:, None]]
    return np.concatenate([np.asarray(column) for column in columns], axis=1)[np.asarray(boxes.where)]


def paired(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two sets, each of ours with the nearest of theirs; NaN for ours if these are not pairs."""
    nearest = np.max(np.abs(ours[:, None] - theirs[None]), axis=-1).argmin(axis=1)
    if len(theirs) == 0 or sorted(nearest) != list(range(len(theirs))):
        return np.full_like(theirs, np.nan), theirs
    return ours, theirs[nearest]


def error(ours: Any, theirs: np.ndarray) -> float:
    """Largest deviation relative to the largest value; infinite if the shapes differ."""
    ours = np.asarray(ours)
    return (
        float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))
        if ours.shape == theirs.shape
        else np.inf
    )


def largest(ours: Any, theirs: tuple[np.ndarray, ...]) -> float:
    """Of all levels."""
    return max(error(level, expected) for level, expected in zip(ours, theirs, strict=True))


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    if not torch_originals.is_installed():
        sys.exit("torch and torchvision are not installed.")
    network = torch_originals.adjusted_to(photograph(SIZES[0]), torch_originals.mask_rcnn())
    variables = imported(MODEL, functools.partial(torch_originals.save, network))
    by_size = [dict(errors(variables, torchvision_stages(network, photograph(size)))) for size in SIZES]
    print(f"| stage | {' | '.join(f'{y} x {x}' for y, x in SIZES)} | bound | ok |")
    print(f"| --- |{' --- |' * len(SIZES)} --- | --- |")
    missed = 0
    for name in by_size[0]:
        found = [of_size[name] for of_size in by_size]
        ok = all(value <= LARGEST_ERROR for value in found)  # NaN is not.
        missed += not ok
        numbers = " | ".join(f"{value:.1e}" for value in found)
        print(f"| {name} | {numbers} | {LARGEST_ERROR:.0e} | {'yes' if ok else 'NO'} |")
    print(f"\n{len(by_size[0]) - missed} of {len(by_size[0])} stages agree.")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
