"""Mask R-CNN (He et al. 2017) in static shapes, with the parameters of torchvision's."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.fpn import FPN, FPNFeatures
from cellmotion_jax.models.layers import Conv3x3, PointwiseConv, UpConv
from cellmotion_jax.models.network import Network
from cellmotion_jax.ops.anchors import grid_anchors
from cellmotion_jax.ops.roi_align import pyramid_level, roi_align
from cellmotion_jax.settings import Positive, Range, Width

MULTIPLE = 32
"""Sides of an image are multiples of this, so that the strides of the levels are whole numbers."""
BOX_BINS, MASK_BINS = 7, 14
"""Bins of the features of a box, for the box head and for the mask head."""
MASK_SIDE = 2 * MASK_BINS
"""Rows and columns of a predicted mask."""
BOX_WEIGHTS = (10.0, 5.0)
"""Factors of the box head's offsets, see `ops.boxes.decode_boxes`."""
_ROI_STRIDES = (4, 8, 16, 32)


class RegionOutputs(NamedTuple):
    """Outputs of the region proposal network, level by level from fine to coarse."""

    logits: tuple[Float[Array, "batch anchor"], ...]
    """Log odds that there is an object at an anchor."""
    offsets: tuple[Float[Array, "batch anchor 4"], ...]
    """Offsets of the object from the anchor, see `ops.boxes.decode_boxes`."""


class BoxOutputs(NamedTuple):
    """Outputs of the box head for every box."""

    features: Float[Array, "batch roi 7 7 channel"]
    """RoIAlign features of the box, the input of this head and of tracking heads."""
    logits: Float[Array, "batch roi label"]
    """Log probabilities of the classes, up to a constant; class 0 is background."""
    offsets: Float[Array, "batch roi label 4"]
    """Offsets of the object from the box, for every class, times `BOX_WEIGHTS`."""


class RegionHead(Network):
    """Log odds and offsets for the anchors of every pixel of a level; shared by all levels."""

    anchors: Annotated[int, Range(1, 100)] = 3
    """Anchors per pixel."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""

    @nn.compact
    def __call__(self, level: Float[Array, "batch y x channel"]) -> tuple[Array, Array]:
        """Logits [batch, anchor] and offsets [batch, anchor, 4], ordered as by `ops.anchors.grid_anchors`."""
        small = nn.initializers.normal(0.01)
        channels, batch = level.shape[-1], level.shape[0]
        x = nn.relu(Conv3x3(channels, kernel_init=small, dtype=self.dtype, name="conv")(level))
        out = functools.partial(PointwiseConv, use_bias=True, kernel_init=small, dtype=self.dtype)
        logits = out(self.anchors, name="cls_logits")(x)
        offsets = out(4 * self.anchors, name="bbox_pred")(x)
        return logits.reshape(batch, -1), offsets.reshape(batch, -1, 4)


class BoxHead(Network):
    """Two dense layers, then the classes of a box and its offsets."""

    classes: Annotated[int, Range(2, 10**4)] = 2
    """Classes with background."""
    width: Width = 1024
    """Units of both dense layers."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""

    @nn.compact
    def __call__(self, features: Float[Array, "*batch 7 7 channel"]) -> tuple[Array, Array]:
        """Logits [..., class] and offsets [..., class, 4]."""
        dense = functools.partial(nn.Dense, dtype=self.dtype)
        small = nn.initializers.normal
        x = features.reshape(*features.shape[:-3], -1)
        x = nn.relu(dense(self.width, kernel_init=nn.initializers.he_normal(), name="fc6")(x))
        x = nn.relu(dense(self.width, kernel_init=nn.initializers.he_normal(), name="fc7")(x))
        logits = dense(self.classes, kernel_init=small(0.01), name="cls_score")(x)
        offsets = dense(4 * self.classes, kernel_init=small(0.001), name="bbox_pred")(x)
        return logits, offsets.reshape(*offsets.shape[:-1], self.classes, 4)


class MaskHead(Network):
    """Four convolutions, one doubling of the size, and the masks of all classes."""

    classes: Annotated[int, Range(2, 10**4)] = 2
    """Classes with background, which has a mask too, as in torchvision."""
    width: Width = 256
    """Channels of all layers but the last."""
    convolutions: Annotated[int, Range(1, 16)] = 4
    """Convolutions before the doubling."""
    dtype: Dtype | None = None
    """Compute type; parameters stay float32."""

    @nn.compact
    def __call__(self, features: Float[Array, "roi 14 14 channel"]) -> Float[Array, "roi 28 28 label"]:
        """Log odds that a pixel belongs to the object, for every class."""
        x = features
        for number in range(1, self.convolutions + 1):
            conv = Conv3x3(
                self.width,
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
                name=f"mask_fcn{number}",
            )
            x = nn.relu(conv(x))
        x = nn.relu(UpConv(self.width, dtype=self.dtype, name="conv5_mask")(x))
        return PointwiseConv(self.classes, use_bias=True, dtype=self.dtype, name="mask_fcn_logits")(x)


