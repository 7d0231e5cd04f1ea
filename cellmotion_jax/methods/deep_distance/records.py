"""Storage of tiles with distance targets as ArrayRecord files, written once by TFDS (without TensorFlow)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, SupportsIndex

import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float16, Shaped, UInt8
from tqdm import tqdm

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.data.downsampling import downsample_image, downsample_labels
from cellmotion_jax.data.records import RecordBuilder, digest, fingerprint, prepared, read_records
from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology.distance_targets import distance_targets
from cellmotion_jax.ops.intensity import standardize
from cellmotion_jax.settings import Downsample, NotNegative, Positive, Settings, Side

# What a pixel is, in the one byte that is stored of it.
_BOUNDARY, _INSIDE, _NOT_ANNOTATED = 1, 2, 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileSettings(Settings):
    """How tiles and their targets are made; all lengths but the first factor are in downsampled pixels."""

    downsample: Downsample
    """Side of the blocks over which images are averaged; 1 leaves images as they are."""
    tile: Side
    """Side of a tile."""
    stride: Side
    """Distance between neighbouring tiles, at most their side."""
    alpha: Positive
    """Decay of the inner distance per pixel, see `morphology.distance_targets`."""
    squared: bool
    """Whether distances are squared."""
    boundary_width: NotNegative
    """Pixels taken off every cell."""

    def check_together(self) -> None:
        """Refuses tiles that leave gaps."""
        if self.stride > self.tile:
            self.refuse("stride", f"tiles of {self.tile} pixels must not leave gaps")


@dataclasses.dataclass(kw_only=True)
class TileConfig(tfds.core.BuilderConfig):
    """Configuration of the builder; its name contains a digest of all settings."""

    images: Sequence[AnnotatedImage] = dataclasses.field(repr=False)
    """The images, all with the same number of channels."""
    settings: TileSettings
    """How tiles are made."""


class Tiles(RecordBuilder):
    """Builder of one split, ``tiles``, in the order of the images, then by row and column."""

    SPLIT = "tiles"
    builder_config: TileConfig

    def features(self) -> dict[str, Any]:
        """An image and its targets."""
        config = self.builder_config
        size, channels = config.settings.tile, config.images[0].channels

        def stored(dtype: type, *channel: int) -> tfds.features.Tensor:
            return tfds.features.Tensor(shape=(size, size, *channel), dtype=dtype, encoding="zlib")

        return {
            "image": stored(np.float16, channels),
            "inner": stored(np.float16),
            "outer": stored(np.float16),
            "region": stored(np.uint8),
        }

    def samples(self) -> Iterator[dict[str, Any]]:
        """Yields the tiles by image, then by row and column."""
        config, found = self.builder_config, False
        settings, side = config.settings, config.settings.tile
        for annotated in tqdm(config.images, desc="tiles of images", disable=None, leave=False):
            maps = _maps(annotated, settings)
            y, x = maps.region.shape
            for top in _starts(y, settings):
                for left in _starts(x, settings):
                    window = np.s_[top : top + side, left : left + side]
                    if (maps.region[window] != _NOT_ANNOTATED).any():
                        yield {name: whole[window] for name, whole in maps._asdict().items()}
                        found = True
        if not found:
            raise InputError(
                f"Nothing is annotated in the {len(config.images)} images from {config.images[0].name} on; "
                "there is no tile to learn from."
            )


class TileSource:
    """Prepared tiles: ``len(source)``, and ``source[i]`` reads one from the disk.

    A tile is a dictionary of ``image`` [y, x, channel], standardised over the whole image that it is cut
    from, the distances ``inner`` and ``outer`` and the 0/1 maps ``classification`` and ``boundary`` [y, x],
    all float32, and ``annotated`` [y, x], which is False where the cells are not known and the targets are
    invalid.
    """

    def __init__(self, builder: Tiles) -> None:
        self._records = read_records(builder)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: SupportsIndex) -> dict[str, np.ndarray]:
        # The end of an iteration is an IndexError; the records themselves raise another.
        record = self._records[range(len(self))[index]]
        region = record["region"]
        return {
            **{name: record[name].astype(np.float32) for name in ("image", "inner", "outer")},
            "classification": (region == _INSIDE).astype(np.float32),
            "boundary": (region == _BOUNDARY).astype(np.float32),
            "annotated": region != _NOT_ANNOTATED,
        }


def tile_source(
    images: Sequence[AnnotatedImage], settings: TileSettings, *, data_dir: str | os.PathLike[str]
) -> TileSource:
    """Prepares tiles and their targets, or reuses those that an earlier call has prepared.

    Images are averaged over blocks and standardised, and their targets computed, before they are cut.
    Tiles begin at 0, ``stride``, 2 ``stride``, ... and the last one ends with the image; an image that is
    smaller than a tile is continued by its mirror image, which does not count as annotated. Tiles on which
    nothing is annotated are left out. Images and distances are rounded to float16.

    The tiles are stored in a folder whose name contains a digest of the settings and of the path, size and
    time of every source file; after a change they are prepared again.

    Args:
        images: Annotated images, at least one, all grey or all RGB.
        settings: How tiles are made.
        data_dir: Folder for the prepared tiles; made if it is absent.

    Returns:
        The tiles of all images, by image, then by row and column.

    Raises:
        InputError: If there is no image or nothing annotated, or an image is damaged, not finite, or smaller
            than a block.
    """
    if not images:
        raise InputError("There are no images to cut tiles from; give at least one.")
    sources = [(image.margin, fingerprint(image.files)) for image in images]
    config = TileConfig(
        name=f"{settings.tile}px-{settings.stride}px-{settings.downsample}-{digest(settings, sources)}",
        images=images,
        settings=settings,
    )
    return TileSource(prepared(Tiles, config, data_dir))


class _Maps(NamedTuple):
    """Image and maps of a whole image that are stored."""

    image: Float16[np.ndarray, "y x channel"]
    inner: Float16[np.ndarray, "y x"]
    outer: Float16[np.ndarray, "y x"]
    region: UInt8[np.ndarray, "y x"]


def _maps(annotated: AnnotatedImage, settings: TileSettings) -> _Maps:
    """Downsamples an image, computes its targets, and pads all to at least the size of a tile."""
    image = np.asarray(standardize(jnp.asarray(downsample_image(annotated.image(), settings.downsample))))
    labels, known = (downsample_labels(it, settings.downsample) for it in annotated.annotation())
    targets = distance_targets(
        labels,
        alpha=settings.alpha,
        squared=settings.squared,
        boundary_width=settings.boundary_width,
    )
    region = np.select(
        [~known, targets.boundary, targets.classification], [_NOT_ANNOTATED, _BOUNDARY, _INSIDE], 0
    )
    missing = [(0, max(0, settings.tile - side)) for side in region.shape]

    def padded(whole: Shaped[np.ndarray, "y x *channel"], dtype: type) -> Shaped[np.ndarray, "v u *channel"]:
        return np.pad(whole.astype(dtype), [*missing, (0, 0)][: whole.ndim], mode="symmetric")

    return _Maps(
        image=padded(image, np.float16),
        inner=padded(targets.inner, np.float16),
        outer=padded(targets.outer, np.float16),
        region=np.pad(region.astype(np.uint8), missing, constant_values=_NOT_ANNOTATED),
    )


def _starts(length: int, settings: TileSettings) -> list[int]:
    """First row (column) of every tile along an axis."""
    last = length - settings.tile
    return [*range(0, last, settings.stride), last]
