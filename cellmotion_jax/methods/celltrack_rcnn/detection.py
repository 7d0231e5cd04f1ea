"""The cells of a frame, found by the network, with their masks and embeddings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int32, Num

from cellmotion_jax.inference.mask_pasting import label_image
from cellmotion_jax.methods.celltrack_rcnn.frames import network_frame, padded
from cellmotion_jax.methods.celltrack_rcnn.model_file import RCNNModel
from cellmotion_jax.models.backbones.fpn import FPNFeatures
from cellmotion_jax.models.celltrack_rcnn import CellEmbeddings, CellTrackRCNN
from cellmotion_jax.models.mask_rcnn import BOX_WEIGHTS, BoxOutputs, RegionOutputs
from cellmotion_jax.morphology.fragments import without_fragments
from cellmotion_jax.ops.labels import NumberedCells, number_cells, tight_boxes
from cellmotion_jax.ops.neighbours import nearest_offsets
from cellmotion_jax.ops.proposals import Boxes, detect_boxes, propose_boxes
from cellmotion_jax.settings import Range, Settings, Share

FEWEST_SLOTS = 16
"""Slots for the cells of a frame: this, or the next power of two that holds them."""
MASK_MARGIN = 0.05
"""Masks are predicted in boxes that are wider by this share of their sides all around: a box that is a pixel
too small would cut its cell off."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RCNNSettings(Settings):
    """How cells are found; none of it needs a new training."""

    score: Share | None = None
    """Score above which a box is a cell; None takes that of the model, the best on validation frames."""
    overlap: Share = 0.5
    """Largest intersection over union of the boxes of two cells."""
    covered: Share = 0.7
    """Largest share of the pixels of a cell that more probable cells may cover; beyond it, it is one of them
    once more."""
    mask: Share = 0.5
    """Probability above which a pixel belongs to a cell."""
    proposals: Annotated[int, Range(1, 20_000)] = 1000
    """Boxes that are looked at in a frame; several per cell."""
    smallest_area: Annotated[int, Range(1, 10**9)] = 1
    """Pixels of a cell at least, in the frame."""


class FoundCells(NamedTuple):
    """The cells of a frame; they are numbered as in the label image."""

    labels: Int32[np.ndarray, "y x"]
    """Number of the cell of every pixel from 1 on, 0 for background."""
    boxes: Float32[np.ndarray, "cell 4"]
    """``(y0, x0, y1, x1)`` in pixels of the frame."""
    scores: Float32[np.ndarray, " cell"]
    """Probability of every cell."""
    embeddings: CellEmbeddings
    """[slot, width], a power of two of slots; those beyond the cells hold nothing."""

    @property
    def numbered(self) -> NumberedCells:
        """The label image with the numbers of its cells, which need not be searched for in it."""
        return NumberedCells(np.arange(len(self.boxes) + 1), self.labels)


def slots_for(cells: int) -> int:
    """Number of slots for cells: a power of two, so that few sizes are compiled.

    >>> [slots_for(cells) for cells in (0, 16, 17, 500)]
    [16, 16, 32, 512]
    """
    return max(FEWEST_SLOTS, 1 << max(cells - 1, 0).bit_length())


def find_cells(model: RCNNModel, image: Num[np.ndarray, "y x"], *, settings: RCNNSettings) -> FoundCells:
    """Finds the cells of a frame.

    Args:
        model: The network.
        image: Grey frame.
        settings: How cells are found.

    Returns:
        The cells, the most probable first.

    Raises:
        InputError: If a pixel is not finite.
    """
    frame = network_frame(image, scale=model.scale)
    pixels = jnp.asarray(padded(frame.image))
    pyramid, found = _detect(
        model.network,
        model.variables,
        pixels,
        jnp.asarray(frame.image.shape, jnp.float32),
        model.score if settings.score is None else settings.score,
        settings.overlap,
        settings.proposals,
    )
    # Cut on the host: on the device every count would be a program of its own.
    found = jax.device_get(found)
    count = int(found.where.sum())
    slots = slots_for(count)
    boxes = found.boxes[:count]
    wide = _widened(boxes)
    masks = _masks(model.network, model.variables, pyramid, jnp.asarray(_in_slots(wide, slots)))
    factor = np.array([*frame.factor, *frame.factor], np.float32)
    pasted = label_image(
        np.asarray(masks)[:count],
        wide / factor,
        shape=image.shape,
        threshold=settings.mask,
        most_covered=settings.covered,
        smallest_area=settings.smallest_area,
    )
    kept = boxes[pasted.kept]
    return FoundCells(
        labels=pasted.labels,
        boxes=kept / factor,
        scores=found.scores[:count][pasted.kept],
        embeddings=_embedded(model, pyramid, kept),
    )


