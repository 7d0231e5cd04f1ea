"""Storage of frames with their pixel classes as ArrayRecord files, and windows of frames."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from tqdm import tqdm

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.data.annotated_image import read_finite_picture
from cellmotion_jax.data.downsampling import downsample_image, downsample_labels
from cellmotion_jax.data.percentiles import normalize_percentiles
from cellmotion_jax.data.records import RecordBuilder, digest, fingerprint, prepared, read_records
from cellmotion_jax.errors import InputError
from cellmotion_jax.morphology.contacts import contact_map

# What is stored of a pixel, in one byte.
_CELL, _CONTACT, _UNKNOWN = 1, 2, 4
# Sides are filled up to a multiple of this, which any network of up to five levels halves without loss.
_MULTIPLE = 32
CONTACT_REACH = 2
"""A pixel is a contact if two cells lie within this distance of it, in pixels."""


@dataclasses.dataclass(kw_only=True)
class FrameConfig(tfds.core.BuilderConfig):
    """Configuration of the builder; its name contains a digest of all settings."""

    images: Sequence[AnnotatedImage] = dataclasses.field(repr=False)
    """The annotated images."""
    window: int
    """Number of frames of a window, which ends with an annotated image."""
    downsample: int
    """Side of the blocks over which images are averaged."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of all stored frames."""
        y, x = (max(sides) // self.downsample for sides in zip(*(image.shape for image in self.images)))
        return -(-y // _MULTIPLE) * _MULTIPLE, -(-x // _MULTIPLE) * _MULTIPLE

    def files(self) -> list[pathlib.Path]:
        """All files of the frames of all windows, without repetition."""
        return list(dict.fromkeys(file for image in self.images for file in image.window_files(self.window)))


class Frames(RecordBuilder):
    """Builder of one split, ``frames``, in the order of `FrameConfig.files`."""

    SPLIT = "frames"
    builder_config: FrameConfig

    def features(self) -> dict[str, Any]:
        """A frame and the classes of its pixels."""
        size = self.builder_config.size

        def stored(dtype: type) -> tfds.features.Tensor:
            return tfds.features.Tensor(shape=size, dtype=dtype, encoding="zlib")

        return {"image": stored(np.float16), "region": stored(np.uint8)}

    def samples(self) -> Iterator[dict[str, Any]]:
        """Yields every frame once."""
        config = self.builder_config
        annotated = {image.image_file: image for image in config.images}
        for file in tqdm(config.files(), desc="frames", disable=None, leave=False):
            seen = normalize_percentiles(
                downsample_image(read_finite_picture(file), config.downsample).mean(axis=-1)
            )
            missing = [(0, wanted - had) for wanted, had in zip(config.size, seen.shape)]
            region = (
                _regions(annotated[file], config.downsample)
                if file in annotated
                else np.full(seen.shape, _UNKNOWN, np.uint8)
            )
            yield {
                "image": np.pad(seen, missing, mode="symmetric").astype(np.float16),
                "region": np.pad(region, missing, constant_values=_UNKNOWN),
            }


class WindowSource:
    """Windows of frames: ``len(source)``, and ``source[i]`` reads the one that ends with image i.

    A window is a dictionary of ``image`` [time, y, x, 1], float32 on the scale of `normalize_percentiles`; of
    its last frame ``cell`` and ``contact`` [y, x], whether there is a cell, and whether two cells come near;
    and ``annotated`` [y, x], False where nothing is known. Pixels of a cell that touch another cell count as
    background, so that the two cells are separated.
    """

    def __init__(self, builder: Frames) -> None:
        self._frames = read_records(builder)
        config = builder.builder_config
        place = {file: index for index, file in enumerate(config.files())}
        self._windows = [[place[file] for file in it.window_files(config.window)] for it in config.images]

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: SupportsIndex) -> dict[str, np.ndarray]:
        window = self._windows[index]
        records = {place: self._frames[place] for place in dict.fromkeys(window)}
        region = records[window[-1]]["region"]
        return {
            "image": np.stack([records[place]["image"] for place in window]).astype(np.float32)[..., None],
            "cell": (region & _CELL) > 0,
            "contact": (region & _CONTACT) > 0,
            "annotated": (region & _UNKNOWN) == 0,
        }


def window_source(
    images: Sequence[AnnotatedImage], *, window: int, downsample: int, data_dir: str | os.PathLike[str]
) -> WindowSource:
    """Prepares the frames of the windows that end with annotated images, or reuses those prepared earlier.

    Frames are averaged over blocks, colours are averaged, and brightness is normalised by percentiles; each
    frame is stored once, however many windows it is in. Frames of different sizes are padded at the bottom
    and right by their mirror image, which does not count as annotated.

    Args:
        images: Annotated images, at least one. Frames before them come from their movies, without which the
            image itself is repeated.
        window: Number of frames of a window.
        downsample: See `cellmotion_jax.data.downsampling.downsample_image`.
        data_dir: Folder for the prepared frames; made if it is absent.

    Returns:
        One window per image.

    Raises:
        InputError: If there is no image, a length is not positive, or an image is damaged, not finite,
            or smaller than a block.
    """
    if not images:
        raise InputError("There are no images to make windows of; give at least one.")
    if window < 1:
        raise InputError(f"window is {window}; a window has at least 1 frame.")
    sources = [(image.margin, fingerprint((*image.files, *image.window_files(window)))) for image in images]
    config = FrameConfig(
        name=f"{window}-{downsample}-{digest(window, downsample, CONTACT_REACH, sources)}",
        images=images,
        window=window,
        downsample=downsample,
    )
    return WindowSource(prepared(Frames, config, data_dir))


def _regions(annotated: AnnotatedImage, downsample: int) -> UInt8[np.ndarray, "y x"]:
    labels, known = (downsample_labels(it, downsample) for it in annotated.annotation())
    cell = (labels > 0) & ~contact_map(labels, reach=1)
    contact = contact_map(labels, reach=CONTACT_REACH)
    return (_CELL * cell + _CONTACT * contact + _UNKNOWN * ~known).astype(np.uint8)
