"""Frames as the network sees them: compressed intensities, at the scale of its training, in padded images."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Num

from cellmotion_jax.data.resizing import resize_image, resized_shape
from cellmotion_jax.errors import InputError
from cellmotion_jax.memory import require_memory
from cellmotion_jax.models.mask_rcnn import MULTIPLE
from cellmotion_jax.ops.intensity import compress

SMALLEST_SIDE = 2 * MULTIPLE
"""Rows and columns that an image has at least, padded if need be: two pixels of the coarsest level."""
_BYTES_PER_PIXEL = 130
"""Memory that the light network takes, per pixel of the image; with a ResNet-50 it is three times as much."""


class NetworkFrame(NamedTuple):
    """A frame at the scale of the network."""

    image: Float32[np.ndarray, "y x"]
    """Compressed intensities."""
    factor: tuple[float, float]
    """Pixels of this image per pixel of the frame, along y and x: about the scale, exactly after rounding."""


def network_frame(image: Num[np.ndarray, "y x"], *, scale: float) -> NetworkFrame:
    """Compresses and resizes a frame.

    Args:
        image: Intensities in any unit.
        scale: Pixels of the result per pixel of the frame.

    Returns:
        The image; a frame that shrinks is smoothed first.

    Raises:
        InputError: If a pixel is not finite, or the result is too large for the memory.
    """
    size = resized_shape(image.shape, scale=scale)
    require_memory(
        _BYTES_PER_PIXEL * size[0] * size[1],
        what=f"a frame of {image.shape[0]} x {image.shape[1]} pixels, for the network {size[0]} x {size[1]},",
        instead="state the diameter of the cells in pixels of the movie",
    )
    if image.dtype.kind == "f":
        if not np.isfinite(image).all():
            raise InputError("it holds pixels that are NaN or infinite; give finite frames")
        largest = np.abs(image).max()
        if not 1e-12 < largest < 1e12:
            # Squares of these are not within float32. The unit does not matter.
            image = image / (largest or 1)
    compressed = np.asarray(compress(jnp.asarray(image, jnp.float32)[..., None]))[..., 0]
    factor = (size[0] / image.shape[0], size[1] / image.shape[1])
    return NetworkFrame(resize_image(compressed, size), factor)


def padded(image: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "y2 x2"]:
    """Continues an image by zeros, the background, to sides that the network takes."""
    sides = [max(SMALLEST_SIDE, -(-side // MULTIPLE) * MULTIPLE) for side in image.shape]
    return np.pad(image, [(0, wanted - side) for wanted, side in zip(sides, image.shape)])