def cells_of_mask(
    model: RCNNModel, image: Num[np.ndarray, "y x"], labels: Num[np.ndarray, "label_y label_x"]
) -> FoundCells:
    """The cells of a given label image with the embeddings that the tracking branch compares.

    Args:
        model: The network.
        image: Grey frame.
        labels: Its label image.

    Returns:
        The cells in the order of their labels, numbered without gaps.

    Raises:
        InputError: If a pixel is not finite or a label negative.
        ValueError: If both differ in size.
    """
    if labels.shape != image.shape:
        raise ValueError(f"labels have shape {labels.shape}, but the image has {image.shape}")
    frame = network_frame(image, scale=model.scale)
    cells = number_cells(labels)
    boxes = tight_boxes(without_fragments(cells.number), np.arange(1, len(cells.labels)))
    factor = np.array([*frame.factor, *frame.factor], np.float32)
    pyramid = _pyramid(model.network, model.variables, jnp.asarray(padded(frame.image)))
    return FoundCells(
        labels=cells.number.astype(np.int32),
        boxes=boxes,
        scores=np.ones(len(boxes), np.float32),
        embeddings=_embedded(model, pyramid, boxes * factor),
    )


def _embedded(model: RCNNModel, pyramid: FPNFeatures, boxes: Float32[np.ndarray, "cell 4"]) -> CellEmbeddings:
    slots = slots_for(len(boxes))
    return _embed(
        model.network,
        model.variables,
        pyramid,
        jnp.asarray(_in_slots(boxes, slots)),
        jnp.arange(slots) < len(boxes),
    )


def _widened(boxes: Float32[np.ndarray, "cell 4"]) -> Float32[np.ndarray, "cell 4"]:
    margin = MASK_MARGIN * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def _in_slots(boxes: Float32[np.ndarray, "cell 4"], slots: int) -> Float32[np.ndarray, "slot 4"]:
    return np.pad(boxes, ((0, slots - len(boxes)), (0, 0))).astype(np.float32)


@functools.partial(jax.jit, static_argnames=("network",))
def _pyramid(network: CellTrackRCNN, variables: Any, pixels: Float[Array, "y x"]) -> FPNFeatures:
    """Features of one image, without the region proposals."""
    return _regions(network, variables, pixels)[0]


@functools.partial(jax.jit, static_argnames=("network", "proposals"))
def _detect(
    network: CellTrackRCNN,
    variables: Any,
    pixels: Float[Array, "y x"],
    size: Float[Array, " 2"],
    score: Float[Array, ""],
    overlap: Float[Array, ""],
    proposals: int,
) -> tuple[FPNFeatures, Boxes]:
    """Features of one image and the boxes of its cells, best first."""
    pyramid, regions = _regions(network, variables, pixels)
    proposed = propose_boxes(
        [level[0] for level in regions.logits],
        [level[0] for level in regions.offsets],
        network.detector.anchors((pixels.shape[0], pixels.shape[1])),
        shape=size,
        per_level=proposals,
        count=proposals,
    )
    heads = _box_outputs(network, variables, pyramid, proposed.boxes)
    found = detect_boxes(
        heads.logits[0],
        heads.offsets[0],
        proposed,
        shape=size,
        score_threshold=score,
        iou_threshold=overlap,
        count=proposals,
        candidates=proposals,
        weights=BOX_WEIGHTS,
    )
    return pyramid, found


@functools.partial(jax.jit, static_argnames=("network",))
def _masks(
    network: CellTrackRCNN, variables: Any, pyramid: FPNFeatures, boxes: Float[Array, "slot 4"]
) -> Float[Array, "slot 28 28"]:
    masks = cast(Array, network.apply(variables, pyramid, boxes[None], method="masks"))
    return jax.nn.sigmoid(masks[0].astype(jnp.float32))


@functools.partial(jax.jit, static_argnames=("network",))
def _embed(
    network: CellTrackRCNN,
    variables: Any,
    pyramid: FPNFeatures,
    boxes: Float[Array, "slot 4"],
    where: Array,
) -> CellEmbeddings:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    others = where[None] & ~jnp.eye(len(boxes), dtype=bool)
    offsets = nearest_offsets(centres, centres, others, count=network.neighbours)
    heads = _box_outputs(network, variables, pyramid, boxes)
    return network.apply(variables, heads.features[0], offsets, method="embed")  # type: ignore[return-value]


def _box_outputs(
    network: CellTrackRCNN, variables: Any, pyramid: FPNFeatures, boxes: Float[Array, "box 4"]
) -> BoxOutputs:
    return cast(BoxOutputs, network.apply(variables, pyramid, boxes[None], method="boxes"))


def _regions(
    network: CellTrackRCNN, variables: Any, pixels: Float[Array, "y x"]
) -> tuple[FPNFeatures, RegionOutputs]:
    found = network.apply(variables, pixels[None, :, :, None], train=False)
    return cast(tuple[FPNFeatures, RegionOutputs], found)