class MaskRCNN(Network):
    """Feature pyramid, region proposals, and heads for the class, the box and the mask of a box.

    The stages are methods, `regions`, `boxes` and `masks`. What lies between them, the choice of proposals
    and of detections, is done by the pure functions of `ops.proposals`; neither is part of the network. The
    parameters of torchvision's ``maskrcnn_resnet50_fpn`` are imported as ``mask-rcnn-resnet50-fpn``.

    References:
        He, Gkioxari, Dollar, Girshick: Mask R-CNN, 2017.
        torchvision.models.detection.maskrcnn_resnet50_fpn.
    """

    fpn: FPN
    """Backbone and feature pyramid."""
    classes: Annotated[int, Range(2, 10**4)] = 2
    """Classes with background: 2 for cells, 91 for COCO."""
    anchor_sizes: tuple[Positive, Positive, Positive, Positive, Positive] = (32.0, 64.0, 128.0, 256.0, 512.0)
    """Square root of the area of the anchors of each level, in pixels."""
    anchor_ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)
    """Height over width of the anchors."""
    canonical: Positive = 224.0
    """Side in pixels of a box that takes its features from the level of stride 16, see
    `ops.roi_align.pyramid_level`."""
    box_width: Width = 1024
    """Units of the dense layers of the box head."""
    mask_width: Width = 256
    """Channels of the mask head."""
    aligned: bool = True
    """How boxes lie over pixels, see `ops.roi_align.roi_align`; False for weights of torchvision."""
    dtype: Dtype | None = None
    """Compute type of the heads; the pyramid and its backbone have their own."""

    def setup(self) -> None:
        """Makes the heads."""
        self.rpn = RegionHead(anchors=len(self.anchor_ratios), dtype=self.dtype)
        self.box_head = BoxHead(classes=self.classes, width=self.box_width, dtype=self.dtype)
        self.mask_head = MaskHead(classes=self.classes, width=self.mask_width, dtype=self.dtype)

    def __call__(
        self, images: Float[Array, "batch y x 3"], *, train: bool
    ) -> tuple[FPNFeatures, RegionOutputs]:
        """As `regions`; when the network is initialised, all heads are."""
        pyramid, regions = self.regions(images, train=train)
        if self.is_initializing():
            whole = jnp.array([0.0, 0.0, *images.shape[1:3]])
            somewhere = jnp.broadcast_to(whole[None, None], (images.shape[0], 1, 4))
            self.boxes(pyramid, somewhere)
            self.masks(pyramid, somewhere)
        return pyramid, regions

    def regions(
        self, images: Float[Array, "batch y x 3"], *, train: bool
    ) -> tuple[FPNFeatures, RegionOutputs]:
        """Features of images, and what the region proposal network finds in them.

        Args:
            images: Colours, scaled as the backbone expects; their sides are multiples of 32.
            train: Passed to the backbone.

        Returns:
            The feature pyramid, which the other stages take, and the outputs at all anchors.

        Raises:
            ValueError: If a side is no multiple of 32.
        """
        if images.shape[1] % MULTIPLE or images.shape[2] % MULTIPLE:
            raise ValueError(
                f"images of shape {images.shape} must have sides that are multiples of {MULTIPLE}"
            )
        pyramid = self.fpn(images, train=train)
        logits, offsets = zip(*(self.rpn(level) for level in pyramid))
        return pyramid, RegionOutputs(logits, offsets)

    def boxes(self, pyramid: FPNFeatures, boxes: Float[Array, "batch roi 4"]) -> BoxOutputs:
        """Classes and better positions of boxes.

        Args:
            pyramid: Features of the images.
            boxes: ``(y0, x0, y1, x1)`` in pixels; those of empty slots are computed for nothing.

        Returns:
            Outputs of the box head.
        """
        features = self._align(pyramid, boxes, BOX_BINS)
        return BoxOutputs(features, *self.box_head(features))

    def masks(
        self, pyramid: FPNFeatures, boxes: Float[Array, "batch roi 4"]
    ) -> Float[Array, "batch roi 28 28 label"]:
        """Masks of the objects in boxes.

        Args:
            pyramid: Features of the images.
            boxes: ``(y0, x0, y1, x1)`` in pixels.

        Returns:
            Log odds of every class on a grid over each box.
        """
        features = self._align(pyramid, boxes, MASK_BINS)
        masks = self.mask_head(features.reshape(-1, *features.shape[2:]))
        return masks.reshape(*boxes.shape[:2], *masks.shape[1:])

    def anchors(self, shape: tuple[int, int]) -> list[Float[Array, "anchor 4"]]:
        """Anchors of every level for images of a size.

        Args:
            shape: Rows and columns of the images, multiples of 32.

        Returns:
            Boxes ``(y0, x0, y1, x1)``, in the order of the outputs of `regions`.
        """
        levels = []
        for size, stride in zip(self.anchor_sizes, (*_ROI_STRIDES, 64)):
            grid = (-(-shape[0] // stride), -(-shape[1] // stride))
            # The sixth level rounds upwards; its stride is torchvision's all the same.
            steps = (shape[0] // grid[0], shape[1] // grid[1])
            levels.append(
                jnp.asarray(grid_anchors(grid, stride=steps, sizes=(size,), ratios=self.anchor_ratios))
            )
        return levels

    def _align(self, pyramid: Sequence[Array], boxes: Array, bins: int) -> Array:
        boxes = jax.lax.stop_gradient(boxes)

        def of_image(levels: tuple[Array, ...], boxes: Array) -> Array:
            level = pyramid_level(boxes, finest=2, coarsest=5, canonical=self.canonical) - 2
            return roi_align(levels, boxes, level, strides=_ROI_STRIDES, size=bins, aligned=self.aligned)

        return jax.vmap(of_image)(tuple(pyramid[:4]), boxes)
