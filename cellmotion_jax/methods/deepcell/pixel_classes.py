"""Training samples of feature nets: pixel classes of nuclei, in tiles or around single pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int, Integer, Num, UInt8
from tqdm import tqdm

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.data.downsampling import downsample_labels
from cellmotion_jax.errors import InputError
from cellmotion_jax.models.feature_net import BACKGROUND, BOUNDARY, INTERIOR
from cellmotion_jax.morphology import distance_to_boundary

CLASSES = {"boundary": BOUNDARY, "interior": INTERIOR, "background": BACKGROUND}


@dataclasses.dataclass(frozen=True, eq=False)
class ClassedImage:
    """An image and its pixel classes, mirrored beyond the border by half of the receptive field."""

    contrast: Float16[np.ndarray, "y x"]
    """Input of the network."""
    classes: UInt8[np.ndarray, "y x"]
    """Class of every pixel; not valid in the margin."""
    annotated: Bool[np.ndarray, "y x"]
    """Whether the class of a pixel is known; False in the margin."""


def pixel_classes(labels: Integer[np.ndarray, "y x"], *, width: float) -> UInt8[np.ndarray, "y x"]:
    """Class of every pixel; the boundary is the rim of each nucleus, on its inner side.

    A pixel belongs to the boundary if it is at most ``width`` from the nearest pixel outside of its nucleus,
    which may be background or another nucleus: nuclei that touch are separated by the boundaries of both. The
    edge of the image is not a boundary.

    Args:
        labels: Label image.
        width: Width of the boundary in pixels; 1 takes the outermost pixels.

    Returns:
        ``BOUNDARY``, ``INTERIOR`` or ``BACKGROUND`` of `cellmotion_jax.models.feature_net`.

    Raises:
        ValueError: If ``labels`` is not an image of one channel.
        InputError: If a label is negative.

    >>> pixel_classes(np.array([[1, 1, 2, 2, 2, 0]]), width=1.0).tolist()
    [[1, 0, 0, 1, 0, 2]]
    """
    distance = distance_to_boundary(labels)
    return np.select([distance > width, distance > 0], [INTERIOR, BOUNDARY], BACKGROUND).astype(np.uint8)


def classed_images(
    images: Sequence[AnnotatedImage],
    *,
    downsample: int,
    width: float,
    field: int,
    contrast: Callable[[Num[np.ndarray, "y x 1"]], Float32[np.ndarray, "v u 1"]],
) -> list[ClassedImage]:
    """Reads images with their classes into memory, four bytes per pixel.

    Args:
        images: Annotated images of one channel.
        downsample: Side of the blocks over which they are averaged.
        width: Width of the boundary, in pixels of the downsampled image.
        field: Side of the receptive field, odd.
        contrast: Function from a whole image to the network's input, on the downsampled grid.

    Returns:
        One per image.

    Raises:
        InputError: If an image has several channels, or is damaged or smaller than a block.
    """
    classed, margin = [], field // 2
    for image in tqdm(images, desc="classes of pixels", unit="image", disable=None, leave=False):
        if image.channels != 1:
            raise InputError(
                f"{image.image_file} has {image.channels} channels; nuclei are learned from grey images."
            )
        seen = contrast(image.image())[..., 0].astype(np.float16)
        labels, known = (downsample_labels(it, downsample) for it in image.annotation())
        classes = pixel_classes(labels, width=width)
        classed.append(
            ClassedImage(
                np.pad(seen, margin, mode="symmetric"), np.pad(classes, margin), np.pad(known, margin)
            )
        )
    return classed


class Crops:
    """Crops of images as samples of one size: ``image`` [y, x, 1], ``target`` and ``annotated`` [y, x].

    Args:
        images: The images.
        places: Index of the image, and first row and column, of each crop.
        size: Side of the crops.
    """

    def __init__(
        self, images: Sequence[ClassedImage], places: Int[np.ndarray, "crop 3"], *, size: int
    ) -> None:
        self.places = places
        self._images, self._size = images, size

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        number, top, left = self.places[index]
        image, window = self._images[number], np.s_[top : top + self._size, left : left + self._size]
        return {
            "image": image.contrast[window][..., None].astype(np.float32),
            "target": image.classes[window].astype(np.int32),
            "annotated": image.annotated[window],
        }


def tile_crops(images: Sequence[ClassedImage], *, tile: int, step: int, field: int) -> Crops:
    """Crops for dense training, in which the network classifies every pixel of a tile.

    Tiles begin every ``step`` pixels, and the last of a row or column ends with the image; one on which
    nothing is annotated is left out. In images smaller than a tile, tiles are as large as the smallest.

    Args:
        images: At least one.
        tile: Side of the output; the crops are larger by ``field - 1``.
        step: Pixels from tile to tile.
        field: Side of what the network sees at once.

    Returns:
        The crops.

    Raises:
        InputError: If nothing is annotated in any image.
    """
    size = min(tile + field - 1, *(side for image in images for side in image.contrast.shape))
    places = [
        (number, top, left)
        for number, image in enumerate(images)
        for top in _starts(image.contrast.shape[0] - size, step)
        for left in _starts(image.contrast.shape[1] - size, step)
        if image.annotated[top : top + size, left : left + size].any()
    ]
    if not places:
        raise InputError(f"Nothing is annotated in {len(images)} images; there is nothing to learn from.")
    return Crops(images, np.array(places), size=size)


def balanced_crops(images: Sequence[ClassedImage], *, most: int, field: int, seed: int) -> Crops:
    """Crops around single pixels, equally many of each class (Van Valen et al. 2016).

    Args:
        images: Images in which each class occurs.
        most: Largest number of pixels per class; the number is limited by the rarest class.
        field: Side of the crops, the receptive field of the network.
        seed: Random seed of the choice.

    Returns:
        The crops, sorted by class.
    """
    rng = np.random.default_rng(seed)
    pixels = [_pixels(images, number) for number in CLASSES.values()]
    number = min(most, *map(len, pixels))
    chosen = [rng.choice(of_class, number, replace=False) for of_class in pixels]
    return Crops(images, np.concatenate(chosen) - [0, field // 2, field // 2], size=field)


def class_shares(images: Sequence[ClassedImage]) -> Float32[np.ndarray, " class"]:
    """Share of each class among the annotated pixels of some images.

    Raises:
        InputError: If a class does not occur.
    """
    counts = np.sum(
        [np.bincount(image.classes[image.annotated], minlength=len(CLASSES)) for image in images], axis=0
    )
    for name, number in CLASSES.items():
        if not counts[number]:
            raise InputError(f"No pixel of the {len(images)} training images is {name}; there must be one.")
    return (counts / counts.sum()).astype(np.float32)


def _pixels(images: Sequence[ClassedImage], number: int) -> Int[np.ndarray, "pixel 3"]:
    """Image, row and column of the annotated pixels of a class."""
    found = [np.argwhere(image.annotated & (image.classes == number)) for image in images]
    return np.concatenate([np.insert(pixels, 0, image, axis=1) for image, pixels in enumerate(found)])


def _starts(last: int, step: int) -> list[int]:
    return [*range(0, last, step), last]
