"""Downsampling of images by block means, and mapping of labels, maps and points back to the image grid."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Int32, Num, Shaped

from cellmotion_jax.errors import InputError


def downsampling_for(diameter: float, wanted: float) -> int:
    """Side of the blocks over which an image is averaged, so that its cells come near a wanted diameter.

    Args:
        diameter: Diameter of a cell in the image, in pixels.
        wanted: Diameter after downsampling. Images with smaller cells are not changed.

    Returns:
        A whole number, at least 1.
    """
    return max(1, round(diameter / wanted))


def downsample_image(
    image: Num[np.ndarray, "y x channel"], downsample: int
) -> Float32[np.ndarray, "small_y small_x channel"]:
    """Averages an image over blocks; rows and columns at the end that do not fill a block are dropped.

    Args:
        image: Image of any type.
        downsample: Side of a block, from 1 to the shorter side of the image.

    Returns:
        One pixel per block.

    Raises:
        InputError: If the block is empty or larger than the image.

    >>> downsample_image(np.arange(10.0).reshape(2, 5, 1), 2)[..., 0].tolist()
    [[3.0, 5.0]]
    """
    y, x = _blocks(image.shape, downsample)
    blocks = image[: y * downsample, : x * downsample].reshape(y, downsample, x, downsample, -1)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def downsample_labels(
    labels: Shaped[np.ndarray, "y x"], downsample: int
) -> Shaped[np.ndarray, "small_y small_x"]:
    """Downsamples a label image to the centre pixels of blocks; of even blocks, the pixel after the centre.

    Args:
        labels: Label image or mask. A cell that is smaller than a block may vanish.
        downsample: Side of a block, from 1 to the shorter side of the image.

    Returns:
        One pixel per block.

    Raises:
        InputError: If the block is empty or larger than the image.
    """
    y, x = _blocks(labels.shape, downsample)
    return labels[downsample // 2 :: downsample, downsample // 2 :: downsample][:y, :x]


def _blocks(shape: tuple[int, ...], downsample: int) -> tuple[int, int]:
    """Number of whole blocks along y and x."""
    if not 1 <= downsample <= min(shape[:2]):
        raise InputError(
            f"downsample is {downsample}; blocks of an image of {shape[0]} x {shape[1]} have sides of 1 to "
            f"{min(shape[:2])}."
        )
    return shape[0] // downsample, shape[1] // downsample


def image_points(points: Float[np.ndarray, "cell 2"], downsample: int) -> Float[np.ndarray, "cell 2"]:
    """Maps points (y, x) of the downsampled grid, whose pixels are centred on the blocks, to the image.

    >>> image_points(np.array([[0.0, 3.0]]), 2).tolist()
    [[0.5, 6.5]]
    """
    return (points + 0.5) * downsample - 0.5


def upsample_labels(
    labels: Int32[np.ndarray, "y x"], downsample: int, shape: tuple[int, ...]
) -> Int32[np.ndarray, "y2 x2"]:
    """Upsamples a label image to the image grid by repetition; the last row and column fill the remainder.

    >>> upsample_labels(np.array([[1, 2]], np.int32), 2, (2, 5)).tolist()
    [[1, 1, 2, 2, 2], [1, 1, 2, 2, 2]]
    """
    repeated = labels.repeat(downsample, axis=0).repeat(downsample, axis=1)
    missing = [(0, wanted - had) for wanted, had in zip(shape, repeated.shape)]
    return np.pad(repeated, missing, mode="edge")


def upsample_map(
    shown: Float32[np.ndarray, "small_y small_x"], downsample: int, shape: tuple[int, ...]
) -> Float32[np.ndarray, "y x"]:
    """Upsamples a map to the image grid by linear interpolation between the centres of blocks.

    Rows and columns of the image that do not fill a block repeat the last ones.

    >>> upsample_map(np.array([[0.0, 1.0]], np.float32), 2, (2, 5)).tolist()[0]
    [0.0, 0.25, 0.75, 1.0, 1.0]
    """
    if downsample == 1:
        return shown
    size = tuple(side * downsample for side in shown.shape)
    enlarged = np.asarray(jax.image.resize(jnp.asarray(shown), size, "linear"))
    return np.pad(enlarged, [(0, wanted - had) for wanted, had in zip(shape, size)], mode="edge")
