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

# What a pixel is, in the one byte that is stored of it.
_BOUNDARY, _INSIDE, _NOT_ANNOTATED = 1, 2, 3


@dataclasses.dataclass(kw_only=True)
class TileConfig(tfds.core.BuilderConfig):
    """Configuration of the builder; its name contains a digest of all settings."""

    images: Sequence[AnnotatedImage] = dataclasses.field(repr=False)
    """The images, all with the same number of channels."""
    tile: int
    """Side of a tile, in pixels of the downsampled image."""
    stride: int
    """Distance between neighbouring tiles, in pixels of the downsampled image."""
    downsample: int
    """Side of the blocks over which images are averaged."""
    alpha: float
    """Decay of the inner distance, per pixel of the downsampled image."""
    squared: bool
    """Whether distances are squared."""
    boundary_width: float
    """Pixels taken off every cell, in the downsampled image."""


class Tiles(RecordBuilder):
    """Builder of one split, ``tiles``, in the order of the images, then by row and column."""

    SPLIT = "tiles"
    builder_config: TileConfig

    def features(self) -> dict[str, Any]:
        """An image and its targets."""
        size, channels = self.builder_config.tile, self.builder_config.images[0].channels

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
        for annotated in tqdm(config.images, desc="tiles of images", disable=None, leave=False):
            maps = _maps(annotated, config)
            y, x = maps.region.shape
            for top in _starts(y, config):
                for left in _starts(x, config):
                    window = np.s_[top : top + config.tile, left : left + config.tile]
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
    images: Sequence[AnnotatedImage],
    *,
    tile: int,
    stride: int,
    downsample: int,
    alpha: float,
    squared: bool,
    boundary_width: float,
    data_dir: str | os.PathLike[str],
) -> TileSource:
    """Prepares tiles and their targets, or reuses those that an earlier call has prepared.

    Images are averaged over blocks and standardised, and their targets computed, before they are cut.
    Tiles begin at 0, ``stride``, 2 ``stride``, ... and the last one ends with the image; an image that is
    smaller than a tile is continued by its mirror image, which does not count as annotated. Tiles on which
    nothing is annotated are left out. Images and distances are rounded to float16.

    The tiles are stored in a folder whose name contains a digest of the options and of the path, size and
    time of every source file; after a change they are prepared again.

    Args:
        images: Annotated images, at least one, all grey or all RGB.
        tile: Side of a tile, in pixels of the downsampled images, as are the following lengths.
        stride: Distance between neighbouring tiles, at most their side.
        downsample: See `cellmotion_jax.data.downsampling.downsample_image`; 1 leaves images as they are.
        alpha: See `cellmotion_jax.morphology.distance_targets.distance_targets`.
        squared: See there.
        boundary_width: See there.
        data_dir: Folder for the prepared tiles; made if it is absent.

    Returns:
        The tiles of all images, by image, then by row and column.

    Raises:
        InputError: If a length is out of range, there is no image or nothing annotated, or an image is
            damaged, not finite, or smaller than a block.
    """
    if not images:
        raise InputError("There are no images to cut tiles from; give at least one.")
    if not 1 <= stride <= tile:
        raise InputError(f"stride is {stride} and tile {tile}; both are positive, and tiles leave no gaps.")
    options = (tile, stride, downsample, alpha, squared, boundary_width)
    sources = [(image.margin, fingerprint(image.files)) for image in images]
    config = TileConfig(
        name=f"{tile}px-{stride}px-{downsample}-{digest(*options, sources)}",
        images=images,
        tile=tile,
        stride=stride,
        downsample=downsample,
        alpha=alpha,
        squared=squared,
        boundary_width=boundary_width,
    )
    return TileSource(prepared(Tiles, config, data_dir))


class _Maps(NamedTuple):
    """Image and maps of a whole image that are stored."""

    image: Float16[np.ndarray, "y x channel"]
    inner: Float16[np.ndarray, "y x"]
    outer: Float16[np.ndarray, "y x"]
    region: UInt8[np.ndarray, "y x"]


def _maps(annotated: AnnotatedImage, config: TileConfig) -> _Maps:
    """Downsamples an image, computes its targets, and pads all to at least the size of a tile."""
    image = np.asarray(standardize(jnp.asarray(downsample_image(annotated.image(), config.downsample))))
    labels, known = (downsample_labels(it, config.downsample) for it in annotated.annotation())
    targets = distance_targets(
        labels,
        alpha=config.alpha,
        squared=config.squared,
        boundary_width=config.boundary_width,
    )
    region = np.select(
        [~known, targets.boundary, targets.classification], [_NOT_ANNOTATED, _BOUNDARY, _INSIDE], 0
    )
    missing = [(0, max(0, config.tile - side)) for side in region.shape]

    def padded(whole: Shaped[np.ndarray, "y x *channel"], dtype: type) -> Shaped[np.ndarray, "v u *channel"]:
        return np.pad(whole.astype(dtype), [*missing, (0, 0)][: whole.ndim], mode="symmetric")

    return _Maps(
        image=padded(image, np.float16),
        inner=padded(targets.inner, np.float16),
        outer=padded(targets.outer, np.float16),
        region=np.pad(region.astype(np.uint8), missing, constant_values=_NOT_ANNOTATED),
    )


def _starts(length: int, config: TileConfig) -> list[int]:
    """First row (column) of every tile along an axis."""
    last = length - config.tile
    return [*range(0, last, config.stride), last]
