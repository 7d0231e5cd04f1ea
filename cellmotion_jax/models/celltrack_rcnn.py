"""CellTrack R-CNN (Chen et al. 2021): Mask R-CNN with Siamese heads for appearance and for neighbourhood."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from cellmotion_jax.models.backbones.fpn import FPNFeatures
from cellmotion_jax.models.backbones.inputs import InputScaling
from cellmotion_jax.models.mask_rcnn import BoxOutputs, MaskRCNN, RegionOutputs
from cellmotion_jax.models.network import Network
from cellmotion_jax.models.siamese import SiameseHead
from cellmotion_jax.ops.host_arguments import check_axes
from cellmotion_jax.settings import Positive, Range, Width


class CellEmbeddings(NamedTuple):
    """What the tracking branch keeps of a cell."""

    visual: Float[Array, "*batch width"]
    """Embedding of its RoIAlign features."""
    spatial: Float[Array, "*batch width"] | None
    """Embedding of the positions of its neighbours; None without the spatial head."""


class Similarities(NamedTuple):
    """Log odds that two cells of adjacent frames are the same or mother and daughter, for all pairs."""

    visual: Float[Array, "*batch earlier later"]
    spatial: Float[Array, "*batch earlier later"] | None


class CellTrackRCNN(Network):
    """Mask R-CNN for grey images of cells with a tracking branch, whose two heads are compared by pairs.

    The stages are methods, as those of `models.mask_rcnn.MaskRCNN`, whose they are: `regions`, `boxes`,
    `masks`, then `embed` and `compare`.
    """

    detector: MaskRCNN
    """Detection and segmentation; two classes, background and cell."""
    scaling: InputScaling
    """Scaling of colours that the backbone expects."""
    neighbours: Annotated[int, Range(1, 64)] = 4
    """Neighbours of a cell in its relative position encoding (n of Section 2.2)."""
    place_unit: tuple[Positive, Positive] = (128.0, 128.0)
    """Pixels along y and x that offsets to neighbours are divided by; the size of the image in the paper."""
    spatial: bool = True
    """Whether there is a spatial head; without it the network is "Ours w/o STH" of Table 1."""
    embedding_width: Width = 256
    """Components of an embedding."""
    dtype: Dtype | None = None
    """Compute type of the tracking heads; the detector has its own."""

    def setup(self) -> None:
        """Makes the tracking heads."""
        self.visual_head = SiameseHead(width=self.embedding_width, dtype=self.dtype)
        if self.spatial:
            self.spatial_head = SiameseHead(width=self.embedding_width, dtype=self.dtype)

    def __call__(
        self, images: Float[Array, "batch y x 1"], *, train: bool
    ) -> tuple[FPNFeatures, RegionOutputs]:
        """As `regions`; when the network is initialised, all heads are."""
        if self.is_initializing():
            self.detector(self._colours(images), train=train)
            channels = self.detector.fpn.channels
            cells = self.embed(jnp.zeros((1, 1, 7, 7, channels)), jnp.zeros((1, 1, self.neighbours, 2)))
            self.compare(cells, cells)
        return self.regions(images, train=train)

    def regions(
        self, images: Float[Array, "batch y x 1"], *, train: bool
    ) -> tuple[FPNFeatures, RegionOutputs]:
        """Features of images and outputs of the region proposal network.

        Args:
            images: Grey images of mean 0 and standard deviation about 1; sides are multiples of 32.
            train: Passed to the backbone.

        Returns:
            See `models.mask_rcnn.MaskRCNN.regions`.
        """
        return self.detector.regions(self._colours(images), train=train)

    def boxes(self, pyramid: FPNFeatures, boxes: Float[Array, "batch roi 4"]) -> BoxOutputs:
        """See `models.mask_rcnn.MaskRCNN.boxes`."""
        return self.detector.boxes(pyramid, boxes)

    def masks(
        self, pyramid: FPNFeatures, boxes: Float[Array, "batch roi 4"]
    ) -> Float[Array, "batch roi 28 28"]:
        """Log odds that a pixel belongs to the cell, on a grid over each box."""
        return self.detector.masks(pyramid, boxes)[..., 1]

    def embed(
        self, features: Float[Array, "*batch 7 7 channel"], offsets: Float[Array, "*batch neighbour 2"]
    ) -> CellEmbeddings:
        """Embeds cells once, whatever they are compared with.

        Args:
            features: RoIAlign features of their boxes, from `boxes`.
            offsets: (dy, dx) to their nearest neighbours in pixels, see `ops.neighbours.nearest_offsets`.

        Returns:
            One embedding per head.
        """
        visual = self.visual_head.embed(features.reshape(*features.shape[:-3], -1))
        if not self.spatial:
            return CellEmbeddings(visual, None)
        unit = jnp.asarray(self.place_unit, jnp.float32).reshape((1,) * (offsets.ndim - 1) + (2,))
        encoded = (offsets / unit).reshape(*offsets.shape[:-2], -1)
        return CellEmbeddings(visual, self.spatial_head.embed(encoded))

    def compare(self, earlier: CellEmbeddings, later: CellEmbeddings) -> Similarities:
        """Compares all cells of a frame with all of the next.

        Args:
            earlier: Cells of frame t - 1.
            later: Cells of frame t.

        Returns:
            Log odds of both heads.
        """
        visual = self.visual_head.compare(earlier.visual, later.visual)
        if earlier.spatial is None or later.spatial is None:
            return Similarities(visual, None)
        return Similarities(visual, self.spatial_head.compare(earlier.spatial, later.spatial))

    def _colours(self, images: Float[Array, "batch y x 1"]) -> Float[Array, "batch y x 3"]:
        check_axes("images", images.shape, "batch y x 1")
        return self.scaling.of_standardized(images)
